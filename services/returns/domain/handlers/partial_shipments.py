"""Partial shipments: parcels of one replacement, and units that cannot ship with the others.

Shipped units are counted per parcel. Units that are short are split off the replacement, so that the others can ship,
and the customer chooses for these alone. The chosen order is placed after the first part is delivered: there is never
more than one open replacement order.
"""

from datetime import date, datetime

from libs.common.decisions.fast_replace import replace
from libs.common.decisions.ids import derived_id
from libs.common.events.carrier import ParcelDelivered
from libs.common.events.warehouse import ReplacementRejected, ReplacementShipped
from services.returns.domain.context import CaseDecision
from services.returns.domain.state.case import Case, Shortage
from services.returns.domain.state.line_quantities import UnitCounts, add_counts, common_counts, missing, to_counts
from services.returns.domain.state.outbound_leg import OutboundLeg, OutboundStatus, Parcel
from services.returns.domain.state.review_causes import ReviewCause


def parcel_id_of(event: ReplacementShipped) -> str:
    """Return the partner's parcel id, else one derived from time and units, else the empty id of an only parcel."""
    if event.shipment_id or event.lines is None:
        return event.shipment_id or ""
    lines = sorted(line.model_dump_json() for line in event.lines)
    return str(derived_id("parcel", event.shipped_at.isoformat(), *lines))


def skip_known_parcel(decision: CaseDecision, event: ReplacementShipped) -> bool:
    """Skip a shipment event whose parcel is recorded; that it left again later is remembered."""
    leg, parcel_id = decision.case.outbound, parcel_id_of(event)
    known = _known_parcel(leg, event)
    if known:
        left_at = known.left_again_at or known.shipped_at
        left_again = left_at is not None and event.shipped_at > left_at
        if left_again or (parcel_id and not known.parcel_id):  # its name may come with the second statement
            newest = event.shipped_at if left_again else known.left_again_at
            _replace(decision, known, replace(known, parcel_id=parcel_id or known.parcel_id, left_again_at=newest))
        else:
            decision.ignore("duplicate")
        return True
    if parcel_id in leg.called_off and event.shipped_at <= leg.called_off[parcel_id]:
        decision.ignore("called_off")
        return True
    return False


def _known_parcel(leg: OutboundLeg, event: ReplacementShipped) -> Parcel | None:
    """Return the parcel by its id, or an only one that another system reports without id at the same time."""
    parcel_id = parcel_id_of(event)
    known = (*leg.parcels, *leg.spare)
    if found := next((each for each in known if each.parcel_id == parcel_id), None):
        return found
    only = known[0] if len(known) == 1 and known[0].is_unlisted and event.lines is None else None
    if only is None or only.shipped_at is None or (only.parcel_id and parcel_id):
        return None
    return only if only.shipped_at.replace(microsecond=0) == event.shipped_at.replace(microsecond=0) else None


def replace_parcel(decision: CaseDecision, parcel: Parcel) -> None:
    """Put this state of a parcel in the place of the one before."""
    leg = decision.case.outbound
    before = next(each for each in (*leg.parcels, *leg.spare) if each.parcel_id == parcel.parcel_id)
    _replace(decision, before, parcel)


def _replace(decision: CaseDecision, before: Parcel, parcel: Parcel) -> None:
    leg = decision.case.outbound
    parcels, spare = (tuple(parcel if each is before else each for each in known) for known in (leg.parcels, leg.spare))
    decision.change_outbound(parcels=parcels, spare=spare)


def add_parcel(decision: CaseDecision, event: ReplacementShipped, expected: date) -> Parcel:
    """Count the units of a parcel, at most those that no other holds; without lines all of these.

    A parcel with nothing else in it is kept as spare. Staff review units that were not ordered.
    """
    leg, parcel_id = decision.case.outbound, parcel_id_of(event)
    remaining = missing(leg.ordered, leg.shipped)
    listed = remaining if event.lines is None else to_counts(event.lines)
    counts, beyond = common_counts(listed, remaining), missing(listed, remaining)
    parcel = Parcel(
        parcel_id,
        counts,
        expected,
        leg.early_deliveries.get(parcel_id),
        event.shipped_at,
        event.carrier,
        event.tracking_number,
        event.serials,
        beyond=beyond,
        is_unlisted=event.lines is None,
    )
    if counts:
        decision.change_outbound(parcels=(*leg.parcels, parcel), shipped=add_counts(leg.shipped, counts))
    else:
        decision.change_outbound(spare=(*leg.spare, parcel))
    if beyond and not any(each.is_unlisted for each in leg.parcels):
        decision.anomaly("surplus_shipped")
        is_other = not common_counts(listed, remaining or leg.ordered)
        decision.open_review(ReviewCause.WRONG_ITEM_SHIPPED if is_other else ReviewCause.SURPLUS_SHIPPED)
    return parcel


