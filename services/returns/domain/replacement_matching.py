"""Which replacement a word is about: the one under way, or a former one that was given up.

A former one is kept, because a parcel that was taken for lost and an order that was rejected may move after all. Then a
human looks, and if the one that followed has not left it is called back and the former takes its place again: the
customer is to get one of them, and what has left is the one that will be there first.
"""

from collections.abc import Iterable

from libs.common.decisions.fast_replace import replace
from libs.common.events.carrier import ParcelDelivered, ParcelException
from libs.common.events.warehouse import (
    ReplacementCancelled,
    ReplacementConfirmed,
    ReplacementDelayed,
    ReplacementRejected,
    ReplacementShipped,
)
from services.returns.domain.case import Case
from services.returns.domain.decision_context import CaseDecision
from services.returns.domain.legs.outbound import GONE, WAITED_FOR, Outbound, OutboundStatus
from services.returns.domain.line_quantities import shared
from services.returns.domain.review_causes import ReviewCause

Moved = ReplacementShipped | ParcelDelivered
Told = ReplacementConfirmed | ReplacementRejected | ReplacementDelayed | ParcelException | Moved


def has_moved(leg: Outbound) -> bool:
    """Whether it has left, as far as anybody said."""
    return leg.status in GONE or leg.delivered_at is not None or bool(leg.shipped or leg.early)


def with_former(case: Case) -> tuple[Outbound, ...]:
    """The former replacements, and the present one as the last of them."""
    return (*case.formers, case.outbound) if case.outbound.replacement_id else case.formers


def is_reported_anew(case: Case, others: Iterable[Case]) -> bool:
    """Whether what was sent for this case may be what another one of its order is about.

    Pieces of a line are alike, and which of them a report is about only intake knows: here every later case about a
    line counts of which something had arrived anew by then.
    """
    arrived = [parcel for leg in with_former(case) for parcel in leg.parcels if parcel.delivered_at]
    later = [other for other in others if other.issue_id != case.issue_id and not other.cancelled_at]
    return any(
        parcel.delivered_at and parcel.delivered_at <= other.accepted_at and shared(parcel.counts, other.reported)
        for parcel in arrived
        for other in later
    )


def is_ours(turn: CaseDecision, fact: Told) -> bool:
    """Whether this is about the replacement that is under way; says so where it is not."""
    if fact.replacement_id == turn.case.outbound.replacement_id:
        return True
    former = next((leg for leg in turn.case.formers if leg.replacement_id == fact.replacement_id), None)
    if former is None:
        turn.anomaly("unknown_replacement")
    elif isinstance(fact, Moved) and not _is_known(former, fact):
        return _moved_after_all(turn, former, fact)
    else:
        turn.ignore("former_replacement")
    return False


def _is_known(former: Outbound, fact: Moved) -> bool:
    if isinstance(fact, ReplacementShipped):
        return former.status in GONE
    return former.delivered_at is not None


def _moved_after_all(turn: CaseDecision, former: Outbound, fact: Moved) -> bool:
    """A human looks; whether it takes its place again, or the one that followed has left too."""
    turn.anomaly("former_replacement_moved")
    turn.review(ReviewCause.MOVED_AFTER_STOP)
    present = turn.case.outbound
    in_time = present.status in (*WAITED_FOR, OutboundStatus.REJECTED) and not has_moved(present)
    if in_time and not turn.case.is_closed:
        _take_place(turn, former)
        return True
    formers = (_moved(leg, fact) if leg is former else leg for leg in turn.case.formers)
    turn.change(formers=tuple(formers))
    return False


def _take_place(turn: CaseDecision, former: Outbound) -> None:
    stop(turn, "former_replacement_moved")
    others = tuple(leg for leg in with_former(turn.case) if leg is not former)
    told_as_shipped = former.expected_delivery is not None
    status = former.status if told_as_shipped else OutboundStatus.ORDERED
    leg = replace(former, status=status, number=turn.case.outbound.number, due_at=None)
    turn.change(outbound=leg, formers=others, question=None)
    turn.withdraw(ReviewCause.WAREHOUSE_SILENT, ReviewCause.NOT_SHIPPING, ReviewCause.NO_DECISION)


def _moved(leg: Outbound, fact: Moved) -> Outbound:
    if isinstance(fact, ParcelDelivered):
        status = OutboundStatus.DELIVERED if leg.status in GONE else leg.status
        return replace(leg, status=status, delivered_at=fact.delivered_at)
    return replace(leg, status=OutboundStatus.DELIVERED if leg.delivered_at else OutboundStatus.SHIPPED)


def is_past(turn: CaseDecision, *waiting: OutboundStatus) -> bool:
    """Whether the leg is beyond what this event could change; goods that move after a stop are for a human."""
    status = turn.case.outbound.status
    if status in waiting:
        return False
    if status is OutboundStatus.CANCELLED and OutboundStatus.REJECTED in waiting:
        turn.anomaly("moved_after_stop")
        turn.review(ReviewCause.MOVED_AFTER_STOP)
    else:
        turn.ignore("overtaken")
    return True


def is_stale(turn: CaseDecision) -> bool:
    """Whether the warehouse has said something later than this about the same replacement."""
    heard_at = turn.case.outbound.heard_at
    if heard_at is None or turn.told_at >= heard_at:
        return False
    turn.ignore("stale")
    return True


def repeated(turn: CaseDecision) -> None:
    """The same word: told to nobody, but what is older than it is stale now."""
    heard_at = turn.case.outbound.heard_at
    if heard_at is None or turn.told_at <= heard_at:
        turn.ignore("repeated")
    else:
        turn.outbound(heard_at=turn.told_at)


def stop(turn: CaseDecision, cause: str) -> None:
    """Nothing is sent any more; a replacement that is under way in the warehouse is called back."""
    leg = turn.case.outbound
    if leg.status in GONE:
        turn.outbound(due_at=None)
        return
    if leg.shipped:  # some of it is on its way: only the rest is called back
        turn.outbound(status=OutboundStatus.SHIPPED, ordered=leg.shipped, due_at=None)
    else:
        turn.outbound(status=OutboundStatus.CANCELLED, due_at=None)
    if leg.status in WAITED_FOR:
        told = ReplacementCancelled(
            **turn.partner_ids, replacement_id=leg.replacement_id, cause=cause, cancelled_at=turn.now
        )
        turn.say(told)
