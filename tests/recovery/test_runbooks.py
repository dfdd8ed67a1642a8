"""Drills of the runbooks on real parts, with the commands of the pages: lost topic, long outage, wrong offsets."""

import sys
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from aiokafka import AIOKafkaConsumer
from aiokafka.admin import AIOKafkaAdminClient, RecordsToDelete
from aiokafka.protocol.admin import DeleteGroupsRequest

from deploy.local.mailbox import Mailbox
from libs.common.events.storefront import OrderPlaced
from libs.common.events.topics import ISSUES, SERVICES, STOREFRONT_ORDERS, consumer_group
from libs.common.messaging.partitions import partitions_of
from services.intake import app as intake
from services.intake.settings import IntakeSettings
from tests.common import wire
from tests.conftest import MakeDatabase
from tests.journey.backbone import ADDRESS, CONTACT, Backbone, line
from tests.recovery.partners import answering
from tests.recovery.restorable import RestorableSystem, all_notices_settled
from tests.recovery.runbook import Operator, commands_of
from tests.recovery.test_reconcile import is_healthy, settled
from tests.running import STOREFRONT, Live, eventually, running

pytestmark = [pytest.mark.apache, pytest.mark.timeout(400)]


@pytest.fixture
async def system(database: MakeDatabase, kafka: str, topics: str, smtp: Mailbox, tmp_path: Path) -> RestorableSystem:
    return RestorableSystem({name: await database(name) for name in SERVICES}, kafka, topics, tmp_path, smtp)


@pytest.fixture
def operator(system: RestorableSystem) -> Operator:
    return Operator(system.kafka, system.prefix, system.urls, sys.executable)


@asynccontextmanager
async def admin(system: RestorableSystem) -> AsyncIterator[Any]:
    client = AIOKafkaAdminClient(bootstrap_servers=system.kafka)
    await client.start()
    try:
        yield client
    finally:
        await client.close()


async def first_report(system: RestorableSystem) -> list[UUID]:
    """Resolve one issue with all services, and let them know the order of another."""
    async with system.running() as shop, answering(shop):
        await shop.place_order("order-1")
        await shop.place_order("order-2")
        issues = [await shop.report("order-1")]
        await eventually(lambda: is_healthy(shop, issues), "the first issue is resolved", seconds=90, every=0.5)
        await eventually(lambda: all_notices_settled(shop), "all mails are sent", seconds=60, every=0.2)
        await eventually(lambda: settled(shop), "all events are published", seconds=60, every=0.2)
    return issues


async def report_while_others_are_down(system: RestorableSystem) -> UUID:
    """Report the second order to intake alone: its events are on the topic, and nobody else has read them."""
    async with running(
        intake.create_app,
        IntakeSettings,
        database=system.urls["intake"],
        kafka=system.kafka,
        prefix=system.prefix,
        evidence_dir=system.evidence,
    ) as live:
        body: dict[str, Any] = {"order_id": "order-2", "customer_id": "customer of order-2", "reason": "defective"}
        body["lines"] = [{"line_id": "1", "quantity": 1}]
        answer = await live.client.post("/v1/issues", json=body, headers={**STOREFRONT, "Idempotency-Key": "second"})
        await eventually(lambda: _is_archived(live), "the report is published and in its timeline", seconds=60)
        return UUID(answer.json()["issue_id"])


async def _is_archived(live: Live) -> bool:
    query = "SELECT count(*) FROM timeline JOIN issues USING (issue_id) WHERE order_id = 'order-2'"
    return bool(await live.service.pool.fetchval(query) == 2)


async def redrive_until_healthy(operator: Operator, command: str, shop: Backbone, issues: list[UUID]) -> None:
    """Repeat the command of the page until it lists nothing, as the page says."""

    async def nothing_listed() -> bool:
        code, output = await operator.run(command)
        assert code in (0, 1), output
        return code == 0 and await is_healthy(shop, issues)

    await eventually(nothing_listed, "nothing is listed", seconds=120, every=1)


def assert_nothing_happened_twice(system: RestorableSystem, shop: Backbone, issues: list[UUID]) -> None:
    for type_ in ("replacement.ordered", "collection.requested", "issue.resolved"):
        assert Counter(event["data"]["issue_id"] for event in shop.events_of(type_)) <= Counter(map(str, issues)), type_
    counts = Counter(mail["Message-ID"] for mail in system.smtp.messages)
    assert [mail for mail, count in counts.items() if count > 1] == []


