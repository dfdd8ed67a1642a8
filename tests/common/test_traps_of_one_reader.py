"""Known pitfalls of one consumer for all topics of a service, on real Kafka and Postgres."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from typing import Any
from uuid import UUID, uuid5

import pytest

from libs.common.config.settings import ServiceSettings
from libs.common.events.payment import RefundFailed
from libs.common.events.topics import consumer_group
from libs.common.messaging import consumer as consuming
from libs.common.messaging.consumer import Consumer
from libs.common.postgres.pool import ConflictError
from libs.common.runtime.in_flight import ConsumerLag
from tests.common import sample_service, wire
from tests.common.consumer_driver import counted
from tests.common.records import record
from tests.common.test_consumer import NOW, cancelled, causes, dead_letters_of, give, reach
from tests.running import Live, eventually, running

Run = Callable[..., AbstractAsyncContextManager[Live]]
ISSUES = UUID("00000000-0000-4000-8000-000000000000")


@pytest.fixture
def run(tally_database: str, kafka: str, topics: str) -> Run:
    """Start the sample service with two topics, repeatedly on the same database and broker."""

    @asynccontextmanager
    async def started(**settings: Any) -> AsyncIterator[Live]:
        create_app, place = sample_service.create_app_with_refunds, {"kafka": kafka, "prefix": topics}
        async with running(create_app, ServiceSettings, database=tally_database, **place, **settings) as live:
            yield live

    return started


def issue(key: str) -> UUID:
    return uuid5(ISSUES, key)


def refund_failed(key: str, cause: str, event_id: str | None = None) -> wire.Wanted:
    payload = RefundFailed(issue_id=issue(key), refund_id=issue("refund of " + key), cause=cause, failed_at=NOW)
    return "payment.events", key, wire.event_bytes(payload, event_id), []


def refund(key: str) -> str:
    """Return the key of the state of refunds."""
    return f"refund-{issue(key)}"


async def test_a_rebalance_with_one_reader_for_all_topics_loses_nothing_and_doubles_nothing(run: Run) -> None:
    keys, rounds = [f"k{number}" for number in range(12)], 40
    async with AsyncExitStack() as stack:
        first = await stack.enter_async_context(run())

        async def write() -> None:
            for number in range(rounds):
                await give(first, [make(key, str(number)) for key in keys for make in (cancelled, refund_failed)])

        writing = asyncio.create_task(write())
        for _ in range(2):
            async with run() as other:

                async def both_consume(other: Live = other) -> bool:
                    return bool(other.service.kafka.health and other.service.kafka.health.listener.processed)

                if not writing.done():
                    await eventually(both_consume, "the other process consumes")
        await writing
        for key in keys:
            await reach(first, key, [str(number) for number in range(rounds)])
            await reach(first, refund(key), [str(number) for number in range(rounds)])
        settings = first.service.settings
        places = [("loyalty", "storefront.orders"), ("loyalty", "payment.events")]
        lag = ConsumerLag(settings.kafka_bootstrap_servers, settings.kafka_topic_prefix, places)
        stack.push_async_callback(lag.close)

        async def all_committed() -> bool:
            return not any((await lag.count()).values())

        await eventually(all_committed, "every offset is committed")


async def test_processes_share_the_same_partition_numbers_of_every_topic(run: Run) -> None:
    async with run() as first, run() as second:

        def numbers(live: Live, topic: str) -> set[int]:
            health = live.service.kafka.health
            assignment = health.consumer.assignment() if health else ()
            return {partition.partition for partition in assignment if partition.topic.endswith(topic)}

        async def shared() -> bool:
            return all(len(numbers(live, "payment.events")) == 3 for live in (first, second))

        await eventually(shared, "both have three of six partitions")
        for live in (first, second):
            assert numbers(live, "payment.events") == numbers(live, "storefront.orders")
        assert consumer_group("loyalty", "shop.") == "shop.loyalty"


async def test_a_topic_that_fails_in_passing_does_not_hold_up_the_others(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any) -> Any:
        raise ConflictError("somebody else was quicker")

    async with run() as live:
        refunds = live.service.aggregates["refunds"]
        right = refunds.decide
        monkeypatch.setattr(refunds, "decide", fail)
        await give(live, [refund_failed("a", "one"), cancelled("a", "one")])
        await reach(live, "a", ["one"])
        await give(live, [cancelled("a", "two"), refund_failed("a", "two")])
        await reach(live, "a", ["one", "two"])
        assert await causes(live, refund("a")) == []
        monkeypatch.setattr(refunds, "decide", right)
        await reach(live, refund("a"), ["one", "two"])
        assert counted(live, "ignored", "duplicate") == 0


async def test_records_behind_one_that_was_given_back_are_given_back_too(
    offline: Live, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail_on_two(self: Any, state: Any, event: Any, now: Any) -> Any:
        if event.data.cause == "two":
            raise ConflictError("somebody else was quicker")
        return sample_service.decide(state, event, now)

    monkeypatch.setattr(sample_service.Tallies, "decide", fail_on_two)
    monkeypatch.setattr(consuming, "_pause", lambda _: 0.001)
    service = offline.service
    consumer = Consumer(service.decisions, service.pool, service.subscriptions, service.wake_relay)
    events = ["one", "poison", "two", "three"]
    # The poison makes the batch be halved, so that "three" is tried apart from "two".
    given_back = await consumer.handle([record(n, cause, cancelled(cause, cause)[2]) for n, cause in enumerate(events)])
    assert [(each.partition.partition, each.offset) for each in given_back] == [(0, 2)]
    assert [await causes(offline, key) for key in ("one", "two", "three")] == [["one"], [], []]
    assert [item["reason"] for item in await dead_letters_of(offline)] == ["failed"]


async def test_a_topic_that_halts_lets_the_others_go_on(run: Run) -> None:
    async with run() as live:
        await give(live, [cancelled(f"bad{n}", "poison") for n in range(120)])

        async def halted() -> bool:
            return live.service.kafka.halted == ["storefront.orders"]

        await eventually(halted, "the topic is halted")
        await give(live, [cancelled("good", "one"), refund_failed("a", "one")])
        await reach(live, refund("a"), ["one"])
        assert await causes(live, "good") == []
        assert (await live.client.get("/health/live")).status_code == 200
        assert (await live.client.get("/health/ready")).json()["halted"] == ["storefront.orders"]


def poison(key: str, number: int) -> Any:
    return record(number, key, cancelled(key, "poison")[2])


async def test_a_key_that_fails_again_and_again_halts_no_topic(offline: Live) -> None:
    service = offline.service
    consumer = Consumer(service.decisions, service.pool, service.subscriptions, service.wake_relay)
    for number in range(2 * consuming.HALT_FAILURES):
        await consumer.handle([poison("a", number)])
        await service.pool.execute("UPDATE dead_letters SET blocks = false")  # so that the next one is tried, too
    assert (consumer.halted, len(await dead_letters_of(offline))) == ({}, 50)


async def test_a_halt_ends_by_itself_and_the_next_one_is_longer(offline: Live, monkeypatch: pytest.MonkeyPatch) -> None:
    now = 1000.0
    monkeypatch.setattr(consuming, "monotonic", lambda: now)
    service, halted_for = offline.service, []
    consumer = Consumer(service.decisions, service.pool, service.subscriptions, service.wake_relay)
    number = 0
    for _ in range(6):
        while not consumer.halted:
            number += 1
            given_back = await consumer.handle([poison(f"k{number}", number)])
        (seconds,) = {each.seconds for each in given_back}
        assert seconds
        halted_for.append(seconds)
        now += seconds
        assert not await consumer.handle([record(number, "good", cancelled("good", "one")[2])])
        assert not consumer.halted
    assert halted_for == [30, 60, 120, 240, 480, 600]
    assert await causes(offline, "good") == ["one"] * 6


async def test_a_partition_that_comes_back_counts_from_where_another_process_left_it(run: Run) -> None:
    async with run() as live:
        await give(live, [cancelled("a", "one")])
        await reach(live, "a", ["one"])
        health = live.service.kafka.health
        assert health
        (partition,) = health.listener.processed
        health.listener.processed[partition] -= 1  # what this process knew, before another one read on
        await health.listener.on_partitions_assigned({partition})
        assert health.lag()["storefront.orders"] == 0
