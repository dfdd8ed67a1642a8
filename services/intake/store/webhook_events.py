"""What webhooks told goes on to the storefront's own topics, as a storefront on Kafka would write it.

Intake reads it back from there like everybody else: one way for a fact to come in, and every service hears it. The
answer to the webhook is kept in the same transaction (see `Commands`), so that a repeated one publishes nothing.
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
    """A command of intake's own: publish this fact."""

    TYPE: ClassVar = "storefront.told.v1"

    fact: Payload


@dataclass
class WebhookPublisher:
    """An aggregate without state: whatever was told is told on."""

    name: str = "storefronts"

    def key_of(self, event: AnyEvent) -> str | None:
        return event.data.fact.key if isinstance(event.data, PublishWebhookEvent) else None

    async def load(self, conn: Connection, keys: Sequence[str], events: Sequence[AnyEvent]) -> dict[str, None]:
        return {}

    def decide(self, state: None, event: AnyEvent, now: datetime) -> tuple[None, Facts]:
        return None, [event.data.fact] if isinstance(event.data, PublishWebhookEvent) else []

    async def save(self, conn: Connection, changed: Mapping[str, None], records: Sequence[Record]) -> None:
        """Nothing but the outbox is written."""


async def customer_of(conn: Connection, order_id: str) -> str | None:
    """Whose order it is; None where intake has not heard of it yet."""
    found: str | None = await conn.fetchval(_CUSTOMER, order_id)
    return found
