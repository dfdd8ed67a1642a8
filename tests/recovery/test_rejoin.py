"""Rejoin of one restored service on real parts: the same cases as without the loss, no second mail, no second point."""

import json
from collections import Counter
from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4
from zoneinfo import ZoneInfo

import asyncpg
import httpx
import pytest
from typer.testing import CliRunner

from deploy.cli.main import app
from deploy.local.mailbox import Mailbox
from deploy.restore.rejoin import rejoin
from deploy.restore.topics import GroupAliveError
from deploy.verification.auditor import audit, read_history
from deploy.verification.evidence import Fact
from libs.common.events.customers import (
    ConsentChannel,
    ConsentPurpose,
    CustomerConsentRecorded,
    CustomerErasureRequested,
    CustomerUnsubscribed,
)
from libs.common.events.envelope import Payload
from libs.common.events.notices import NoticeKind, NoticeSent, PromiseRef, PromiseSubject
from libs.common.events.registry import event_class
from libs.common.events.storefront import OrderPlaced
from libs.common.events.topics import SERVICES
from libs.common.events.values import Language
from libs.common.postgres.pool import Connection
from libs.common.privacy.erase_cli import KafkaCluster
from libs.common.privacy.erasure import redact_erased
from services.delivery_notify.store.consents import current_consents
from tests.common import wire
from tests.conftest import MakeDatabase
from tests.journey.backbone import ADDRESS, CONTACT, Backbone, line
from tests.recovery.partners import answering
from tests.recovery.restorable import RestorableSystem, all_notices_settled
from tests.recovery.test_reconcile import is_healthy, settled
from tests.running import OPS, STOREFRONT, eventually


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


async def points(shop: Backbone) -> dict[str, dict[str, int]]:
    """Return the points of each customer by account."""
    rows = await shop.loyalty.service.pool.fetch("SELECT * FROM balances")
    accounts = ("pending", "available", "reserved", "spent", "expired", "debt")
    return {row["customer_id"]: {name: row[name] for name in accounts} for row in rows}


async def entitled(shop: Backbone) -> set[tuple[object, ...]]:
    """Return which issue holds which unit, and which units were replaced."""
    query = "SELECT order_id, line_id, unit_number, generation, issue_id, replaced_on FROM entitlements"
    return {tuple(row.values()) for row in await shop.intake.service.pool.fetch(query)}


async def report(shop: Backbone, *orders: str) -> list[UUID]:
    issues = []
    for order in orders:
        await shop.place_order(order)
        issues.append(await shop.report(order))
    return issues


async def spend(shop: Backbone, customer_id: str) -> httpx.Response:
    """Adjust the points of a customer, and spend some of them: both over HTTP, so on no topic that loyalty reads."""
    path, keys = f"/v1/customers/{customer_id}", {"Idempotency-Key": f"adjust {customer_id}"}
    change = {"change": 400, "text": "goodwill", "staff": "sato", "comment": "for the wait"}
    await shop.loyalty.client.post(f"{path}/adjustments", json=change, headers={**OPS, **keys})
    return await reserve(shop, customer_id, 300)


async def reserve(shop: Backbone, customer_id: str, points: int) -> httpx.Response:
    keys = {"Idempotency-Key": f"reserve {customer_id} {points}"}
    path, body = f"/v1/customers/{customer_id}/redemptions", {"order_id": "order-9", "points": points}
    return await shop.loyalty.client.post(path, json=body, headers={**STOREFRONT, **keys})


BUSINESS_IDS = (
    *("issue_id", "replacement_id", "collection_id", "refund_id"),
    *("version", "resolution", "attempt", "cause", "received_at"),
)


def without_repeats(facts: Iterable[Fact]) -> list[Fact]:
    """Return facts without those that a restored service published again: readers know them by their business ids."""
    first: dict[object, Fact] = {}
    for fact in facts:
        ids = tuple(fact.data.get(name) for name in BUSINESS_IDS)
        by_service = fact.identity[0].strip("/") in SERVICES and any(ids)
        first.setdefault((fact.type, *ids) if by_service else id(fact), fact)
    return list(first.values())


async def violations(system: RestorableSystem) -> dict[str, list[str]]:
    """Return what the auditor finds in all topics and databases."""
    history = await read_history(system.kafka, system.prefix, system.urls, ZoneInfo("Asia/Tokyo"), datetime.now(UTC))
    history.facts = without_repeats(history.facts)
    return {each.name: [str(one) for one in each.violations] for each in audit(history) if each.violations}


@pytest.mark.timeout(400)
@pytest.mark.parametrize("service", SERVICES)
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
        assert (await spend(shop, "customer of order-3")).status_code == 201
        await eventually(lambda: all_notices_settled(shop), "all mails are sent", seconds=60, every=0.2)
        await eventually(lambda: settled(shop), "all events are published", seconds=60, every=0.2)
        before, granted, units = await outcomes(shop), await points(shop), await entitled(shop)
        with pytest.raises(GroupAliveError):
            await system.rejoin(service, since)
    sent = len(system.smtp.messages)
    await system.restore(service)
    await system.rejoin(service, since)
    async with system.running() as shop:
        await eventually(lambda: is_healthy(shop, issues), "the service has caught up", seconds=60, every=0.5)
        assert await outcomes(shop) == before
        assert await points(shop) == granted
        assert (await reserve(shop, "customer of order-3", 101)).json()["code"] == "insufficient_points"
        assert await entitled(shop) == units
        await eventually(lambda: all_notices_settled(shop), "no notice is left to send", seconds=60, every=0.2)
        await eventually(lambda: settled(shop), "all events are published", seconds=60, every=0.2)
    assert await violations(system) == {}
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


async def test_who_unsubscribed_since_the_backup_stays_unsubscribed(
    database: MakeDatabase, kafka: str, topics: str
) -> None:
    left = CustomerUnsubscribed(
        customer_id="C-1", purpose=ConsentPurpose.LOYALTY, unsubscribed_at=datetime.now(UTC) - timedelta(seconds=1)
    )
    conn = await rejoined(await database("delivery_notify"), KafkaCluster(kafka, topics), "delivery_notify", left)
    try:
        counting = await current_consents(conn, "C-1")
        assert {each["channel"]: each["granted"] for each in counting} == dict.fromkeys(ConsentChannel, False)
        assert {each["stated_at"] for each in counting} == {left.unsubscribed_at}
    finally:
        await conn.close()


async def test_a_consent_that_was_stated_over_http_since_the_backup_counts_again(
    database: MakeDatabase, kafka: str, topics: str
) -> None:
    stated = CustomerConsentRecorded(
        customer_id="C-1",
        purpose=ConsentPurpose.LOYALTY,
        channel=ConsentChannel.EMAIL,
        granted=True,
        source="checkout",
        changed_at=datetime.now(UTC) - timedelta(seconds=1),
    )
    conn = await rejoined(await database("delivery_notify"), KafkaCluster(kafka, topics), "delivery_notify", stated)
    try:
        (counting,) = await current_consents(conn, "C-1")
        assert (counting["channel"], counting["granted"], counting["source"]) == ("email", True, "checkout")
        assert counting["stated_at"] == stated.changed_at
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


def test_an_unknown_service_is_refused_by_name() -> None:
    arguments = ["rejoin", "billing", "--since", "2026-11-29"]
    environment = {"DATABASE_URL": "postgresql://nobody@127.0.0.1:1/x", "KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:1"}
    result = CliRunner().invoke(app, arguments, env={**environment, "COLUMNS": "300"})
    assert (result.exit_code, "no such service" in result.stderr) == (2, True)
