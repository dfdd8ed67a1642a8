"""Metrics of partners: events taken from them, and webhooks sent to them."""

from libs.common.runtime.service_metrics import ServiceMetrics
from libs.common.telemetry.metrics import Kind, Metric
from services.partners.store.deliveries import oldest_pending
from services.partners.store.feed_reading import oldest_unread
from services.partners.store.subscriptions import subscription_states

RECEIVED = Metric(
    "sakidashi.partner.events.received",
    Kind.COUNTER,
    "{event}",
    "Events that partners sent over HTTP, by partner and outcome: `accepted`, `duplicate` or `refused`.",
    ("partner", "outcome"),
)
SENT = Metric(
    "sakidashi.partner.webhooks.sent",
    Kind.COUNTER,
    "{attempt}",
    "Attempts to send a webhook, by outcome: `delivered`, `failed` (it is tried again) or `given_up`.",
    ("outcome",),
)
SUBSCRIPTIONS = Metric(
    "sakidashi.partner.webhooks.subscriptions",
    Kind.GAUGE,
    "{subscription}",
    "Webhook subscriptions by partner and state: `active`, `paused` after failing for long, `disabled` by a 410.",
    ("partner", "state"),
)
OLDEST = Metric(
    "sakidashi.partner.webhooks.oldest_pending",
    Kind.GAUGE,
    "s",
    "Age of the oldest event that waits to be sent, by partner.",
    ("partner",),
)
UNREAD = Metric(
    "sakidashi.partner.feed.oldest_unread",
    Kind.GAUGE,
    "s",
    "Age of the oldest event that a partner without webhooks has not acknowledged, by partner.",
    ("partner",),
)


def add_metrics(metrics: ServiceMetrics) -> None:
    metrics.gauge(SUBSCRIPTIONS, subscription_states)
    metrics.gauge(OLDEST, oldest_pending)
    metrics.gauge(UNREAD, oldest_unread)
