"""Metrics of partners: events taken from them."""

from libs.common.telemetry.metrics import Kind, Metric

RECEIVED = Metric(
    "sakidashi.partner.events.received",
    Kind.COUNTER,
    "{event}",
    "Events that partners sent over HTTP, by partner and outcome: `accepted`, `duplicate` or `refused`.",
    ("partner", "outcome"),
)