def count_spare_units(decision: CaseDecision) -> bool:
    """Count units that left beyond the order in the place of those that did not leave; return whether there are any."""
    leg = decision.case.outbound
    parcels: list[Parcel] = []
    spare: list[Parcel] = []
    shipped = leg.shipped
    for parcel in (*leg.parcels, *leg.spare):
        remaining = missing(leg.ordered, shipped)
        more = remaining if parcel.is_unlisted else common_counts(parcel.beyond, remaining)
        shipped = add_counts(shipped, more)
        after = replace(parcel, counts=add_counts(parcel.counts, more), beyond=missing(parcel.beyond, more))
        (parcels if after.counts else spare).append(after if more else parcel)
    if shipped is leg.shipped:
        return False
    decision.change_outbound(parcels=tuple(parcels), spare=tuple(spare), shipped=shipped)
    return True


def close_surplus_review(decision: CaseDecision) -> None:
    """Close the review of units that were not ordered, as soon as none are left over."""
    if not decision.case.outbound.surplus:
        decision.close_reviews(ReviewCause.SURPLUS_SHIPPED, ReviewCause.WRONG_ITEM_SHIPPED)


def find_parcel(leg: OutboundLeg, event: ParcelDelivered) -> Parcel | None:
    """Return the named parcel, or the first undelivered one where the event names none."""
    by_id = {parcel.parcel_id: parcel for parcel in (*leg.spare, *leg.parcels)}
    if event.shipment_id:
        return by_id.get(event.shipment_id) or by_id.get("")
    if tracked := by_id.get(leg.parcel_key(None, event.tracking_number)):
        return tracked
    return next((parcel for parcel in leg.parcels if parcel.delivered_at is None), None)


def mark_delivered(decision: CaseDecision, parcel: Parcel, at: datetime, handed_to: str | None) -> None:
    replace_parcel(decision, replace(parcel, delivered_at=at, handed_to=handed_to))


def last_delivery(leg: OutboundLeg) -> datetime | None:
    """Return the time of the last delivery once every ordered unit is delivered."""
    moments = [parcel.delivered_at for parcel in leg.parcels]
    if missing(leg.ordered, leg.shipped) or not moments or None in moments:
        return None
    return max(moment for moment in moments if moment)


def unavailable_units(decision: CaseDecision, event: ReplacementRejected) -> UnitCounts:
    """Return the rejected units that have not shipped."""
    leg = decision.case.outbound
    remaining = missing(leg.ordered, leg.shipped)
    return remaining if event.lines is None else common_counts(to_counts(event.lines), remaining)


def split_off(decision: CaseDecision, counts: UnitCounts) -> None:
    """Move these units from the current order to the shortage."""
    leg, before = decision.case.outbound, decision.case.shortage
    decision.change_outbound(ordered=missing(leg.ordered, counts))
    decision.change(shortage=Shortage(add_counts(before.counts, counts) if before else counts))


def merge_shortage(decision: CaseDecision) -> None:
    """Move the shortage back into an order that was rejected whole, so that one choice covers both."""
    if decision.case.shortage:
        decision.change_outbound(ordered=add_counts(decision.case.outbound.ordered, decision.case.shortage.counts))
        decision.change(shortage=None)


def shortage_to_order(case: Case) -> Shortage | None:
    """Return the shortage once it is decided and the first part is delivered."""
    shortage = case.shortage
    is_delivered = case.outbound.status is OutboundStatus.DELIVERED
    return shortage if shortage and shortage.is_decided and is_delivered else None
