"""How a case ends, and how it goes on after its end."""

from datetime import datetime
from itertools import pairwise

from libs.common.decisions.fast_replace import replace
from libs.common.events.issues import IssueCancelled, IssueReopened, IssueResolved
from libs.common.events.values import Remedy
from services.returns.domain.case import Case, Plan
from services.returns.domain.commands import CancelRequested, ReopenRequested
from services.returns.domain.decision_context import CaseDecision
from services.returns.domain.handlers import inbound
from services.returns.domain.handlers import refunds as money
from services.returns.domain.legs.inbound import Inbound, InboundStatus
from services.returns.domain.legs.outbound import Outbound, OutboundStatus
from services.returns.domain.line_quantities import missing
from services.returns.domain.replacement_matching import has_moved, stop, with_former
from services.returns.domain.review_causes import ReviewCause
from services.returns.policy.policy import CollectOn, RefundOn, ShipOn

HUMAN_FIRST = (
    ReviewCause.UNEXPECTED_ITEM,
    ReviewCause.INSPECTION_MISMATCH,
    ReviewCause.REFUND_DIFFERS,
    ReviewCause.MOVED_AFTER_STOP,
)
"""Reviews that do not settle themselves: a case does not end before a human has decided them."""

NOT_AS_REPORTED = "not_as_reported"
"""The cause of an end by inspection; loyalty takes back what was granted."""


def is_done(case: Case) -> bool:
    """Whether every leg that the plan wants is done."""
    return _outbound_done(case) and _inbound_done(case) and _money_done(case)


def _outbound_done(case: Case) -> bool:
    if case.short:
        return False
    return case.plan.ship_on is ShipOn.NEVER or case.outbound.status is OutboundStatus.DELIVERED


def _inbound_done(case: Case) -> bool:
    if case.plan.collect_on is CollectOn.NEVER or case.inbound.status is InboundStatus.WAIVED:
        return True
    wanted = InboundStatus.INSPECTED if case.plan.inspect else InboundStatus.RECEIVED
    return case.inbound.status is wanted


def _money_done(case: Case) -> bool:
    if case.plan.refund_on is RefundOn.NEVER:
        return money.is_paid(case)
    everything = case.inbound.status is InboundStatus.WAIVED or not missing(case.reported, case.money.asked)
    return everything and money.is_paid(case)


def resolve_if_done(turn: CaseDecision) -> None:
    case = turn.case
    if case.is_closed or case.in_review(*HUMAN_FIRST) or not is_done(case):
        return
    turn.change(resolution=case.resolution + 1, resolved_at=turn.now, question=None, reviews=(), address_due_at=None)
    if turn.case.inbound.remind_at:
        turn.inbound(remind_at=None)
    told = IssueResolved(
        **turn.ids,
        remedy=case.plan.remedy,
        reason=case.reason,
        fault=case.fault,
        value=case.value,
        resolution=turn.case.resolution,
        resolved_at=turn.now,
        waited_days=max(0, (_had_it_at(turn) - case.accepted_at).days),
        promises_broken=sum(broken(leg) for leg in with_former(case)),
        requested_remedy_granted=case.requested_remedy in (None, case.plan.remedy) and not case.money.instead,
    )
    turn.say(told)


def _had_it_at(turn: CaseDecision) -> datetime:
    """When the customer had what they were to get: the goods, or the last of the money."""
    paid = [refund.completed_at for refund in turn.case.money.refunds if refund.completed_at]
    had = [moment for moment in (turn.case.outbound.delivered_at, *paid) if moment]
    return max(had, default=turn.now)


def broken(leg: Outbound) -> int:
    """How many of its promised dates were not kept."""
    days = [promise.ship_date for promise in leg.promises]
    return sum(later > earlier for earlier, later in pairwise(days))


def is_cancellable(case: Case) -> bool:
    """Only while nothing has left, come back or been paid."""
    still_here = not any(has_moved(leg) for leg in with_former(case))
    untouched = not case.inbound.received and case.inbound.status is not InboundStatus.COLLECTED
    return not case.is_closed and still_here and untouched and not case.money.refunds


