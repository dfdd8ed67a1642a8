"""Metrics of cases and of what they asked partners for."""

from libs.common.events.issues import IssueRefunded, IssueReviewRequested
from libs.common.events.payment import RefundRequested
from libs.common.events.warehouse import ReplacementOrdered
from libs.common.runtime.service_metrics import ServiceMetrics
from libs.common.telemetry.metrics import Kind, Metric
from services.returns.domain.state.review_causes import ReviewCause
from services.returns.store.case_metrics import cases_in_review, open_cases

REPLACEMENTS = Metric(
    "sakidashi.replacements.ordered",
    Kind.COUNTER,
    "{order}",
    "Replacement orders to the warehouse, by remedy.",
    ("remedy",),
)
REFUNDS = Metric(
    "sakidashi.refunds.requested",
    Kind.COUNTER,
    "{currency}",
    "Amount of requested refunds, by currency.",
    ("currency",),
)
PAID = Metric(
    "sakidashi.refunds.paid",
    Kind.COUNTER,
    "{currency}",
    "Amount of refunds that the payment provider paid, by currency.",
    ("currency",),
)
FAILED = Metric("sakidashi.refunds.failed", Kind.COUNTER, "{refund}", "Refunds that failed for good and went to staff.")
REVIEWS = Metric("sakidashi.reviews.requested", Kind.COUNTER, "{review}", "Reviews by staff, by cause.", ("cause",))
OPEN = Metric("sakidashi.cases.open", Kind.GAUGE, "{case}", "Open cases, by status.", ("status",))
IN_REVIEW = Metric("sakidashi.cases.in_review", Kind.GAUGE, "{case}", "Cases that wait for a decision of staff.")


def add_metrics(metrics: ServiceMetrics) -> None:
    replacements, refunds = metrics.counter(REPLACEMENTS), metrics.counter(REFUNDS)
    paid, failed, reviews = (metrics.counter(each) for each in (PAID, FAILED, REVIEWS))

    def review_requested(event: IssueReviewRequested) -> None:
        reviews.add(event.cause)
        failed.add(amount=event.cause == ReviewCause.REFUND_FAILED)

    failed.add(amount=0)  # the series is there before its first count, for Prometheus to see the increase
    metrics.on(IssueReviewRequested, review_requested)
    metrics.on(IssueRefunded, lambda event: paid.add(event.amount.currency, amount=float(event.amount.amount)))
    metrics.on(ReplacementOrdered, lambda event: replacements.add(event.remedy or "replacement"))
    metrics.on(RefundRequested, lambda event: refunds.add(event.amount.currency, amount=float(event.amount.amount)))
    metrics.gauge(OPEN, open_cases)
    metrics.gauge(IN_REVIEW, cases_in_review)
