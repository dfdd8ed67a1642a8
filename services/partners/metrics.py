"""Metrics of partners: events taken from them, and webhooks sent to them."""

from collections.abc import Collection, Mapping
from datetime import datetime
from functools import partial

from libs.common.postgres.pool import Connection
from libs.common.runtime.database_metrics import Query
from libs.common.runtime.service_metrics import ServiceMetrics
from libs.common.telemetry.metrics import Kind, Label, Metric
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


def add_metrics(metrics: ServiceMetrics, partners: Collection[str]) -> None:
    """Export the gauges of these partners; one that was removed from the file raises no alert."""
    for metric, query in ((SUBSCRIPTIONS, subscription_states), (OLDEST, oldest_pending), (UNREAD, oldest_unread)):
        metrics.gauge(metric, partial(of_partners, query, partners))


async def of_partners(
    query: Query, partners: Collection[str], conn: Connection, now: datetime
) -> Mapping[Label, float]:
    """Return the values of this query for these partners; the first label names the partner."""
    return {label: value for label, value in (await query(conn, now)).items() if label[0] in partners}
