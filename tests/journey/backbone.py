"""All four services on a real broker and real Postgres, and a listener on every topic.

A journey plays the partners: it publishes events of the storefront, the warehouse and the courier, and waits for the
events of Sakidashi. Partners pass on the trace context of the event they answer, as the contract requires.
"""

import asyncio
import hashlib
import json
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

from aiokafka import AIOKafkaConsumer, TopicPartition

from libs.common.events import storefront, values
from libs.common.events.envelope import Payload
from libs.common.events.topics import SERVICES, TOPICS, dead_letter_topic
from libs.common.messaging.partitions import partitions_of
from services.delivery_notify import app as delivery_notify
from services.delivery_notify.settings import NotifySettings as DeliveryNotifySettings
from services.intake import app as intake
from services.intake.settings import IntakeSettings
from services.loyalty import app as loyalty
from services.loyalty.settings import LoyaltySettings
from services.returns import app as returns
from services.returns.settings import ReturnsSettings
from tests.common import wire
from tests.conftest import MakeDatabase
from tests.running import STOREFRONT, Live, eventually, running, traced

ADDRESS = values.Address(
    name="山田 花子", postal_code="150-0001", country="JP", region="東京都", city="渋谷区", street="神宮前 9-99-9"
)
CONTACT = values.Contact(name="山田 花子", email="hanako@example.jp", language=values.Language.JA)


@dataclass
class Backbone:
    """The running system. `events` holds everything read from the topics, in the order of reading."""

    kafka: str
    prefix: str
    intake: Live
    returns: Live
    delivery_notify: Live
    loyalty: Live
    events: list[dict[str, Any]] = field(default_factory=list)
    wrong_key: Callable[[Payload], str | None] | None = None
    """Key of what partners publish, in place of the customer."""
    _customers: dict[str, str] = field(default_factory=dict)

    async def publish(
        self, payload: Payload, *, answers: dict[str, Any] | None = None, event_id: str | None = None
    ) -> None:
        """Publish an event of a partner; `answers` is the event it reacts to, whose trace it passes on."""
        headers: wire.Headers = (
            [("traceparent", answers["traceparent"].encode())] if answers and "traceparent" in answers else []
        )
        value = wire.event_bytes(payload, event_id)
        key = (self.wrong_key or self._key_of)(payload)
        await wire.publish(self.kafka, [(self.prefix + payload.TOPIC.name, key, value, headers)])

    def _key_of(self, payload: Payload) -> str:
        """The customer, as a partner knows it from the key of the record that it answers."""
        if (customer := getattr(payload, "customer_id", None)) is not None:
            self._customers[payload.subject] = customer
        for event in self.events:
            if event.get("subject") == payload.subject and "customer_id" in event["data"]:
                return str(event["data"]["customer_id"])
        return self._customers.get(payload.subject, payload.key)

    async def wait_for(self, type_: str, **fields: Any) -> dict[str, Any]:
        """Wait for the first event of this type (without its version) whose data has these values."""

        async def published() -> dict[str, Any] | None:
            return next(iter(self.events_of(type_, **fields)), None)

        event = await eventually(published, f"{type_} {fields} was published", seconds=60)
        assert event
        return event

    def events_of(self, type_: str, **fields: Any) -> list[dict[str, Any]]:
        """Every event of this type so far whose data has these values."""
        expected = {name: str(value) for name, value in fields.items()}
        return [
            event
            for event in self.events
            if event["type"].rpartition(".v")[0] == type_
            and all(str(event["data"].get(name)) == value for name, value in expected.items())
        ]

    async def keys_of(self, *topics: str) -> set[bytes]:
        """The keys of all records of these topics."""
        return {record.key for topic in topics for record in await wire.read_all(self.kafka, self.prefix + topic)}

    async def place_order(self, order_id: str, *lines: values.OrderLine, **more: Any) -> None:
        """Publish an order that is placed, shipped and delivered today, and wait until every service knows it."""
        lines = lines or (line("1"),)
        now = datetime.now(UTC)
        placed = storefront.OrderPlaced(
            **{"order_id": order_id, "customer_id": f"customer of {order_id}", "placed_at": now, "lines": lines,
               "contact": CONTACT, "ship_to": ADDRESS, **more},
        )  # fmt: skip
        await self.publish(placed)
        everything = tuple(values.LineQuantity(line_id=each.line_id, quantity=each.quantity) for each in lines)
        await self.publish(storefront.OrderShipped(order_id=order_id, lines=everything, shipped_at=now))
        await self.publish(storefront.OrderDelivered(order_id=order_id, lines=everything, delivered_at=now))
        await eventually(lambda: self._order_is_known(order_id), f"every service knows {order_id}", seconds=60)

    async def _order_is_known(self, order_id: str) -> bool:
        """Read from the databases, since no route shows an order."""
        queries = (
            (
                self.intake,
                "SELECT jsonb_array_length(body -> 'deliveries') > 0 FROM orders WHERE key = $1",
            ),
            (
                self.returns,
                "SELECT delivered_at IS NOT NULL AND value > 0 FROM order_snapshots WHERE order_id = $1",
            ),
            (self.delivery_notify, "SELECT true FROM contacts WHERE order_id = $1"),
        )
        return all([await live.service.pool.fetchval(query, order_id) for live, query in queries])

    async def post_report(self, order_id: str, reason: str = "defective", quantity: int = 1, **more: Any) -> Any:
        """Report over HTTP; returns the response."""
        body = {
            "order_id": order_id,
            "customer_id": f"customer of {order_id}",
            "reason": reason,
            "lines": [{"line_id": "1", "quantity": quantity}],
            **more,
        }
        key = f"{order_id}/{len(self.events)}/{hashlib.sha256(repr(body).encode()).hexdigest()[:16]}"
        return await self.intake.client.post("/v1/issues", json=body, headers={**STOREFRONT, "Idempotency-Key": key})

    async def report(self, order_id: str, reason: str = "defective", quantity: int = 1, **more: Any) -> UUID:
        """Report over HTTP, accepted; returns the issue's id."""
        answer = await self.post_report(order_id, reason, quantity, **more)
        assert answer.status_code == 202, answer.text
        return UUID(answer.json()["issue_id"])

    async def timeline(self, issue_id: UUID) -> list[str]:
        """The types of the facts in intake's timeline of an issue, without their versions."""
        answer = await self.intake.client.get(f"/v1/issues/{issue_id}", headers=STOREFRONT)
        return [fact["type"].rpartition(".v")[0] for fact in answer.json()["timeline"]]

    async def _listen(self, consumer: AIOKafkaConsumer) -> None:
        async for record in consumer:
            headers = {name: value.decode() for name, value in record.headers if value is not None}
            event = json.loads(record.value or b"{}")
            self.events.append({**event, "topic": record.topic.removeprefix(self.prefix), **headers})


