"""Money leg: refunds for counted units (invariant 7).

Each unit is refunded once, for what it cost (`refund_pricing`). A failed refund is requested again under the same id,
so that the provider can deduplicate it. Its payments are counted by transaction: parts add up, and a second payment of
the same refund is a second payment. Nothing is charged from here (invariant 8).
"""

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from libs.common.decisions.fast_replace import replace
from libs.common.decisions.ids import derived_id
from libs.common.events.issues import IssueRefunded, IssueRefundRequested, IssueRefundReversed
from libs.common.events.payment import RefundCompleted, RefundFailed, RefundRequested, RefundReversed
from libs.common.events.values import Money, PaidLine
from services.returns.domain.context import CaseDecision
from services.returns.domain.handlers.refund_pricing import RefundPrice, price_refund
from services.returns.domain.state.case import Case
from services.returns.domain.state.line_quantities import UnitCounts, add_counts, common_counts, missing
from services.returns.domain.state.money_leg import RefundPayment, RefundStatus
from services.returns.domain.state.order_ledger import ZERO, allocate
from services.returns.domain.state.review_causes import ReviewCause
from services.returns.policy.movements import CollectOn, RefundOn

_SHIPPING = ""
"""Key of the shipping fee beside the order lines."""


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
            received = common_counts(case.inbound.received, case.returnable_units)
            return missing(add_counts(received, case.kept_units), case.money.requested_units)
        case _:
            return {}


def _owed_instead(case: Case) -> UnitCounts:
    """Return units refunded instead of replaced, once everything that has to come back is received."""
    if not case.money.refund_instead:
        return {}
    nothing_returns = case.plan.collect_on is CollectOn.NEVER or case.inbound.is_waived
    is_returned = nothing_returns or not missing(case.returnable_units, case.inbound.received)
    return missing(case.money.refund_instead, case.money.requested_units) if is_returned else {}


def refund_unavailable(decision: CaseDecision, counts: UnitCounts) -> None:
    """Plan a refund for units that will not ship."""
    leg = decision.case.money
    decision.change(money=replace(leg, refund_instead=add_counts(leg.refund_instead, counts)))


def request_refund(decision: CaseDecision, counts: UnitCounts) -> None:
    """Request what these units cost; units that cost nothing, or whose money went back already, need no payment."""
    leg, price = decision.case.money, price_refund(decision, counts)
    decision.change(money=replace(leg, requested_units=add_counts(leg.requested_units, counts)))
    if price.amount > 0:
        _add_refund(decision, price, counts)


def _add_refund(decision: CaseDecision, price: RefundPrice, counts: UnitCounts) -> None:
    leg = decision.case.money
    refund = RefundPayment(
        refund_id=derived_id("refund", decision.case.issue_id, len(leg.refunds) + 1),
        amount=price.amount,
        status=RefundStatus.REQUESTED,
        attempts=0,
        requested_at=decision.now,
        counts=counts,
        line_amounts=price.line_amounts,
        shipping=price.shipping,
    )
    decision.change(money=replace(leg, refunds=(*leg.refunds, refund)))
    _send_request(decision, refund)
    decision.emit(IssueRefundRequested(**request_data(decision.case, refund, decision.now)))


def _send_request(decision: CaseDecision, refund: RefundPayment) -> None:
    _update(
        decision,
        refund,
        status=RefundStatus.REQUESTED,
        attempts=refund.attempts + 1,
        requested_at=decision.now,
        due_at=decision.after(hours=decision.limits.refund_answer_hours),
    )
    order = decision.customer.order
    reference = order.payment_reference if order else None
    decision.emit(RefundRequested(**request_data(decision.case, refund, decision.now), payment_reference=reference))


def request_data(case: Case, refund: RefundPayment, requested_at: datetime) -> dict[str, Any]:
    return {
        **case.ids,
        "refund_id": refund.refund_id,
        "amount": _money(case, refund.amount),
        "requested_at": requested_at,
        **_parts(case, refund, refund.line_amounts, refund.shipping),
    }