def cancel(turn: CaseDecision, cause: str) -> None:
    if not is_cancellable(turn.case):
        turn.ignore("too_late_to_cancel")
        return
    end(turn, cause)


def end(turn: CaseDecision, cause: str) -> None:
    """Nothing is sent or fetched any more, whatever has moved; for the cases in which that is right."""
    stop(turn, cause)
    inbound.stop(turn, cause)
    turn.inbound(remind_at=None)
    turn.change(cancelled_at=turn.now, question=None, short=None, reviews=(), address_due_at=None)
    turn.say(IssueCancelled(**turn.ids, cause=cause, cancelled_at=turn.now))


def reject(turn: CaseDecision) -> None:
    """What came back is not what was reported: the case ends, and a resolution that it already had does not hold.

    What has left or been paid stays so, but nothing more is; other reviews that only a human can settle stay open.
    """
    case = turn.case
    if case.cancelled_at:
        return
    if case.resolved_at:
        turn.change(resolved_at=None)
        turn.say(_reopened(turn, NOT_AS_REPORTED))
    money.stop(turn)
    end(turn, NOT_AS_REPORTED)
    turn.change(reviews=tuple(review for review in case.reviews if review.cause in HUMAN_FIRST))


def _reopened(turn: CaseDecision, cause: str) -> IssueReopened:
    return IssueReopened(**turn.ids, cause=cause, resolution=turn.case.resolution, reopened_at=turn.now)


def cancel_requested(turn: CaseDecision, command: CancelRequested) -> None:
    cancel(turn, command.cause)


def go_on(turn: CaseDecision, cause: str) -> None:
    """A resolved case goes on where it was."""
    if turn.case.resolved_at:
        turn.change(resolved_at=None)
        turn.say(_reopened(turn, cause))


def choose_remedy(turn: CaseDecision, remedy: Remedy) -> None:
    """Put it right in another way, as long as nothing has moved yet; what was resolved starts anew with it."""
    case = turn.case
    if case.resolved_at:
        reopen_with(turn, "another_remedy", remedy)
    elif case.cancelled_at:
        turn.ignore("case_closed")
    elif remedy not in turn.rule.remedies:
        turn.ignore("remedy_not_allowed")
    elif remedy is case.plan.remedy:
        turn.ignore("remedy_unchanged")
    elif not is_cancellable(case):
        turn.ignore("too_late_for_another_remedy")
    else:
        _change_remedy(turn, remedy)


def _change_remedy(turn: CaseDecision, remedy: Remedy) -> None:
    stop(turn, "another_remedy")
    if turn.case.inbound.status is not InboundStatus.NONE:
        inbound.hold(turn)
    turn.plan_for(remedy)
    turn.withdraw(ReviewCause.NO_DECISION, ReviewCause.WAREHOUSE_SILENT, ReviewCause.NOT_SHIPPING)
    fresh = Outbound(number=turn.case.outbound.number)
    turn.change(formers=with_former(turn.case), outbound=fresh, question=None, short=None)


def reopen(turn: CaseDecision, command: ReopenRequested) -> None:
    reopen_with(turn, command.cause, command.remedy)


def reopen_with(turn: CaseDecision, cause: str, chosen: Remedy | None) -> None:
    """What was put right was not: the legs start anew, under the same plan or the remedy a human names."""
    case, rule = turn.case, turn.rule
    remedy = chosen or case.plan.remedy
    if case.resolved_at is None:
        turn.ignore("not_resolved")
    elif case.money.refunds:
        turn.ignore("already_refunded")
    elif turn.around.reported_anew:
        turn.ignore("already_reported")
    elif remedy not in rule.remedies:
        turn.ignore("remedy_not_allowed")
    else:
        turn.change(
            plan=Plan.of(remedy, rule.remedies[remedy]),
            formers=with_former(case),
            outbound=Outbound(number=case.outbound.number),
            inbound=Inbound(number=case.inbound.number),
            money=replace(case.money, asked={}),
            reviews=tuple(turn.awake(review) for review in case.reviews),
            short=None,
            resolved_at=None,
        )
        turn.say(_reopened(turn, cause))