def line(line_id: str, quantity: int = 1, price: str = "4980", **more: Any) -> values.OrderLine:
    """An order line."""
    return values.OrderLine(
        line_id=line_id, sku=f"SKU-{line_id}", name="南部鉄器 急須", quantity=quantity,
        unit_price=values.Money(amount=price, currency="JPY"), **more,
    )  # fmt: skip


@asynccontextmanager
async def backbone(
    database: MakeDatabase,
    kafka: str,
    prefix: str,
    evidence: Path,
    smtp_url: str = "discard://",
    *,
    own: Any = None,
    **settings: Any,
) -> AsyncIterator[Backbone]:
    """Run all four services on fresh databases and topics, and the listener, for the length of the block.

    `settings` are for all of them; `own` are those of one service each, by its name.
    """
    mail = {
        "smtp_url": smtp_url,
        "mail_from": "さきだし商店 <shop@example.com>",
        "public_url": "http://service",
        "customer_pages_url": "http://service",
    }
    urls = {name: await database(name) for name in SERVICES}
    async with AsyncExitStack() as stack:

        def start(create_app: Callable[[Any], Any], settings_class: Any, name: str, **more: Any) -> Any:
            service = running(
                create_app,
                settings_class,
                database=urls[name],
                kafka=kafka,
                prefix=prefix,
                **{**traced(), **settings, **more, **(own or {}).get(name, {})},
            )
            return stack.enter_async_context(service)

        live = await asyncio.gather(
            start(intake.create_app, IntakeSettings, "intake", evidence_dir=evidence),
            start(returns.create_app, ReturnsSettings, "returns"),
            start(delivery_notify.create_app, DeliveryNotifySettings, "delivery_notify", **mail),
            start(loyalty.create_app, LoyaltySettings, "loyalty"),
        )
        running_system = Backbone(kafka, prefix, *live)
        consumer = await stack.enter_async_context(_listener(kafka, prefix))
        listening = asyncio.create_task(running_system._listen(consumer))
        stack.callback(listening.cancel)
        yield running_system


@asynccontextmanager
async def _listener(kafka: str, prefix: str) -> AsyncIterator[AIOKafkaConsumer]:
    consumer = AIOKafkaConsumer(bootstrap_servers=kafka, auto_offset_reset="earliest", enable_auto_commit=False)
    await consumer.start()
    parts = await partitions_of(consumer, TOPICS, prefix)
    parts += [TopicPartition(prefix + dead_letter_topic(service), 0) for service in SERVICES]
    consumer.assign(parts)
    try:
        yield consumer
    finally:
        await consumer.stop()
