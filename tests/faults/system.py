"""The four services as processes of their own, on a durable Postgres and Apache Kafka, with reports and partners.

The partners here answer everything at once and remember nothing, so whatever is missing or double in the end is
Sakidashi's doing.
"""

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import asyncpg
import httpx
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.errors import KafkaError

from deploy.local import kafka, postgres
from deploy.local.kafka import Broker
from deploy.local.ports import free_port
from deploy.local.postgres import Postgres
from deploy.local.processes import Supervisor, answers_ok
from libs.common.events import carrier, storefront, values, warehouse
from libs.common.events.envelope import Payload
from libs.common.events.topics import SERVICES, TOPICS
from libs.common.migrate import migrate
from libs.common.topics_admin import create_topics
from tests.common import wire
from tests.journey.backbone import ADDRESS, CONTACT, line
from tests.ledger import assert_balances_equal_sums
from tests.running import API_KEYS, STOREFRONT, eventually


@dataclass
class System:
    """Running processes: `kafka` and `postgres` can be stopped and started, services killed and restarted."""

    kafka: Broker
    postgres: Postgres
    supervisor: Supervisor
    databases: dict[str, str]
    http: httpx.AsyncClient
    prefix: str

    def service(self, name: str) -> Any:
        return next(process for process in self.supervisor.processes if process.name == name)

    async def started(self, name: str) -> None:
        """Wait until this service has joined every topic."""

        async def joined() -> bool:
            return await asyncio.to_thread(answers_ok, f"{self.service(name).url}/health/started")

        await eventually(joined, f"{name} has started", seconds=90, every=0.2)

    async def say(self, *payloads: Payload) -> None:
        """A partner publishes, and goes on trying while the broker is away."""
        records: list[wire.Wanted] = [
            (self.prefix + payload.TOPIC.name, payload.key, wire.event_bytes(payload), []) for payload in payloads
        ]
        await wire.publish(self.kafka.bootstrap_servers, records)

    async def know_orders(self, count: int) -> None:
        """Orders `o0` to `o<count-1>`, delivered, known to intake and returns."""
        now = datetime.now(UTC)
        one = (values.LineQuantity(line_id="1", quantity=1),)
        for number in range(count):
            order = f"o{number}"
            await self.say(
                storefront.OrderPlaced(
                    order_id=order, customer_id=f"c{number}", placed_at=now, lines=(line("1"),), contact=CONTACT,
                    ship_to=ADDRESS,
                ),
                storefront.OrderShipped(order_id=order, lines=one, shipped_at=now),
                storefront.OrderDelivered(order_id=order, lines=one, delivered_at=now),
            )  # fmt: skip
        known = "SELECT count(*) FROM orders WHERE body #> '{moved,1,delivered,0}' IS NOT NULL"
        await self.counts("intake", known, count)
        await self.counts("returns", "SELECT count(*) FROM destinations", count)

    async def counts(self, service: str, query: str, wanted: int, seconds: float = 60) -> None:
        """Wait until a query on a service's database counts so many."""

        async def counted() -> bool:
            try:
                conn = await asyncpg.connect(self.databases[service])
            except (OSError, asyncpg.PostgresError):
                return False
            with suppress(OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
                try:
                    found: int = await conn.fetchval(query)
                    return found == wanted
                finally:
                    await conn.close()
            return False

        await eventually(counted, f"{service} counts {wanted}: {query}", seconds=seconds, every=0.1)

    async def report(self, number: int) -> UUID:
        """Report order `o<number>`, as a storefront does: again with the same key until it is accepted."""
        body = {
            "order_id": f"o{number}", "customer_id": f"c{number}", "reason": "defective",
            "lines": [{"line_id": "1", "quantity": 1}],
        }  # fmt: skip
        headers = {**STOREFRONT, "Idempotency-Key": f"report-{number}"}

        async def accepted() -> UUID | None:
            try:
                answer = await self.http.post(f"{self.service('intake').url}/v1/issues", json=body, headers=headers)
            except httpx.TransportError:
                return None
            assert answer.status_code in (202, 409, 500, 503), answer.text
            return UUID(answer.json()["issue_id"]) if answer.status_code == 202 else None

        found = await eventually(accepted, f"the report of o{number} is accepted", seconds=60, every=0.1)
        assert found
        return found

    async def resolved(self, count: int, seconds: float = 90) -> None:
        """Wait until so many issues ended in points and everything is told."""
        granted = "SELECT count(*) FROM entries WHERE kind = 'grant' AND issue_id IS NOT NULL"
        await self.counts("loyalty", granted, count, seconds)
        for service in SERVICES:
            await self.counts(service, "SELECT count(*) FROM outbox", 0, seconds)

    async def effects(self) -> dict[str, Counter[str]]:
        """Per type of what leaves towards partners and customers: distinct business ids per issue, from the topics."""
        things: dict[str, set[tuple[str, str]]] = {}
        ids = {
            "replacement.ordered.v1": "replacement_id", "collection.requested.v1": "collection_id",
            "points.granted.v1": "entry_id", "notice.sent.v1": "notice_id",
        }  # fmt: skip
        for topic in ("warehouse.orders", "carrier.orders", "loyalty", "notices"):
            for event in await wire.read_json(self.kafka.bootstrap_servers, self.prefix + topic):
                if event["type"] in ids and "issue_id" in event["data"]:
                    thing = (event["data"]["issue_id"], event["data"][ids[event["type"]]])
                    things.setdefault(event["type"], set()).add(thing)
        return {type_: Counter(issue for issue, _ in found) for type_, found in things.items()}


async def _partners(system: System) -> None:
    """Answer every order of warehouse and courier at once; come back after every broken connection."""
    while True:
        with suppress(KafkaError, OSError):
            await _answer_until_broken(system)
        await asyncio.sleep(0.2)


async def _answer_until_broken(system: System) -> None:
    servers = system.kafka.bootstrap_servers
    consumer = AIOKafkaConsumer(bootstrap_servers=servers, auto_offset_reset="earliest", enable_auto_commit=False)
    producer = AIOKafkaProducer(bootstrap_servers=servers, acks="all", enable_idempotence=True)
    try:
        await consumer.start()
        await producer.start()
        wanted = [topic for topic in TOPICS if topic.name in ("warehouse.orders", "carrier.orders")]
        consumer.assign(
            [TopicPartition(system.prefix + topic.name, n) for topic in wanted for n in range(topic.partitions)]
        )
        answered: set[str] = set()
        async for record in consumer:
            event = json.loads(record.value or b"{}")
            if event["id"] in answered:
                continue
            for payload in _answers(event):
                topic = system.prefix + payload.TOPIC.name
                await producer.send_and_wait(topic, wire.event_bytes(payload), payload.key.encode())
            answered.add(event["id"])
    finally:
        await asyncio.gather(consumer.stop(), producer.stop(), return_exceptions=True)


def _answers(event: dict[str, Any]) -> Iterator[Payload]:
    data, now = event["data"], datetime.now(UTC)
    issue_id = data["issue_id"]
    if event["type"] == "replacement.ordered.v1":
        ids = {"issue_id": issue_id, "replacement_id": data["replacement_id"]}
        yield warehouse.ReplacementConfirmed(**ids, ship_date=data["promised_ship_date"])
        yield warehouse.ReplacementShipped(**ids, shipped_at=now)
        yield carrier.ParcelDelivered(**ids, delivered_at=now)
    if event["type"] == "collection.requested.v1":
        ids = {"issue_id": issue_id, "collection_id": data["collection_id"]}
        yield carrier.CollectionBooked(**ids, window=values.TimeWindow(day=data["earliest_date"]))
        yield carrier.CollectionCollected(**ids, collected_at=now)
        yield warehouse.ItemReceived.model_validate(
            {"issue_id": issue_id, "lines": [{"line_id": "1", "quantity": 1}], "received_at": now}
        )
        inspected = [{"line_id": "1", "quantity": 1, "condition": "scrap"}]
        yield warehouse.ItemInspected.model_validate({"issue_id": issue_id, "lines": inspected, "inspected_at": now})


@contextmanager
def servers() -> Iterator[tuple[Broker, Postgres]]:
    """Apache Kafka and a durable Postgres of this test's own, since they will be broken."""
    with kafka.broker("apache") as broker, postgres.server(durable=True) as database:
        yield broker, database


@asynccontextmanager
async def system(broker: Broker, database: Postgres, folder: Path, name: str) -> AsyncIterator[System]:
    """Start the services and the partners on topics and databases of this name; give it once all have begun."""
    prefix = f"{name}."
    urls = await postgres.provision(database.admin_url, SERVICES, f"{name}_")
    for service, url in urls.items():
        conn = await asyncpg.connect(url)
        await migrate(conn, service)
        await conn.close()
    await create_topics(broker.bootstrap_servers, prefix)
    with Supervisor(folder / "logs") as supervisor:
        for service in SERVICES:
            own = {"DATABASE_URL": urls[service], "KAFKA_TOPIC_PREFIX": prefix, **_settings(broker, folder)}
            supervisor.start(service, ["-m", "libs.common.serve", f"services.{service}.app"], own, free_port())
        async with httpx.AsyncClient(timeout=20) as http:
            running = System(broker, database, supervisor, urls, http, prefix)
            for service in SERVICES:
                await running.started(service)
            partners = asyncio.create_task(_partners(running))
            try:
                yield running
                await assert_balances_equal_sums(urls["loyalty"])
            finally:
                partners.cancel()
                await asyncio.gather(partners, return_exceptions=True)


def _settings(broker: Broker, folder: Path) -> dict[str, str]:
    return {
        "KAFKA_BOOTSTRAP_SERVERS": broker.bootstrap_servers,
        "KAFKA_SESSION_TIMEOUT_MS": "6000",
        "API_KEYS": API_KEYS,
        "LOG_LEVEL": "WARNING",
        "EVIDENCE_DIR": str(folder),
        "SMTP_URL": "discard://",
        "MAIL_FROM": "shop@example.com",
        "PUBLIC_URL": "http://localhost",
        "LINK_SECRETS": "a-secret-for-signing-links",
    }
