"""Known pitfalls of rebalances, on real Kafka and Postgres; each test fails without its countermeasure."""

import asyncio
from typing import Any

import pytest
from aiokafka import TopicPartition

from libs.common.events.storefront import OrderCancelled
from libs.common.messaging import rebalance as reading
from libs.common.messaging.consumer import Consumer
from libs.common.messaging.rebalance import DrainingListener
from libs.common.messaging.subscription import Subscription
from tests.common.conftest import Run
from tests.common.consumer_driver import Held, counted, marks_are_waited_for, shares, write_to
from tests.common.records import record
from tests.common.test_consumer import cancelled, causes, give, reach
from tests.running import Live, eventually


async def test_a_zombie_that_wakes_up_after_its_partition_went_to_another_does_nothing_twice(offline: Live) -> None:
    service = offline.service
    held = Held()
    asleep_on = Subscription("storefront.orders", (OrderCancelled,), held)
    zombie = Consumer(service.decisions, service.pool, [asleep_on], service.wake_relay)
    owner = Consumer(service.decisions, service.pool, service.subscriptions, service.wake_relay)
    records = [record(n, "a", cancelled("a", cause, f"id-{n}")[2]) for n, cause in enumerate(["one", "two", "three"])]
    asleep = asyncio.create_task(zombie.handle(records[:2]))
    await held.inside.wait()
    awake = asyncio.create_task(owner.handle(records))
    await eventually(lambda: marks_are_waited_for(offline), "the new owner waits for the zombie's marks")
    held.go.set()
    await asyncio.gather(asleep, awake)
    assert await causes(offline, "a") == ["one", "two", "three"]


@pytest.mark.apache
async def test_what_a_zombie_acknowledges_after_a_rebalance_is_neither_lost_nor_taken_twice(
    run: Run, held: Held, kafka: str, topics: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "DRAIN_SECONDS", 0.1)

    async def everywhere(cause: str) -> None:
        for number in range(6):
            place = TopicPartition(topics + "storefront.orders", number)
            await write_to(kafka, place, [cancelled(f"k{number}", cause)])

    await everywhere("one")
    async with run() as first:
        await held.inside.wait()
        async with run() as second:
            await eventually(lambda: marks_are_waited_for(second), "the new owner waits for the zombie's marks")
            held.go.set()
            for number in range(6):
                await reach(first, f"k{number}", ["one"])
            await everywhere("two")
            for number in range(6):
                await reach(first, f"k{number}", ["one", "two"])
            assert counted(second, "ignored", "duplicate") > 0, "there was no zombie"


@pytest.mark.apache
async def test_a_rebalance_waits_for_the_batch_under_way_so_that_nobody_takes_it_too(
    run: Run, held: Held, monkeypatch: pytest.MonkeyPatch
) -> None:
    revoked, asked, settled = DrainingListener.on_partitions_revoked, asyncio.Event(), list[list[str]]()

    async def handing_over(self: DrainingListener, places: Any) -> None:
        if places:
            asked.set()
        await revoked(self, places)
        if places:
            settled.append(await causes(first, "a"))

    async def let_go() -> None:
        try:
            async with asyncio.timeout(20):
                await asked.wait()
        finally:
            held.go.set()

    monkeypatch.setattr(DrainingListener, "on_partitions_revoked", handing_over)
    async with run() as first:
        await give(first, [cancelled("a", "one")])
        await held.inside.wait()
        letting_go = asyncio.create_task(let_go())
        async with run() as second:
            await letting_go
            assert settled[0] == ["one"], "handed over while the batch was under way"
            await give(first, [cancelled("a", "two")])
            await reach(first, "a", ["one", "two"])
            assert counted(first, "ignored", "duplicate") + counted(second, "ignored", "duplicate") == 0


async def test_a_handler_that_outlives_the_poll_interval_comes_back_and_does_nothing_twice(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with run(kafka_max_poll_interval_ms=1_000) as slow:
        slow_consumer, inside, go = slow.service.kafka.consumer, asyncio.Event(), asyncio.Event()
        assert slow_consumer
        right = slow_consumer._transact

        async def hang(batch: Any) -> Any:
            inside.set()
            await go.wait()
            return await right(batch)

        monkeypatch.setattr(slow_consumer, "_transact", hang)
        await give(slow, [cancelled("a", "one")])
        await inside.wait()
        async with run() as other:
            await reach(other, "a", ["one"])  # the group has given the slow one up, for it does not poll
            assert counted(other, "ignored", "duplicate") == 0
            go.set()

            async def both_share() -> bool:
                return shares(slow, other) == [3, 3]

            await eventually(both_share, "the slow one has come back")
            await give(slow, [cancelled(key, "two") for key in "abcdefgh"])
            await reach(slow, "a", ["one", "two"])
            for key in "bcdefgh":
                await reach(slow, key, ["two"])
            assert counted(slow, "ignored", "duplicate") > 0, "the slow one was not slow enough to meet the other"
