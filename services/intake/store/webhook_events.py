"""Publication of webhook events to the storefront's own topics, as a storefront on Kafka would do it.

Intake consumes them from there like every service: one path for each event. The answer to the webhook is stored in the
same transaction, so that a repeated webhook publishes nothing.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar

from pydantic import TypeAdapter

from libs.common.decisions.facts import Facts, Record
from libs.common.events.envelope import Payload
from libs.common.events.registry import AnyEvent
from libs.common.events.storefront import StorefrontOrderEvent
from libs.common.postgres.pool import Connection
from services.intake.domain.orders import Order

_ORDER = "SELECT body::text FROM orders WHERE key = $1"
_DOCUMENT: TypeAdapter[Order] = TypeAdapter(Order)
_CUSTOMERS = """
    SELECT key, body #>> '{purchase,customer_id}' AS customer_id FROM orders
    WHERE key = ANY($1) AND body #>> '{purchase,customer_id}' IS NOT NULL"""


class PublishWebhookEvent(Payload):
    """Publish this event. A command that never leaves intake."""

    TYPE: ClassVar = "webhook_event.publish.v1"

    payload: Payload


class RecordCoveredEvent(Payload):
    """Record that a later event would state nothing new. A command that never leaves intake and publishes nothing."""

    TYPE: ClassVar = "webhook_event.cover.v1"

    order_id: str


@dataclass
class WebhookPublisher:
    """The aggregate of webhook events. It publishes each event; its states are the customers of known orders."""

    name: str = "storefronts"
    is_read_model = False

    def key_of(self, event: AnyEvent) -> str | None:
        match event.data:
            case PublishWebhookEvent(payload=payload):
                return payload.subject
            case RecordCoveredEvent(order_id=order_id):
                return order_id
        return None

    async def load(self, conn: Connection, keys: Sequence[str], events: Sequence[AnyEvent]) -> dict[str, str]:
        return {row["key"]: row["customer_id"] for row in await conn.fetch(_CUSTOMERS, keys)}

    def decide(self, state: str | None, event: AnyEvent, now: datetime) -> tuple[str | None, Facts]:
        """Publish the event, keyed by the customer as far as the order is known."""
        if not isinstance(event.data, PublishWebhookEvent):
            return state, ()
        payload = event.data.payload
        if state and isinstance(payload, StorefrontOrderEvent) and payload.customer_id is None:
            payload = payload.model_copy(update={"customer_id": state})
        return state, [payload]

    async def save(self, conn: Connection, changed: Mapping[str, str], records: Sequence[Record]) -> None:
        """Write nothing: the outbox holds the event."""


async def read_order(conn: Connection, order_id: str) -> Order | None:
    """Return an order, unlocked; None while it is unknown."""
    body = await conn.fetchval(_ORDER, order_id)
    return _DOCUMENT.validate_json(body) if body else None
