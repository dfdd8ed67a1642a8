"""Rejoin of one restored service on real parts: the same cases as without the loss, no second mail, no second point."""

import json
from collections import Counter
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import pytest
from typer.testing import CliRunner

from deploy.cli.main import app
from deploy.local import postgres
from deploy.local.mailbox import Mailbox
from deploy.local.shared_servers import shared_server
from deploy.restore.rejoin import rejoin
from deploy.restore.topics import GroupAliveError
from libs.common.events.customers import CustomerErasureRequested
from libs.common.events.envelope import Payload
from libs.common.events.notices import NoticeKind, NoticeSent, PromiseRef, PromiseSubject
from libs.common.events.registry import event_class
from libs.common.events.storefront import OrderPlaced
from libs.common.events.topics import SERVICES
from libs.common.events.values import Language
from libs.common.postgres.pool import Connection
from libs.common.privacy.erase_cli import KafkaCluster
from libs.common.privacy.erasure import redact_erased
from tests.common import wire
from tests.conftest import MakeDatabase
from tests.journey.backbone import ADDRESS, CONTACT, Backbone, backbone, line
from tests.recovery.partners import answering
from tests.recovery.test_reconcile import is_healthy
from tests.running import eventually


@dataclass
class RestorableSystem:
    """Four services that are started and stopped together, on databases of which one can be restored."""

    urls: dict[str, str]
    kafka: str
    prefix: str
    evidence: Path
    smtp: Mailbox

    def running(self) -> AbstractAsyncContextManager[Backbone]:
        async def database(service: str) -> str:
            return self.urls[service]

        return backbone(database, self.kafka, self.prefix, self.evidence, self.smtp.url)

    @property
    def cluster(self) -> KafkaCluster:
        return KafkaCluster(self.kafka, self.prefix)

    async def back_up(self, service: str) -> datetime:
        name = postgres.name_of(self.urls[service])
        await self._admin(f"CREATE DATABASE {name}_backup TEMPLATE {name} STRATEGY FILE_COPY")
        return datetime.now(UTC)

    async def restore(self, service: str) -> None:
        name, role = postgres.name_of(self.urls[service]), postgres.name_of(shared_server(service).split()[0])
        await self._admin(
            f"DROP DATABASE {name} WITH (FORCE)",
            f"CREATE DATABASE {name} OWNER {role}_owner TEMPLATE {name}_backup STRATEGY FILE_COPY",
            f"REVOKE ALL ON DATABASE {name} FROM PUBLIC",
            f"GRANT CONNECT ON DATABASE {name} TO {role}",
            f"DROP DATABASE {name}_backup",
        )

    async def rejoin(self, service: str, since: datetime) -> None:
        conn = await asyncpg.connect(self.urls[service])
        try:
            await rejoin(conn, self.cluster, service, since)
        finally:
            await conn.close()

    async def _admin(self, *statements: str) -> None:
        conn = await asyncpg.connect(shared_server("postgres"))
        try:
            for statement in statements:
                await conn.execute(statement)
        finally:
            await conn.close()


@pytest.fixture
async def system(database: MakeDatabase, kafka: str, topics: str, smtp: Mailbox, tmp_path: Path) -> RestorableSystem:
    return RestorableSystem({name: await database(name) for name in SERVICES}, kafka, topics, tmp_path, smtp)


async def outcomes(shop: Backbone) -> dict[str, dict[str, Any]]:
    """Return what each case has come to: status, legs and refunds by their business ids."""
    rows = await shop.returns.service.pool.fetch("SELECT key, status, body FROM cases")
    found = {}
    for row in rows:
        body = json.loads(row["body"])
        outbound, inbound = body.get("outbound", {}), body.get("inbound", {})
        found[row["key"]] = {
            "status": row["status"],
            "replacement": (outbound.get("replacement_id"), outbound.get("status"), outbound.get("shipped")),
            "collection": (inbound.get("collection_id"), inbound.get("status"), inbound.get("received")),
            "resolution": body.get("resolution"),
        }
    return found


async def all_notices_settled(shop: Backbone) -> bool:
    query = "SELECT NOT EXISTS (SELECT FROM notices WHERE settled_at IS NULL)"
    return bool(await shop.delivery_notify.service.pool.fetchval(query))


async def points(shop: Backbone) -> dict[str, int]:
    rows = await shop.loyalty.service.pool.fetch("SELECT customer_id, -issued AS granted FROM balances")
    return {row["customer_id"]: row["granted"] for row in rows}


async def report(shop: Backbone, *orders: str) -> list[UUID]:
    issues = []
    for order in orders:
        await shop.place_order(order)
        issues.append(await shop.report(order))
    return issues


