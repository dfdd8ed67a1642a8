"""Events that a case must have published, rebuilt from its state, for the comparison with those that arrived.

Only milestones that the state keeps are rebuilt. An interim event, such as a booked collection, is replaced by the next
one. A cause that the state does not keep is `unknown`.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from libs.common.events.issues import IssueEvent, IssueRefunded, IssueRefundRequested, IssueReopened
from libs.common.events.values import Money
from services.returns.domain.handlers.case_closure import cancelled_event, resolved_event
from services.returns.domain.handlers.outbound import dated_event, ordered_event
from services.returns.domain.handlers.refunds import payment_parts, request_data
from services.returns.domain.handlers.shipments import delivered_event, shipped_event
from services.returns.domain.state.case import ZERO, Case
from services.returns.domain.state.money_leg import RefundPayment
from services.returns.domain.state.outbound_leg import SHIPPED_OR_DELIVERED, OutboundLeg, OutboundStatus

UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class PublishedFact:
    """An event of a case. `at` is its time, or the earliest possible one."""

    payload: IssueEvent
    at: datetime


def published_facts(case: Case) -> Iterator[PublishedFact]:
    """Yield the milestones of a case, in their order."""
    for leg in case.replacements:
        yield from _of_replacement(case, leg)
    for refund in case.money.refunds:
        yield from _of_refund(case, refund)
    if case.cancelled_at:
        yield PublishedFact(cancelled_event(case, UNKNOWN, case.cancelled_at), case.cancelled_at)
    elif case.resolved_at:
        yield PublishedFact(resolved_event(case, case.resolved_at), case.resolved_at)
    elif case.resolution:
        reopened = IssueReopened(**case.ids, cause=UNKNOWN, resolution=case.resolution, reopened_at=case.accepted_at)
        yield PublishedFact(reopened, case.accepted_at)


def _of_replacement(case: Case, leg: OutboundLeg) -> Iterator[PublishedFact]:
    if not leg.promises:
        return
    yield PublishedFact(ordered_event(case, leg, case.accepted_at), case.accepted_at)
    if len(leg.promises) > 1:
        yield PublishedFact(dated_event(case, leg, None), leg.warehouse_updated_at or case.accepted_at)
    if leg is not case.outbound or case.shortage or case.cancelled_at or leg.status not in SHIPPED_OR_DELIVERED:
        return  # a replacement before this one, or one that was cancelled, may have shipped in part: an interim event
    shipped_at = leg.parcels[-1].shipped_at if leg.parcels else None
    if shipped_at and leg.expected_delivery:  # without it, only a part left before the order was replaced
        yield PublishedFact(shipped_event(case, leg), shipped_at)
    if leg.delivered_at and leg.status is OutboundStatus.DELIVERED:
        yield PublishedFact(delivered_event(case, leg), leg.delivered_at)


def _of_refund(case: Case, refund: RefundPayment) -> Iterator[PublishedFact]:
    request = IssueRefundRequested(**request_data(case, refund, refund.requested_at))
    yield PublishedFact(request, refund.requested_at)
    before, at = ZERO, refund.completed_at or refund.requested_at
    for payment, amount in refund.payments.items():
        if before >= refund.amount:
            return  # overpaid: a review, and no event
        after = min(before + amount, refund.amount)
        remaining = refund.amount - after
        refunded = IssueRefunded(
            **case.ids,
            refund_id=refund.refund_id,
            amount=Money(amount=amount, currency=case.currency),
            transaction_id=None if payment == f"{at.isoformat()} {amount}" else payment,
            remaining=Money(amount=remaining, currency=case.currency) if remaining else None,
            reason=case.reason,
            refunded_at=at,
            **payment_parts(case, refund, before, after),
        )
        yield PublishedFact(refunded, at)
        before = after
