"""Three brokers with three replicas, two in sync: leaders killed one after another, under load."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError

from deploy.local.kafka_cluster import BROKERS, BrokerCluster, cluster
from deploy.local.mailbox import Mailbox
from libs.common.messaging.create_topics import create_topics
from tests.conftest import MakeDatabase, new_topic_prefix
from tests.journey.backbone import Backbone, backbone
from tests.recovery.partners import answering
from tests.recovery.test_reconcile import assert_nothing_happened_twice, is_healthy, look, settled
from tests.running import eventually

pytestmark = [pytest.mark.apache, pytest.mark.timeout(500)]

PARTITIONS = 3
PER_STEP = 2
"""Reports that are accepted while a broker is down."""


@pytest.fixture(scope="module")
def brokers() -> Iterator[BrokerCluster]:
    with cluster() as running:
        yield running


@pytest.fixture
async def prefix(brokers: BrokerCluster) -> str:
    """Create all topics with three replicas, and wait until all are in sync."""
    prefix = new_topic_prefix()
    await create_topics(brokers.bootstrap_servers, prefix, BROKERS, partitions=PARTITIONS)
    async with admin(brokers) as client:
        await eventually(lambda: is_in_sync(client, prefix, set(brokers.brokers)), "all replicas in sync", seconds=60)
    return prefix


@asynccontextmanager
async def admin(brokers: BrokerCluster) -> AsyncIterator[Any]:
    client = AIOKafkaAdminClient(bootstrap_servers=brokers.bootstrap_servers)
    await client.start()
    try:
        yield client
    finally:
        await client.close()


async def partitions_under(client: Any, prefix: str) -> list[dict[str, Any]]:
    described = await client.describe_topics([name for name in await client.list_topics() if name.startswith(prefix)])
    return [partition for topic in described for partition in topic["partitions"]]


async def is_in_sync(client: Any, prefix: str, expected: set[int]) -> bool:
    """Return whether exactly these brokers are the replicas in sync, of every partition."""
    try:
        return all(set(each["isr"]) == expected for each in await partitions_under(client, prefix))
    except KafkaError:  # the broker that was asked is the one that died
        return False


async def leads(client: Any, prefix: str, broker: int) -> bool:
    """Return whether this broker leads a partition."""
    try:
        return any(each["leader"] == broker for each in await partitions_under(client, prefix))
    except KafkaError:
        return False


class Load:
    """Customers who order and report, one after another, until stopped."""

    def __init__(self, shop: Backbone) -> None:
        self.shop = shop
        self.issues: list[UUID] = []
        self._stopped = False

    async def run(self) -> None:
        while not self._stopped:
            order_id = f"order-{len(self.issues)}"
            await self.shop.place_order(order_id)
            self.issues.append(await self.shop.report(order_id))

    async def goes_on(self) -> None:
        """Return once more reports were accepted."""
        enough = len(self.issues) + PER_STEP

        async def accepted() -> bool:
            return len(self.issues) >= enough

        await eventually(accepted, "reports are accepted", seconds=90, every=0.1)

    def stop(self) -> None:
        self._stopped = True


@asynccontextmanager
async def under_load(shop: Backbone) -> AsyncIterator[Load]:
    load = Load(shop)
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(load.run())
        await load.goes_on()
        yield load
        load.stop()


async def assert_whole(shop: Backbone, issues: list[UUID], smtp: Mailbox) -> None:
    """Wait until every issue is resolved; no service misses a record, and nothing happened twice."""
    await eventually(lambda: is_healthy(shop, issues), "every issue is resolved", seconds=120, every=0.5)
    await eventually(lambda: settled(shop), "everything is published", seconds=60, every=0.2)
    assert await look(shop) == []
    assert_nothing_happened_twice(shop, issues, smtp)


async def test_leaders_killed_one_after_another_lose_nothing(
    brokers: BrokerCluster, prefix: str, database: MakeDatabase, smtp: Mailbox, tmp_path: Path
) -> None:
    async with (
        backbone(database, brokers.bootstrap_servers, prefix, tmp_path, smtp.url) as shop,
        answering(shop),
        admin(brokers) as client,
    ):
        async with under_load(shop) as load:
            for number, broker in brokers.brokers.items():
                await eventually(partial(leads, client, prefix, number), "it leads a partition", seconds=60)
                began = time.monotonic()
                await asyncio.to_thread(broker.kill)
                await load.goes_on()
                print(f"broker {number} killed: {PER_STEP} reports after {time.monotonic() - began:.1f} s")
                await asyncio.to_thread(broker.start)
                await in_sync_again(client, prefix, brokers)
        await assert_whole(shop, load.issues, smtp)
        print(f"reports: {len(load.issues)}")


async def in_sync_again(client: Any, prefix: str, brokers: BrokerCluster) -> None:
    everybody = set(brokers.brokers)
    await eventually(lambda: is_in_sync(client, prefix, everybody), "all replicas in sync", seconds=120, every=0.2)
