"""The money leg: what goes back to the customer, for units that were counted (invariant 7).

Each unit is paid for once. A refund that does not go through is asked for again under the same id, so that the provider
can tell a repetition from a second refund. Nothing is ever charged here (invariant 8).
"""

from typing import Any
from uuid import UUID

from libs.common.decisions.fast_replace import replace
from libs.common.decisions.ids import derived_id
from libs.common.events.issues import IssueRefunded, IssueRefundRequested
from libs.common.events.payment import RefundCompleted, RefundFailed, RefundRequested
from libs.common.events.values import Money
from services.returns.domain.case import Case
from services.returns.domain.decision_context import CaseDecision
from services.returns.domain.legs.money import Refund, RefundStatus
from services.returns.domain.line_quantities import Counts, added, missing, shared
from services.returns.domain.review_causes import ReviewCause
from services.returns.policy.policy import CollectOn, RefundOn


def owed(case: Case) -> Counts:
    """Units to be paid back by now that were not yet."""
    if case.plan.refund_on is RefundOn.NEVER and not case.money.instead:
        return {}
    return added(_by_plan(case), _instead(case))


def _instead(case: Case) -> Counts:
    """What could not be replaced with the others: at once, or when all that is to come back has."""
    if not case.money.instead:
        return {}
    here = case.plan.collect_on is CollectOn.NEVER or case.inbound.is_waived
    whole = here or not missing(case.reported, case.inbound.received)
    return missing(case.money.instead, case.money.asked) if whole else {}


def pay_instead(turn: CaseDecision, counts: Counts) -> None:
    """These are not sent any more; the customer wants the money."""
    leg = turn.case.money
    turn.change(money=replace(leg, instead=added(leg.instead, counts)))


def _by_plan(case: Case) -> Counts:
    match case.plan.refund_on:
        case RefundOn.ACCEPTED:
            return missing(case.reported, case.money.asked)
        case RefundOn.RECEIVED:
            return missing(shared(case.inbound.received, case.reported), case.money.asked)
        case _:
            return {}


def ask(turn: CaseDecision, counts: Counts) -> None:
    """Ask for these units' price; what cost nothing needs no payment."""
    leg, amount = turn.case.money, turn.case.worth(counts)
    turn.change(money=replace(leg, asked=added(leg.asked, counts)))
    if amount <= 0:
        return
    refund = Refund(
        refund_id=derived_id("refund", turn.case.issue_id, len(leg.refunds) + 1),
        amount=amount,
        status=RefundStatus.REQUESTED,
        attempts=0,
        requested_at=turn.now,
        counts=counts,
    )
    turn.change(money=replace(turn.case.money, refunds=(*leg.refunds, refund)))
    _send(turn, refund)
    told = IssueRefundRequested(
        **turn.ids, refund_id=refund.refund_id, amount=_money(turn, refund), requested_at=turn.now
    )
    turn.say(told)


def _send(turn: CaseDecision, refund: Refund) -> None:
    _update(
        turn,
        refund,
        status=RefundStatus.REQUESTED,
        attempts=refund.attempts + 1,
        requested_at=turn.now,
        due_at=turn.after(hours=turn.terms.refund_answer_hours),
    )
    turn.say(
        RefundRequested(**turn.ids, refund_id=refund.refund_id, amount=_money(turn, refund), requested_at=turn.now)
    )


def completed(turn: CaseDecision, fact: RefundCompleted) -> None:
    refund = _find(turn, fact.refund_id)
    if refund is None:
        turn.anomaly("unknown_refund")
    elif refund.status is RefundStatus.COMPLETED:
        turn.ignore("repeated")
    else:
        _update(turn, refund, status=RefundStatus.COMPLETED, completed_at=fact.completed_at, due_at=None)
        turn.say(IssueRefunded(**turn.ids, refund_id=fact.refund_id, amount=fact.amount, refunded_at=fact.completed_at))
        if not any(refund.status is RefundStatus.FAILED for refund in turn.case.money.refunds):
            turn.withdraw(ReviewCause.REFUND_FAILED)
        if fact.amount != _money(turn, refund):
            turn.anomaly("refund_differs")
            turn.review(ReviewCause.REFUND_DIFFERS)


def failed(turn: CaseDecision, fact: RefundFailed) -> None:
    refund = _find(turn, fact.refund_id)
    if refund is None:
        turn.anomaly("unknown_refund")
    elif refund.status is not RefundStatus.REQUESTED or fact.failed_at < refund.requested_at:
        turn.ignore("overtaken")
    elif fact.retriable and refund.attempts < turn.terms.refund_max_attempts:
        pause = turn.terms.refund_retry_hours * refund.attempts
        _update(turn, refund, status=RefundStatus.RETRYING, due_at=turn.after(hours=pause))
    else:
        _give_up(turn, refund)


def _give_up(turn: CaseDecision, refund: Refund) -> None:
    _update(turn, refund, status=RefundStatus.FAILED, due_at=None)
    turn.review(ReviewCause.REFUND_FAILED)


def due(turn: CaseDecision) -> None:
    """Refunds whose time to be asked for again has come, or that nobody answered."""
    for refund in turn.case.money.refunds:
        if refund.due_at is None or refund.due_at > turn.now:
            continue
        if refund.status is RefundStatus.RETRYING or refund.attempts < turn.terms.refund_max_attempts:
            _send(turn, refund)
        else:
            _give_up(turn, refund)


def stop(turn: CaseDecision) -> None:
    """Nothing is asked for any more; what the provider already has may still come through, and is then told."""
    for refund in turn.case.money.refunds:
        if refund.status is not RefundStatus.COMPLETED:
            _update(turn, refund, status=RefundStatus.STOPPED, due_at=None)


def ask_for_late_receipt(turn: CaseDecision) -> None:
    """A human wants paid back what was to be paid on receipt and came back only after the case had ended."""
    counts = owed(turn.case)
    if turn.case.is_closed and turn.case.plan.refund_on is RefundOn.RECEIVED and counts:
        ask(turn, counts)


def ask_again(turn: CaseDecision) -> None:
    """A human has settled with the provider why it failed."""
    for refund in turn.case.money.refunds:
        if refund.status is RefundStatus.FAILED:
            _send(turn, replace(refund, attempts=0))


def is_paid(case: Case) -> bool:
    """Whether nothing is owed and everything asked for went through."""
    return not owed(case) and all(refund.status is RefundStatus.COMPLETED for refund in case.money.refunds)


def _find(turn: CaseDecision, refund_id: UUID) -> Refund | None:
    return next((refund for refund in turn.case.money.refunds if refund.refund_id == refund_id), None)


def _update(turn: CaseDecision, refund: Refund, **changes: Any) -> None:
    leg, changed = turn.case.money, replace(refund, **changes)
    refunds = tuple(changed if known.refund_id == refund.refund_id else known for known in leg.refunds)
    turn.change(money=replace(leg, refunds=refunds))


def _money(turn: CaseDecision, refund: Refund) -> Money:
    return Money(amount=refund.amount, currency=turn.case.currency)
