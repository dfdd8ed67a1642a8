"""Metrics of cases and of what they asked partners for."""

from libs.common.events.payment import RefundRequested
from libs.common.events.warehouse import ReplacementOrdered
from libs.common.runtime.service_metrics import ServiceMetrics
from libs.common.telemetry.metrics import Kind, Metric
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
OPEN = Metric("sakidashi.cases.open", Kind.GAUGE, "{case}", "Open cases, by status.", ("status",))
IN_REVIEW = Metric("sakidashi.cases.in_review", Kind.GAUGE, "{case}", "Cases that wait for a decision of staff.")


def add_metrics(metrics: ServiceMetrics) -> None:
    replacements, refunds = metrics.counter(REPLACEMENTS), metrics.counter(REFUNDS)
    metrics.on(ReplacementOrdered, lambda event: replacements.add(event.remedy or "replacement"))
    metrics.on(RefundRequested, lambda event: refunds.add(event.amount.currency, amount=float(event.amount.amount)))
    metrics.gauge(OPEN, open_cases)
    metrics.gauge(IN_REVIEW, cases_in_review)