async def test_after_a_lost_topic_the_page_leads_to_a_whole_system(
    system: RestorableSystem, operator: Operator
) -> None:
    create, set_back, redrive = commands_of("recover-a-topic.md")
    issues = [*await first_report(system), await report_while_others_are_down(system)]
    async with admin(system) as client:
        await client.delete_topics([system.prefix + ISSUES.name])
        await eventually(lambda: _is_gone(client, system.prefix + ISSUES.name), "the topic is deleted")
    for command in (create, set_back):
        code, output = await operator.run(command)
        assert code == 0, output
    async with system.running() as shop, answering(shop):
        await redrive_until_healthy(operator, redrive, shop, issues)
        assert_nothing_happened_twice(system, shop, issues)


async def _is_gone(client: Any, topic: str) -> bool:
    return topic not in await client.list_topics()


async def test_after_lost_offsets_nothing_has_to_be_typed(system: RestorableSystem) -> None:
    issues = await first_report(system)
    sent = len(system.smtp.messages)
    async with admin(system) as client:
        groups = [consumer_group(service, system.prefix) for service in SERVICES]
        await _delete_groups(client, groups)
    async with system.running() as shop:
        await eventually(lambda: is_healthy(shop, issues), "all is read again", seconds=90, every=0.5)
        await eventually(lambda: settled(shop), "all events are published", seconds=60, every=0.2)
        await eventually(lambda: all_notices_settled(shop), "no notice is left to send", seconds=60, every=0.2)
        assert_nothing_happened_twice(system, shop, issues)
    assert [str(mail["Subject"]) for mail in system.smtp.messages[sent:]] == []


async def _delete_groups(client: Any, groups: list[str]) -> None:
    node = client._client.get_random_node()
    response = await client._client.send(node, DeleteGroupsRequest(groups))
    assert [code for _, code in response.results] == [0] * len(groups)


async def test_after_an_outage_longer_than_retention_the_page_leads_to_a_whole_system(
    system: RestorableSystem, operator: Operator
) -> None:
    (redrive,) = commands_of("recover-from-a-long-outage.md")
    issues = [*await first_report(system), await report_while_others_are_down(system)]
    async with admin(system) as client, AIOKafkaConsumer(bootstrap_servers=system.kafka) as consumer:
        partitions = await partitions_of(consumer, [ISSUES], system.prefix)
        ends = await consumer.end_offsets(partitions)
        await client.delete_records({each: RecordsToDelete(end) for each, end in ends.items() if end})
    async with system.running() as shop, answering(shop):
        await redrive_until_healthy(operator, redrive, shop, issues)
        assert_nothing_happened_twice(system, shop, issues)


async def test_after_offsets_set_forward_the_page_leads_to_a_whole_system(
    system: RestorableSystem, operator: Operator
) -> None:
    set_back, redrive = commands_of("recover-offsets.md")
    issues = [*await first_report(system), await report_while_others_are_down(system)]
    await _place_order(system, "order-3")
    skipped = await _set_forward(system, "returns")
    assert skipped > 1  # the accepted report, and the order of a partner
    async with system.running() as shop:
        await eventually(lambda: settled(shop), "all events are published", seconds=60, every=0.2)
        code, named = await operator.run("sakidashi reconcile")
        assert (code, f"case_missing issue {issues[1]}" in named) == (1, True), named
        assert not await _knows_order(shop, "order-3")
    code, output = await operator.run(set_back)
    assert code == 0, output
    async with system.running() as shop, answering(shop):
        await redrive_until_healthy(operator, redrive, shop, issues)
        await eventually(lambda: _knows_order(shop, "order-3"), "the partner's order came back", seconds=60)
        assert_nothing_happened_twice(system, shop, issues)


async def _place_order(system: RestorableSystem, order_id: str) -> None:
    """Publish an order of the storefront while no service runs."""
    placed = OrderPlaced(
        order_id=order_id,
        customer_id=f"customer of {order_id}",
        placed_at=datetime.now(UTC),
        lines=(line("1"),),
        contact=CONTACT,
        ship_to=ADDRESS,
    )
    topic = system.prefix + OrderPlaced.TOPIC.name
    await wire.publish(system.kafka, [(topic, placed.customer_id, wire.event_bytes(placed), [])])


async def _set_forward(system: RestorableSystem, service: str) -> int:
    """Set the offsets of a stopped service to the end of two of its topics; return how many records it skips."""
    group = consumer_group(service, system.prefix)
    async with AIOKafkaConsumer(bootstrap_servers=system.kafka, group_id=group, enable_auto_commit=False) as consumer:
        partitions = await partitions_of(consumer, [ISSUES, STOREFRONT_ORDERS], system.prefix)
        consumer.assign(partitions)
        ends = await consumer.end_offsets(partitions)
        skipped = [ends[each] - (await consumer.committed(each) or 0) for each in partitions]
        await consumer.commit(ends)
        return sum(skipped)


async def _knows_order(shop: Backbone, order_id: str) -> bool:
    query = "SELECT EXISTS (SELECT FROM order_snapshots WHERE order_id = $1)"
    return bool(await shop.returns.service.pool.fetchval(query, order_id))
