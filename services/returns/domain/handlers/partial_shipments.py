"""A replacement in parts: parcels that leave one after the other, and pieces that cannot leave with the others.

What has left is counted per parcel. Pieces that are short are taken out of the replacement, so that the rest of it goes
its way, and the customer is asked about them alone; what they decide is ordered when the first part has arrived. One
after the other rather than both at once, so that there is never more than one replacement under way.
"""

from datetime import date, datetime

from libs.common.decisions.fast_replace import replace
from libs.common.decisions.ids import derived_id
from libs.common.events.carrier import ParcelDelivered
from libs.common.events.warehouse import ReplacementRejected, ReplacementShipped
from services.returns.domain.case import Case, Short
from services.returns.domain.decision_context import CaseDecision
from services.returns.domain.legs.outbound import Outbound, OutboundStatus, Parcel
from services.returns.domain.line_quantities import Counts, added, counted, missing, shared


def name_of(fact: ReplacementShipped) -> str:
    """The parcel's own name; else, where pieces are named, what left when; else there is only one."""
    if fact.shipment_id or fact.lines is None:
        return fact.shipment_id or ""
    pieces = sorted(line.model_dump_json() for line in fact.lines)
    return str(derived_id("parcel", fact.shipped_at.isoformat(), *pieces))


def is_repeated(turn: CaseDecision, fact: ReplacementShipped) -> bool:
    if any(parcel.name == name_of(fact) for parcel in turn.case.outbound.parcels):
        turn.ignore("repeated")
        return True
    return False


def packed(turn: CaseDecision, fact: ReplacementShipped) -> Counts:
    """The pieces in this parcel: those told, as far as they are still to come, or else all the rest."""
    leg = turn.case.outbound
    rest = missing(leg.ordered, leg.shipped)
    if fact.lines is None:
        return rest
    told = counted(fact.lines)
    if missing(told, rest):
        turn.anomaly("surplus_shipped")
    return shared(told, rest)


def add(turn: CaseDecision, fact: ReplacementShipped, counts: Counts, expected: date) -> None:
    leg, name = turn.case.outbound, name_of(fact)
    parcel = Parcel(name, counts, expected, leg.early.get(name), fact.shipped_at, fact.carrier, fact.tracking_number)
    turn.outbound(parcels=(*leg.parcels, parcel), shipped=added(leg.shipped, counts))


def find(leg: Outbound, fact: ParcelDelivered) -> Parcel | None:
    """The parcel this is about: the one it names, or the first that has not arrived; None where none fits."""
    if fact.shipment_id is None:
        return next((parcel for parcel in leg.parcels if parcel.delivered_at is None), None)
    known = {parcel.name: parcel for parcel in leg.parcels}
    return known.get(fact.shipment_id) or known.get("")


def arrived(turn: CaseDecision, parcel: Parcel, at: datetime) -> None:
    changed = replace(parcel, delivered_at=at)
    turn.outbound(parcels=tuple(changed if one is parcel else one for one in turn.case.outbound.parcels))


def last_arrival(leg: Outbound) -> datetime | None:
    """When the last of all that was ordered arrived; None while something is still to come."""
    moments = [parcel.delivered_at for parcel in leg.parcels]
    if missing(leg.ordered, leg.shipped) or not moments or None in moments:
        return None
    return max(moment for moment in moments if moment)


def short_of(turn: CaseDecision, fact: ReplacementRejected) -> Counts:
    """The pieces that cannot be sent, as far as they have not left."""
    leg = turn.case.outbound
    rest = missing(leg.ordered, leg.shipped)
    return rest if fact.lines is None else shared(counted(fact.lines), rest)


def cut(turn: CaseDecision, short: Counts) -> None:
    """Take these out of the replacement that is under way, together with what was short before."""
    leg, before = turn.case.outbound, turn.case.short
    turn.outbound(ordered=missing(leg.ordered, short))
    turn.change(short=Short(added(before.counts, short) if before else short))


def join(turn: CaseDecision) -> None:
    """Nothing of it can be sent: what was short before is asked about together with the rest."""
    if turn.case.short:
        turn.outbound(ordered=added(turn.case.outbound.ordered, turn.case.short.counts))
        turn.change(short=None)


def to_order(case: Case) -> Short | None:
    """What was short and is to be ordered now."""
    short = case.short
    return short if short and short.is_decided and case.outbound.status is OutboundStatus.DELIVERED else None