@pytest.mark.parametrize("service", ["returns", "delivery_notify"])
async def test_a_restored_service_catches_up_without_a_second_effect(system: RestorableSystem, service: str) -> None:
    async with system.running() as shop, answering(shop):
        early = await report(shop, "order-1")
        await eventually(lambda: is_healthy(shop, early), "the first issue is settled", seconds=60, every=0.5)
        await shop.place_order("order-2")
    since = await system.back_up(service)
    async with system.running() as shop, answering(shop):
        lost = [await shop.report("order-2"), *await report(shop, "order-3")]
        issues = [*early, *lost]
        await eventually(lambda: is_healthy(shop, issues), "all issues are settled", seconds=60, every=0.5)
        await eventually(lambda: all_notices_settled(shop), "all mails are sent", seconds=60, every=0.2)
        before, granted = await outcomes(shop), await points(shop)
        with pytest.raises(GroupAliveError):
            await system.rejoin(service, since)
    sent = len(system.smtp.messages)
    await system.restore(service)
    await system.rejoin(service, since)
    async with system.running() as shop:
        await eventually(lambda: is_healthy(shop, issues), "the service has caught up", seconds=60, every=0.5)
        assert await outcomes(shop) == before
        assert await points(shop) == granted
        await eventually(lambda: all_notices_settled(shop), "no notice is left to send", seconds=60, every=0.2)
    assert Counter(mail["Message-ID"] for mail in system.smtp.messages).most_common(1)[0][1] == 1
    assert [str(mail["Subject"]) for mail in system.smtp.messages[sent:]] == []


NOTICE = {
    "notice_id": uuid4(),
    "order_id": "O-1",
    "customer_id": "C-1",
    "issue_id": uuid4(),
    "kind": NoticeKind.REPLACEMENT_PROMISED,
}
PLACED = OrderPlaced(
    order_id="O-1",
    customer_id="C-1",
    placed_at=datetime(2026, 3, 1, tzinfo=UTC),
    lines=(line("1"),),
    contact=CONTACT,
    ship_to=ADDRESS,
)
PROMISE = PromiseRef(subject=PromiseSubject.REPLACEMENT, subject_id="R-1", version=1, day=date(2026, 3, 12))


async def rejoined(url: str, cluster: KafkaCluster, service: str, *payloads: Payload) -> Connection:
    """Publish events, let the service rejoin from a time before them, and return a connection to its database."""
    since = datetime.now(UTC) - timedelta(minutes=1)
    records: list[Any] = [(cluster.prefix + each.TOPIC.name, each.key, wire.event_bytes(each), []) for each in payloads]
    await wire.publish(cluster.servers, records)
    conn = await asyncpg.connect(url)
    await rejoin(conn, cluster, service, since)
    await rejoin(conn, cluster, service, since)  # a repeated call changes nothing
    return conn


async def test_a_notice_known_as_sent_is_recorded_as_sent_with_its_promise(
    database: MakeDatabase, kafka: str, topics: str
) -> None:
    sent = NoticeSent(**NOTICE, channel="email", language=Language.JA, announces=(PROMISE,), sent_at=datetime.now(UTC))
    conn = await rejoined(await database("delivery_notify"), KafkaCluster(kafka, topics), "delivery_notify", sent)
    try:
        assert await conn.fetchval("SELECT status FROM notices") == "sent"
        assert await conn.fetchval("SELECT version FROM promise_notifications WHERE subject_id = 'R-1'") == 1
    finally:
        await conn.close()


async def test_an_erasure_since_the_backup_is_known_before_the_first_record_is_read(
    database: MakeDatabase, kafka: str, topics: str
) -> None:
    request = CustomerErasureRequested(customer_id="C-1", erasure_id=uuid4(), requested_at=datetime.now(UTC))
    conn = await rejoined(await database("returns"), KafkaCluster(kafka, topics), "returns", request)
    try:
        placed = event_class(OrderPlaced).model_construct(
            id="1", source="/shop", type=OrderPlaced.TYPE, time=request.requested_at - timedelta(hours=1), data=PLACED
        )
        (redacted,) = await redact_erased(conn, [placed])
        assert "神宮前" not in str(redacted)
    finally:
        await conn.close()


@pytest.mark.parametrize("service", ["intake", "loyalty"])
def test_a_service_with_inputs_on_no_topic_is_refused(service: str) -> None:
    arguments = ["rejoin", service, "--since", "2026-11-29"]
    environment = {"DATABASE_URL": "postgresql://nobody@127.0.0.1:1/x", "KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:1"}
    result = CliRunner().invoke(app, arguments, env={**environment, "COLUMNS": "300"})
    assert (result.exit_code, "not supported" in result.stderr) == (2, True)
