"""Money leg: refunds for counted units (invariant 7).

Each unit is refunded once. A failed refund is requested again under the same id, so that the provider can deduplicate
it. Nothing is charged from here (invariant 8).
"""

from typing import Any
from uuid import UUID

from libs.common.decisions.fast_replace import replace
from libs.common.decisions.ids import derived_id
from libs.common.events.issues import IssueRefunded, IssueRefundRequested
from libs.common.events.payment import RefundCompleted, RefundFailed, RefundRequested
from libs.common.events.values import Money
from services.returns.domain.decision_context import CaseDecision
from services.returns.domain.state.case import Case
from services.returns.domain.state.line_quantities import UnitCounts, add_counts, common_counts, missing
from services.returns.domain.state.money_leg import RefundPayment, RefundStatus
from services.returns.domain.state.review_causes import ReviewCause
from services.returns.policy.movements import CollectOn, RefundOn


def owed_units(case: Case) -> UnitCounts:
    """Return the units that are to be refunded now and were not requested yet."""
    if case.plan.refund_on is RefundOn.NEVER and not case.money.refund_instead:
        return {}
    return add_counts(_owed_by_plan(case), _owed_instead(case))


def _owed_by_plan(case: Case) -> UnitCounts:
    match case.plan.refund_on:
        case RefundOn.ACCEPTED:
            return missing(case.reported_units, case.money.requested_units)
        case RefundOn.RECEIVED:
            received = common_counts(case.inbound.received, case.reported_units)
            return missing(received, case.money.requested_units)
        case _:
            return {}


def _owed_instead(case: Case) -> UnitCounts:
    """Return units refunded instead of replaced, once everything that has to come back is received."""
    if not case.money.refund_instead:
        return {}
    nothing_returns = case.plan.collect_on is CollectOn.NEVER or case.inbound.is_waived
    is_returned = nothing_returns or not missing(case.reported_units, case.inbound.received)
    return missing(case.money.refund_instead, case.money.requested_units) if is_returned else {}


def refund_unavailable(decision: CaseDecision, counts: UnitCounts) -> None:
    """Plan a refund for units that will not ship."""
    leg = decision.case.money
    decision.change(money=replace(leg, refund_instead=add_counts(leg.refund_instead, counts)))


def request_refund(decision: CaseDecision, counts: UnitCounts) -> None:
    """Request the price of these units; free units need no payment."""
    leg, amount = decision.case.money, decision.case.value_of(counts)
    decision.change(money=replace(leg, requested_units=add_counts(leg.requested_units, counts)))
    if amount <= 0:
        return
    refund = RefundPayment(
        refund_id=derived_id("refund", decision.case.issue_id, len(leg.refunds) + 1),
        amount=amount,
        status=RefundStatus.REQUESTED,
        attempts=0,
        requested_at=decision.now,
        counts=counts,
    )
    decision.change(money=replace(decision.case.money, refunds=(*leg.refunds, refund)))
    _send_request(decision, refund)
    decision.emit(IssueRefundRequested(**_request_data(decision, refund)))


def _send_request(decision: CaseDecision, refund: RefundPayment) -> None:
    _update(
        decision,
        refund,
        status=RefundStatus.REQUESTED,
        attempts=refund.attempts + 1,
        requested_at=decision.now,
        due_at=decision.after(hours=decision.limits.refund_answer_hours),
    )
    decision.emit(RefundRequested(**_request_data(decision, refund)))


def _request_data(decision: CaseDecision, refund: RefundPayment) -> dict[str, Any]:
    return {
        **decision.ids,
        "refund_id": refund.refund_id,
        "amount": _amount(decision, refund),
        "requested_at": decision.now,
    }


def completed(decision: CaseDecision, fact: RefundCompleted) -> None:
    refund = _find(decision, fact.refund_id)
    if refund is None:
        decision.anomaly("unknown_refund")
    elif refund.status is RefundStatus.COMPLETED:
        decision.ignore("duplicate")
    else:
        _update(decision, refund, status=RefundStatus.COMPLETED, completed_at=fact.completed_at, due_at=None)
        refunded = {"refund_id": fact.refund_id, "amount": fact.amount, "refunded_at": fact.completed_at}
        decision.emit(IssueRefunded(**decision.ids, **refunded))
        if not any(other.status is RefundStatus.FAILED for other in decision.case.money.refunds):
            decision.close_reviews(ReviewCause.REFUND_FAILED)
        if fact.amount != _amount(decision, refund):
            decision.anomaly("refund_differs")
            decision.open_review(ReviewCause.REFUND_DIFFERS)


def failed(decision: CaseDecision, fact: RefundFailed) -> None:
    refund = _find(decision, fact.refund_id)
    if refund is None:
        decision.anomaly("unknown_refund")
    elif refund.status is not RefundStatus.REQUESTED or fact.failed_at < refund.requested_at:
        decision.ignore("superseded")
    elif fact.retriable and refund.attempts < decision.limits.refund_max_attempts:
        backoff = decision.limits.refund_retry_hours * refund.attempts
        _update(decision, refund, status=RefundStatus.RETRYING, due_at=decision.after(hours=backoff))
    else:
        _give_up(decision, refund)


def _give_up(decision: CaseDecision, refund: RefundPayment) -> None:
    _update(decision, refund, status=RefundStatus.FAILED, due_at=None)
    decision.open_review(ReviewCause.REFUND_FAILED)


def on_timer(decision: CaseDecision) -> None:
    """Retry refunds whose backoff or answer deadline has passed."""
    for refund in decision.case.money.refunds:
        if refund.due_at is None or refund.due_at > decision.now:
            continue
        if refund.status is RefundStatus.RETRYING or refund.attempts < decision.limits.refund_max_attempts:
            _send_request(decision, refund)
        else:
            _give_up(decision, refund)


def stop(decision: CaseDecision) -> None:
    """Stop all retries; the provider may still complete a request that it has."""
    for refund in decision.case.money.refunds:
        if refund.status is not RefundStatus.COMPLETED:
            _update(decision, refund, status=RefundStatus.STOPPED, due_at=None)


def refund_late_receipt(decision: CaseDecision) -> None:
    """Request the refund for units that were received after the case was closed."""
    counts = owed_units(decision.case)
    if decision.case.is_closed and decision.case.plan.refund_on is RefundOn.RECEIVED and counts:
        request_refund(decision, counts)


def retry_failed(decision: CaseDecision) -> None:
    """Request failed refunds again, after staff solved the cause with the provider."""
    for refund in decision.case.money.refunds:
        if refund.status is RefundStatus.FAILED:
            _send_request(decision, replace(refund, attempts=0))


def is_settled(case: Case) -> bool:
    """Return whether nothing is owed and every refund is completed."""
    return not owed_units(case) and all(refund.status is RefundStatus.COMPLETED for refund in case.money.refunds)


def _find(decision: CaseDecision, refund_id: UUID) -> RefundPayment | None:
    return next((refund for refund in decision.case.money.refunds if refund.refund_id == refund_id), None)


def _update(decision: CaseDecision, refund: RefundPayment, **changes: Any) -> None:
    leg, changed = decision.case.money, replace(refund, **changes)
    refunds = tuple(changed if each.refund_id == refund.refund_id else each for each in leg.refunds)
    decision.change(money=replace(leg, refunds=refunds))


def _amount(decision: CaseDecision, refund: RefundPayment) -> Money:
    return Money(amount=refund.amount, currency=decision.case.currency)