def _parts(case: Case, refund: RefundPayment, amounts: Mapping[str, Decimal], shipping: Decimal) -> dict[str, Any]:
    """Return lines and shipping of an event about this refund."""
    lines = tuple(
        PaidLine(line_id=line_id, quantity=refund.counts[line_id], amount=_money(case, amount))
        for line_id, amount in amounts.items()
        if refund.counts.get(line_id)
    )
    return {"lines": lines, "shipping": _money(case, shipping) if shipping else None}


def completed(decision: CaseDecision, event: RefundCompleted) -> None:
    """Add a payment to its refund: parts add up, and more than was asked for goes to staff."""
    refund = _find(decision, event.refund_id)
    # Without a transaction id, only an equal amount at an equal time is known to be the same payment.
    payment = event.transaction_id or f"{event.completed_at.isoformat()} {event.amount.amount}"
    if refund is None:
        decision.anomaly("unknown_refund")
        return
    if payment in refund.payments:
        decision.ignore("duplicate")
        return
    paid = refund.paid + event.amount.amount
    is_known = event.amount.currency == decision.case.currency
    _update(decision, refund, payments={**refund.payments, payment: event.amount.amount})
    if paid > refund.amount or not is_known:
        decision.anomaly("refund_overpaid")
        decision.open_review(ReviewCause.REFUND_OVERPAID)
    if refund.status is not RefundStatus.COMPLETED:
        _record_payment(decision, refund, event, min(paid, refund.amount))


def _record_payment(decision: CaseDecision, refund: RefundPayment, event: RefundCompleted, paid: Decimal) -> None:
    remaining = refund.amount - paid
    if remaining > 0:
        due_at = decision.after(hours=decision.limits.refund_answer_hours)
        _update(decision, _current(decision, refund), status=RefundStatus.PARTLY_PAID, due_at=due_at)
    else:
        done = {"status": RefundStatus.COMPLETED, "completed_at": event.completed_at, "due_at": None}
        _update(decision, _current(decision, refund), **done)
        if not any(other.status is RefundStatus.FAILED for other in decision.case.money.refunds):
            decision.close_reviews(ReviewCause.REFUND_FAILED)
        if not any(other.status is RefundStatus.PARTLY_PAID for other in decision.case.money.refunds):
            decision.close_reviews(ReviewCause.REFUND_DIFFERS)
    decision.emit(
        IssueRefunded(
            **decision.ids,
            refund_id=event.refund_id,
            amount=event.amount,
            transaction_id=event.transaction_id,
            remaining=_money(decision.case, remaining) if remaining else None,
            reason=decision.case.reason,
            refunded_at=event.completed_at,
            **payment_parts(decision.case, refund, min(refund.paid, refund.amount), paid),
        )
    )


def payment_parts(case: Case, refund: RefundPayment, before: Decimal, after: Decimal) -> dict[str, Any]:
    """Return the parts of one payment: of all payments together they are those of the refund."""
    earlier, later = _split(case, refund, before), _split(case, refund, after)
    amounts = {line_id: later[line_id] - earlier[line_id] for line_id in refund.line_amounts}
    return _parts(case, refund, amounts, later[_SHIPPING] - earlier[_SHIPPING])


def _split(case: Case, refund: RefundPayment, paid: Decimal) -> dict[str, Decimal]:
    """Return lines and shipping of the first `paid` of a refund."""
    weights = {**refund.line_amounts, _SHIPPING: refund.shipping}
    return weights if paid == refund.amount else allocate(paid, weights, case.currency)


def reversed_by_bank(decision: CaseDecision, event: RefundReversed) -> None:
    """Count money that came back as not paid, and ask staff where it shall go."""
    refund = _find(decision, event.refund_id)
    if refund is None:
        decision.anomaly("unknown_refund")
    elif event.transaction_id in refund.reversals:
        decision.ignore("duplicate")
    else:
        reversals = {**refund.reversals, event.transaction_id: event.amount.amount}
        _update(decision, refund, reversals=reversals)
        decision.emit(
            IssueRefundReversed(
                **decision.ids,
                refund_id=event.refund_id,
                transaction_id=event.transaction_id,
                amount=event.amount,
                reason=decision.case.reason,
                reversed_at=event.reversed_at,
                **payment_parts(decision.case, refund, ZERO, min(event.amount.amount, refund.amount)),
            )
        )
        decision.open_review(ReviewCause.REFUND_REVERSED)


