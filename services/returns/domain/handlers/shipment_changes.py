"""Outbound leg, changes of a parcel: a tracking number later, units that were taken out, or a parcel called off.

Facts about a parcel arrive in any order. Of two changes of its units, its number or its day the newer by the
warehouse's time counts; one that is older than its shipment calls nothing off; one that arrives before it is kept.
Units that did not leave count in another parcel that left, if there is one. Otherwise they are promised for a new date,
and nothing is collected before they have left.
"""

from datetime import datetime

from libs.common.decisions.fast_replace import replace
from libs.common.events.issues import IssueReplacementTracked
from libs.common.events.warehouse import ReplacementShipmentChanged
from services.returns.domain.context import CaseDecision
from services.returns.domain.handlers import inbound, outbound, partial_shipments, shipments
from services.returns.domain.handlers.early_parcel_changes import keep_change, takes_all_out
from services.returns.domain.handlers.replacement_matching import match_replacement
from services.returns.domain.state.line_quantities import add_counts, common_counts, missing, to_counts
from services.returns.domain.state.outbound_leg import OutboundLeg, OutboundStatus, Parcel


def changed(decision: CaseDecision, event: ReplacementShipmentChanged) -> None:
    if not match_replacement(decision, event):
        return
    parcel = _find(decision, event)
    if parcel is None:
        keep_change(decision, event)
    elif decision.case.is_closed or parcel.delivered_at:
        decision.anomaly("changed_after_delivery")
    elif takes_all_out(event) and _has_left_since(parcel, event):
        decision.ignore("left_again")
    else:
        _apply(decision, event, parcel)


def _find(decision: CaseDecision, event: ReplacementShipmentChanged) -> Parcel | None:
    leg = decision.case.outbound
    if event.shipment_id is None:
        return leg.parcels[0] if len(leg.parcels) == 1 else None
    return next((each for each in (*leg.parcels, *leg.spare) if each.parcel_id == event.shipment_id), None)


def _has_left_since(parcel: Parcel, event: ReplacementShipmentChanged) -> bool:
    left_at = parcel.left_again_at or parcel.shipped_at
    return left_at is not None and event.changed_at < left_at


def _apply(decision: CaseDecision, event: ReplacementShipmentChanged, parcel: Parcel) -> None:
    """Apply each part of a change that is newer than the one before."""
    has_units = event.called_off or event.lines is not None
    is_of_units = has_units and _is_newer(event, parcel.changed_at)
    is_of_number = bool(event.carrier or event.tracking_number) and _is_newer(event, parcel.tracked_at)
    is_of_day = bool(event.expected_delivery_date) and _is_newer(event, parcel.dated_at)
    if not (is_of_units or is_of_number or is_of_day):
        decision.ignore("stale")
        return
    if is_of_units and not _set_units(decision, parcel, event):
        return
    if is_of_number:
        _track(decision, event, parcel.parcel_id)
    if is_of_day:
        _set_day(decision, event, parcel.parcel_id)


def _is_newer(event: ReplacementShipmentChanged, before: datetime | None) -> bool:
    return before is None or event.changed_at > before


def _set_units(decision: CaseDecision, parcel: Parcel, event: ReplacementShipmentChanged) -> bool:
    """Correct the units of a parcel; return whether any are left. Those that did not leave get a new date."""
    leg = decision.case.outbound
    stated = {} if takes_all_out(event) else to_counts(event.lines or ())
    held = common_counts(stated, add_counts(parcel.counts, missing(leg.ordered, leg.shipped)))
    after = replace(parcel, counts=held, beyond=missing(stated, held), is_unlisted=False, changed_at=event.changed_at)
    others = [each for each in leg.parcels if each is not parcel]
    spare = [each for each in leg.spare if each is not parcel]
    if held:
        others.insert(leg.parcels.index(parcel) if parcel in leg.parcels else len(others), after)
    elif after.beyond:
        spare.append(after)
    called_off = leg.called_off if stated else {**leg.called_off, parcel.parcel_id: event.changed_at}
    shipped = add_counts(missing(leg.shipped, parcel.counts), held)
    decision.change_outbound(parcels=tuple(others), spare=tuple(spare), shipped=shipped, called_off=called_off)
    has_replaced = partial_shipments.count_spare_units(decision)
    partial_shipments.close_surplus_review(decision)
    _announce_units(decision, leg, parcel if has_replaced else None, event)
    return bool(stated)


def _announce_units(
    decision: CaseDecision, before: OutboundLeg, replaced: Parcel | None, event: ReplacementShipmentChanged
) -> None:
    """Announce a new date, the whole shipment, or the parcel that counts in the place of `replaced`."""
    leg = decision.case.outbound
    if missing(before.shipped, leg.shipped):
        _promise_again(decision)
    elif leg.status in shipments.BEFORE_SHIPMENT and not missing(leg.ordered, leg.shipped):
        shipments.complete_shipment(decision)
    elif replaced and leg.status is OutboundStatus.SHIPPED:
        parcel = leg.parcels[-1]
        if parcel.tracking_number and parcel.tracking_number != replaced.tracking_number:
            _emit_tracked(decision, parcel, replaced.tracking_number, event.changed_at)
        shipments.continue_with(decision, parcel, event.cause)


def _promise_again(decision: CaseDecision) -> None:
    leg = decision.case.outbound
    if leg.status is OutboundStatus.SHIPPED:
        inbound.reset(decision)
        decision.change_outbound(status=OutboundStatus.CONFIRMED, expected_delivery=None)
    last = leg.promises[-1].ship_date
    outbound.promise_later(decision, decision.warehouse.open_day_after(max(decision.today, last)), outbound.UNSHIPPED)


def _track(decision: CaseDecision, event: ReplacementShipmentChanged, parcel_id: str) -> None:
    """Announce another carrier or tracking number."""
    parcel = _named(decision, parcel_id)
    carrier, number = event.carrier or parcel.carrier, event.tracking_number or parcel.tracking_number
    after = replace(parcel, carrier=carrier, tracking_number=number, tracked_at=event.changed_at)
    partial_shipments.replace_parcel(decision, after)
    if parcel.counts and (carrier, number) != (parcel.carrier, parcel.tracking_number):
        _emit_tracked(decision, after, parcel.tracking_number, event.changed_at)


def _emit_tracked(decision: CaseDecision, parcel: Parcel, previous: str | None, at: datetime) -> None:
    decision.emit(
        IssueReplacementTracked(
            **decision.ids,
            replacement_id=decision.case.outbound.replacement_id,
            carrier=parcel.carrier,
            tracking_number=parcel.tracking_number,
            previous_tracking_number=previous,
            expected_delivery_date=parcel.expected_delivery,
            changed_at=at,
        )
    )


def _set_day(decision: CaseDecision, event: ReplacementShipmentChanged, parcel_id: str) -> None:
    """Set another delivery day; it is announced once the whole replacement has left."""
    parcel = _named(decision, parcel_id)
    expected = max(event.expected_delivery_date or decision.today, decision.today)
    parcel = replace(parcel, dated_at=event.changed_at)
    if parcel.counts and decision.case.outbound.status is OutboundStatus.SHIPPED:
        partial_shipments.replace_parcel(decision, parcel)
        shipments.move_delivery(decision, parcel_id, expected, event.cause)
    else:
        partial_shipments.replace_parcel(decision, replace(parcel, expected_delivery=expected))


def _named(decision: CaseDecision, parcel_id: str) -> Parcel:
    leg = decision.case.outbound
    return next(each for each in (*leg.parcels, *leg.spare) if each.parcel_id == parcel_id)
