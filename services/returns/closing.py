"""How a case ends, and how it goes on after its end."""

from dataclasses import replace

from libs.common.events.issues import IssueCancelled, IssueReopened, IssueResolved
from services.returns import inbound, money, outbound
from services.returns.case import Case, Inbound, InboundStatus, Outbound, OutboundStatus, Plan, ReviewCause, missing
from services.returns.commands import CancelRequested, ReopenRequested
from services.returns.policy import CollectOn, RefundOn, ShipOn
from services.returns.turn import Turn

HUMAN_FIRST = (
    ReviewCause.UNEXPECTED_ITEM,
    ReviewCause.INSPECTION_MISMATCH,
    ReviewCause.REFUND_DIFFERS,
    ReviewCause.MOVED_AFTER_STOP,
)
"""Reviews that do not settle themselves: a case does not end before a human has decided them."""


def is_done(case: Case) -> bool:
    """Whether every leg that the plan wants is done."""
    return _outbound_done(case) and _inbound_done(case) and _money_done(case)


def _outbound_done(case: Case) -> bool:
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


def resolve_if_done(turn: Turn) -> None:
    case = turn.case
    if case.is_closed or case.in_review(*HUMAN_FIRST) or not is_done(case):
        return
    turn.change(resolution=case.resolution + 1, resolved_at=turn.now, question=None, reviews=(), address_due_at=None)
    told = IssueResolved(
        **turn.ids,
        remedy=case.plan.remedy,
        reason=case.reason,
        fault=case.fault,
        value=case.value,
        resolution=turn.case.resolution,
        resolved_at=turn.now,
    )
    turn.say(told)


def is_cancellable(case: Case) -> bool:
    """Only while nothing has left, come back or been paid."""
    still_here = case.outbound.status not in outbound.GONE and case.outbound.delivered_at is None
    untouched = not case.inbound.received and case.inbound.status is not InboundStatus.COLLECTED
    return not case.is_closed and still_here and untouched and not case.money.refunds


def cancel(turn: Turn, cause: str) -> None:
    if not is_cancellable(turn.case):
        turn.ignore("too_late_to_cancel")
        return
    outbound.stop(turn, cause)
    inbound.stop(turn, cause)
    turn.change(cancelled_at=turn.now, question=None, reviews=(), address_due_at=None)
    turn.say(IssueCancelled(**turn.ids, cause=cause, cancelled_at=turn.now))


def cancel_requested(turn: Turn, command: CancelRequested) -> None:
    cancel(turn, command.cause)


def reopen(turn: Turn, command: ReopenRequested) -> None:
    """What was put right was not: the legs start anew, under the same plan or the remedy a human names."""
    case, rule = turn.case, turn.rules.policy.reasons[turn.case.reason]
    remedy = command.remedy or case.plan.remedy
    if case.resolved_at is None:
        turn.ignore("not_resolved")
    elif case.money.refunds:
        turn.ignore("already_refunded")
    elif remedy not in rule.remedies:
        turn.ignore("remedy_not_allowed")
    else:
        turn.change(
            plan=Plan.of(remedy, rule.remedies[remedy]),
            policy_version=turn.rules.policy.version,
            outbound=Outbound(number=case.outbound.number),
            inbound=Inbound(number=case.inbound.number),
            money=replace(case.money, asked={}),
            resolved_at=None,
        )
        turn.say(IssueReopened(**turn.ids, cause=command.cause, resolution=case.resolution, reopened_at=turn.now))
