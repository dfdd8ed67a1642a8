"""Publication of webhook events to the storefront's own topics, as a storefront on Kafka would do it.

Intake consumes them from there like every service: one path for each event. The answer to the webhook is stored in the
same transaction, so that a repeated webhook publishes nothing.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar

from libs.common.decisions.facts import Facts, Record
from libs.common.events.envelope import Payload
from libs.common.events.registry import AnyEvent
from libs.common.postgres.pool import Connection

_CUSTOMER = "SELECT body #>> '{purchase,customer_id}' FROM orders WHERE key = $1"


class PublishWebhookEvent(Payload):
    """Publish this event. A command that never leaves intake."""

    TYPE: ClassVar = "webhook_event.publish.v1"

    fact: Payload


@dataclass
class WebhookPublisher:
    """The aggregate of webhook events. It has no state and publishes each event."""

    name: str = "storefronts"
    is_read_model = False

    def key_of(self, event: AnyEvent) -> str | None:
        return event.data.fact.key if isinstance(event.data, PublishWebhookEvent) else None

    async def load(self, conn: Connection, keys: Sequence[str], events: Sequence[AnyEvent]) -> dict[str, None]:
        return {}

    def decide(self, state: None, event: AnyEvent, now: datetime) -> tuple[None, Facts]:
        return None, [event.data.fact] if isinstance(event.data, PublishWebhookEvent) else []

    async def save(self, conn: Connection, changed: Mapping[str, None], records: Sequence[Record]) -> None:
        """Write nothing: the outbox holds the event."""


async def customer_of(conn: Connection, order_id: str) -> str | None:
    """Return the customer of an order; None while it is unknown."""
    found: str | None = await conn.fetchval(_CUSTOMER, order_id)
    return found