def pay_again(decision: CaseDecision) -> None:
    """Request what came back as refunds of their own, as staff decided; the provider knows the old ones as paid."""
    for refund in decision.case.money.refunds:
        back = min(sum(refund.reversals.values(), ZERO), refund.amount)
        if back > 0:
            _move_to_new_refund(decision, refund, back)


def _move_to_new_refund(decision: CaseDecision, refund: RefundPayment, amount: Decimal) -> None:
    """Take an amount out of a refund, and request it as another one."""
    kept = _split(decision.case, refund, refund.amount - amount)
    moved = {line_id: whole - kept[line_id] for line_id, whole in refund.line_amounts.items()}
    price = RefundPrice(moved, refund.shipping - kept[_SHIPPING])
    _update(
        decision,
        refund,
        amount=refund.amount - amount,
        line_amounts={line_id: kept[line_id] for line_id in refund.line_amounts},
        shipping=kept[_SHIPPING],
        status=RefundStatus.COMPLETED,
        completed_at=refund.completed_at or decision.now,
        due_at=None,
        reversals={},
    )
    _add_refund(decision, price, refund.counts)


def failed(decision: CaseDecision, event: RefundFailed) -> None:
    refund = _find(decision, event.refund_id)
    if refund is None:
        decision.anomaly("unknown_refund")
    elif refund.status is not RefundStatus.REQUESTED or event.failed_at < refund.requested_at:
        decision.ignore("superseded")
    elif event.retriable and refund.attempts < decision.limits.refund_max_attempts:
        backoff = decision.limits.refund_retry_hours * refund.attempts
        _update(decision, refund, status=RefundStatus.RETRYING, due_at=decision.after(hours=backoff))
    else:
        _give_up(decision, refund)


def _give_up(decision: CaseDecision, refund: RefundPayment) -> None:
    _update(decision, refund, status=RefundStatus.FAILED, due_at=None)
    decision.open_review(ReviewCause.REFUND_FAILED)


def on_timer(decision: CaseDecision) -> None:
    """Retry refunds whose backoff or answer deadline has passed; staff look after one that stays paid in part."""
    for refund in decision.case.money.refunds:
        if refund.due_at is None or refund.due_at > decision.now:
            continue
        if refund.status is RefundStatus.PARTLY_PAID:
            _update(decision, refund, due_at=None)
            decision.anomaly("refund_differs")
            decision.open_review(ReviewCause.REFUND_DIFFERS)
        elif refund.status is RefundStatus.RETRYING or refund.attempts < decision.limits.refund_max_attempts:
            _send_request(decision, refund)
        else:
            _give_up(decision, refund)


def accept_difference(decision: CaseDecision) -> None:
    """Take refunds that were paid in part as they are, as staff decided."""
    for refund in decision.case.money.refunds:
        if refund.status is RefundStatus.PARTLY_PAID:
            done = {"status": RefundStatus.COMPLETED, "completed_at": decision.now, "due_at": None}
            _update(decision, refund, **done)


def request_rest(decision: CaseDecision) -> None:
    """Request what is missing of refunds that were paid in part, as staff decided."""
    for refund in decision.case.money.refunds:
        if refund.status is RefundStatus.PARTLY_PAID:
            _move_to_new_refund(decision, refund, refund.amount - refund.paid)


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


def _current(decision: CaseDecision, refund: RefundPayment) -> RefundPayment:
    """Return the refund as it is now."""
    return _find(decision, refund.refund_id) or refund


def _money(case: Case, amount: Decimal) -> Money:
    return Money(amount=amount, currency=case.currency)
