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
    """Skip a shipment event whose parcel is recorded."""
    leg, parcel_id = decision.case.outbound, parcel_id_of(event)
    if any(parcel.parcel_id == parcel_id for parcel in leg.parcels):
        decision.ignore("duplicate")
        return True
    if parcel_id in leg.called_off and event.shipped_at <= leg.called_off[parcel_id]:
        decision.ignore("called_off")
        return True
    return False


def shipped_units(decision: CaseDecision, event: ReplacementShipped) -> UnitCounts:
    """Return the units in this parcel, at most those not yet shipped; without lines all of these."""
    leg = decision.case.outbound
    remaining = missing(leg.ordered, leg.shipped)
    if event.lines is None:
        return remaining
    listed = to_counts(event.lines)
    if surplus := missing(listed, remaining):
        decision.anomaly("surplus_shipped")
        decision.change_outbound(surplus=add_counts(leg.surplus, surplus))
        is_other = not common_counts(listed, remaining)
        decision.open_review(ReviewCause.WRONG_ITEM_SHIPPED if is_other else ReviewCause.SURPLUS_SHIPPED)
    return common_counts(listed, remaining)


def add_parcel(decision: CaseDecision, event: ReplacementShipped, counts: UnitCounts, expected: date) -> None:
    leg, parcel_id = decision.case.outbound, parcel_id_of(event)
    delivered_at = leg.early_deliveries.get(parcel_id)
    parcel = Parcel(
        parcel_id,
        counts,
        expected,
        delivered_at,
        event.shipped_at,
        event.carrier,
        event.tracking_number,
        event.serials,
    )
    decision.change_outbound(parcels=(*leg.parcels, parcel), shipped=add_counts(leg.shipped, counts))


def find_parcel(leg: OutboundLeg, event: ParcelDelivered) -> Parcel | None:
    """Return the named parcel, or the first undelivered one where the event names none."""
    by_id = {parcel.parcel_id: parcel for parcel in leg.parcels}
    if event.shipment_id:
        return by_id.get(event.shipment_id) or by_id.get("")
    if tracked := by_id.get(leg.parcel_key(None, event.tracking_number)):
        return tracked
    return next((parcel for parcel in leg.parcels if parcel.delivered_at is None), None)


def mark_delivered(decision: CaseDecision, parcel: Parcel, at: datetime, handed_to: str | None) -> None:
    delivered = replace(parcel, delivered_at=at, handed_to=handed_to)
    parcels = tuple(delivered if each is parcel else each for each in decision.case.outbound.parcels)
    decision.change_outbound(parcels=parcels)


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
