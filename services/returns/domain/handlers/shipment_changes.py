"""Outbound leg, changes of a parcel: a tracking number later, units that were taken out, or a parcel called off.

Of two changes of one parcel the newer by the warehouse's time counts. Units that did not leave after all are promised
for a new date, and nothing is collected before they have left.
"""

from libs.common.decisions.fast_replace import replace
from libs.common.events.issues import IssueReplacementTracked
from libs.common.events.warehouse import ReplacementShipmentChanged
from services.returns.domain.context import CaseDecision
from services.returns.domain.handlers import inbound, outbound, shipments
from services.returns.domain.handlers.replacement_matching import match_replacement
from services.returns.domain.state.line_quantities import UnitCounts, add_counts, common_counts, missing, to_counts
from services.returns.domain.state.outbound_leg import OutboundStatus, Parcel


def changed(decision: CaseDecision, event: ReplacementShipmentChanged) -> None:
    if not match_replacement(decision, event):
        return
    parcel = _find(decision, event)
    if parcel is None:
        decision.anomaly("unknown_shipment")
    elif decision.case.is_closed or parcel.delivered_at:
        decision.anomaly("changed_after_delivery")
    elif parcel.changed_at and event.changed_at <= parcel.changed_at:
        decision.ignore("stale")
    else:
        _replace(decision, replace(parcel, changed_at=event.changed_at))
        _apply(decision, event, parcel.parcel_id)


def _find(decision: CaseDecision, event: ReplacementShipmentChanged) -> Parcel | None:
    parcels = decision.case.outbound.parcels
    if event.shipment_id is None:
        return parcels[0] if len(parcels) == 1 else None
    return next((each for each in parcels if each.parcel_id == event.shipment_id), None)


def _apply(decision: CaseDecision, event: ReplacementShipmentChanged, parcel_id: str) -> None:
    leg = decision.case.outbound
    parcel = next(each for each in leg.parcels if each.parcel_id == parcel_id)
    held = {} if event.called_off else parcel.counts
    if event.lines is not None and not event.called_off:
        held = common_counts(to_counts(event.lines), add_counts(parcel.counts, missing(leg.ordered, leg.shipped)))
    if held != parcel.counts:
        _set_units(decision, parcel, held, event)
    if not held:
        return
    _track(decision, event, parcel_id)
    if event.expected_delivery_date and decision.case.outbound.status is OutboundStatus.SHIPPED:
        expected = max(event.expected_delivery_date, decision.today)
        shipments.move_delivery(decision, parcel_id, expected, event.cause)


def _set_units(decision: CaseDecision, parcel: Parcel, held: UnitCounts, event: ReplacementShipmentChanged) -> None:
    """Correct the units of a parcel; those that did not leave get a new date."""
    leg = decision.case.outbound
    shipped = add_counts(missing(leg.shipped, parcel.counts), held)
    called_off = leg.called_off if held else {**leg.called_off, parcel.parcel_id: event.changed_at}
    kept = tuple(
        replace(each, counts=held) if each.parcel_id == parcel.parcel_id else each
        for each in leg.parcels
        if held or each.parcel_id != parcel.parcel_id
    )
    decision.change_outbound(parcels=kept, shipped=shipped, called_off=called_off)
    if missing(leg.ordered, shipped):
        _promise_again(decision)
    elif leg.status is not OutboundStatus.SHIPPED:
        shipments.complete_shipment(decision)


def _promise_again(decision: CaseDecision) -> None:
    leg = decision.case.outbound
    if leg.status is OutboundStatus.SHIPPED:
        inbound.reset(decision)
        decision.change_outbound(status=OutboundStatus.CONFIRMED, expected_delivery=None)
    last = leg.promises[-1].ship_date
    outbound.promise_later(decision, decision.warehouse.open_day_after(max(decision.today, last)), outbound.UNSHIPPED)


def _track(decision: CaseDecision, event: ReplacementShipmentChanged, parcel_id: str) -> None:
    """Announce another carrier or tracking number."""
    leg = decision.case.outbound
    parcel = next(each for each in leg.parcels if each.parcel_id == parcel_id)
    carrier, number = event.carrier or parcel.carrier, event.tracking_number or parcel.tracking_number
    if (carrier, number) == (parcel.carrier, parcel.tracking_number):
        return
    _replace(decision, replace(parcel, carrier=carrier, tracking_number=number))
    decision.emit(
        IssueReplacementTracked(
            **decision.ids,
            replacement_id=leg.replacement_id,
            carrier=carrier,
            tracking_number=number,
            previous_tracking_number=parcel.tracking_number,
            expected_delivery_date=parcel.expected_delivery,
            changed_at=event.changed_at,
        )
    )


def _replace(decision: CaseDecision, parcel: Parcel) -> None:
    parcels = decision.case.outbound.parcels
    decision.change_outbound(parcels=tuple(parcel if each.parcel_id == parcel.parcel_id else each for each in parcels))
