"""Known pitfalls of consumers, on real Kafka and Postgres; each test fails without its countermeasure."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewPartitions, NewTopic, RecordsToDelete

from libs.common.config.settings import ServiceSettings
from libs.common.messaging.consumer import Consumer
from libs.common.postgres.pool import ConflictError
from libs.common.runtime import background_loops
from libs.common.runtime import service as serving
from tests.common import sample_service
from tests.common.conftest import Run
from tests.common.consumer_driver import Held, counted, shares, write_to
from tests.common.records import record
from tests.common.test_consumer import cancelled, causes, dead_letters_of, give, reach
from tests.running import OPS, Live, eventually, running


@dataclass
class Stumbling:
    """`decide` of the sample service that fails with a transient error until it is repaired."""

    monkeypatch: pytest.MonkeyPatch
    attempts: int = 0
    right: Callable[..., Any] = field(default=sample_service.decide)

    def begin(self) -> "Stumbling":
        self.monkeypatch.setattr(sample_service, "decide", self.fail)
        return self

    def fail(self, *_: Any) -> Any:
        self.attempts += 1
        raise ConflictError("somebody else was quicker")

    def mend(self) -> None:
        self.monkeypatch.setattr(sample_service, "decide", self.right)

    async def tried(self, times: int = 1) -> None:
        async def enough() -> bool:
            return self.attempts >= times

        await eventually(enough, f"it was tried {times} times")


@pytest.fixture
def stumbling(monkeypatch: pytest.MonkeyPatch) -> Stumbling:
    return Stumbling(monkeypatch).begin()


async def test_a_batch_that_was_not_committed_is_not_acknowledged_when_its_service_stops(
    run: Run, stumbling: Stumbling
) -> None:
    async with run() as live:
        await give(live, [cancelled("a", "one")])
        await stumbling.tried()
    stumbling.mend()
    async with run() as live:
        await reach(live, "a", ["one"])


async def test_a_batch_that_fails_in_passing_is_tried_again_seldom_and_not_in_a_circle(
    run: Run, stumbling: Stumbling, monkeypatch: pytest.MonkeyPatch
) -> None:
    right, taken = Consumer.handle, [0]

    async def counting(self: Consumer, records: Any) -> None:
        taken[0] += 1
        await right(self, records)

    monkeypatch.setattr(Consumer, "handle", counting)
    # A long poll would come back from a seek only after its wait, and pass for one that pauses.
    async with run(kafka_fetch_max_wait_ms=1) as live:
        await give(live, [cancelled("a", "one")])
        await stumbling.tried(6)
        begin, before = asyncio.get_running_loop().time(), stumbling.attempts
        await stumbling.tried(before + 1)
        # Given back, it is paused for 0.4 s and more; a seek alone would be there within a few milliseconds.
        assert asyncio.get_running_loop().time() - begin > 0.3
        assert taken[0] >= 2, "it was kept, and would have held up the other topics"
        stumbling.mend()
        await reach(live, "a", ["one"])


async def test_a_batch_with_one_poison_is_taken_but_for_that_and_what_stands_behind_it(offline: Live) -> None:
    service = offline.service
    consumer = Consumer(service.decisions, service.pool, service.subscriptions, service.wake_relay)
    events = [("a", "first"), ("b", "one"), ("a", "poison"), ("c", "one"), ("a", "late"), ("b", "two")]
    await consumer.handle([record(n, key, cancelled(key, cause)[2]) for n, (key, cause) in enumerate(events)])
    assert [await causes(offline, key) for key in "abc"] == [["first"], ["one", "two"], ["one"]]
    assert [(item["reason"], item["offset"]) for item in await dead_letters_of(offline)] == [
        ("failed", 2),
        ("blocked", 4),
    ]


async def test_a_service_that_is_stopped_finishes_its_batch_and_acknowledges_it(
    run: Run, held: Held, monkeypatch: pytest.MonkeyPatch
) -> None:
    cancel, settled = background_loops.cancel, list[list[str]]()

    async def cancelling(tasks: Any) -> None:
        settled.append(await causes(live, "a"))
        held.go.set()
        await cancel(tasks)

    async def let_go(live: Live) -> None:
        assert live.service.kafka.consumer
        await live.service.kafka.consumer.stopping.wait()
        held.go.set()

    monkeypatch.setattr(serving, "cancel", cancelling)
    async with run() as live:
        await give(live, [cancelled("a", "one")])
        await held.inside.wait()
        letting_go = asyncio.create_task(let_go(live))
    await letting_go
    assert settled == [["one"]], "it was cut off in the middle"
    async with run() as live:
        await give(live, [cancelled("a", "two")])
        await reach(live, "a", ["one", "two"])
        assert counted(live, "ignored", "duplicate") == 0


async def test_a_batch_that_cannot_be_taken_does_not_hold_its_service_up_when_that_stops(
    run: Run, stumbling: Stumbling
) -> None:
    async with run() as live:
        await give(live, [cancelled("a", "one")])
        await stumbling.tried(3)
        begin = asyncio.get_running_loop().time()
    assert asyncio.get_running_loop().time() - begin < 15


@pytest.mark.apache
async def test_partitions_that_a_topic_gets_later_are_read_from_their_beginning(run: Run, kafka: str) -> None:
    async with run(kafka_metadata_max_age_ms=1_000) as live:
        topic = live.service.settings.kafka_topic_prefix + "storefront.orders"
        async with _admin(kafka) as admin:
            await admin.create_partitions({topic: NewPartitions(total_count=8)})
        await write_to(kafka, TopicPartition(topic, 7), [cancelled("new", "one"), cancelled("new", "two")])
        await reach(live, "new", ["one", "two"])


@pytest.mark.apache
async def test_what_retention_took_while_the_service_was_away_is_counted_and_logged(run: Run, kafka: str) -> None:
    async with run() as live:
        place = TopicPartition(live.service.settings.kafka_topic_prefix + "storefront.orders", 3)
        await write_to(kafka, place, [cancelled("a", "before")])
        await reach(live, "a", ["before"])
    await write_to(kafka, place, [cancelled("a", f"lost {n}") for n in range(5)])
    async with _admin(kafka) as admin:
        await admin.delete_records({place: RecordsToDelete(before_offset=6)})
    await write_to(kafka, place, [cancelled("a", "after")])
    async with run() as live:
        await reach(live, "a", ["before", "after"])
        counters = (await live.client.get("/ops/counters", headers=OPS)).json()
        assert counters["lost_to_retention.storefront.orders"] == 5


@pytest.mark.apache
async def test_offsets_that_were_forgotten_bring_the_whole_topic_again_and_nothing_twice(run: Run, kafka: str) -> None:
    async with run() as live:
        await give(live, [cancelled("a", str(n)) for n in range(20)])
        await reach(live, "a", [str(n) for n in range(20)])
        group = live.service.settings.kafka_topic_prefix + "loyalty"
    await _forget_offsets(kafka, group)
    async with run() as live:
        await give(live, [cancelled("a", "20")])
        await reach(live, "a", [str(n) for n in range(21)])
        assert counted(live, "ignored", "duplicate") == 20


def test_marks_must_be_kept_longer_than_any_topic_keeps_its_events() -> None:
    at_hand = {"database_url": "postgresql://x/y", "kafka_bootstrap_servers": "x:9092"}
    with pytest.raises(ValueError, match="inbox_retention_days"):
        ServiceSettings.model_validate({**at_hand, "inbox_retention_days": 30})


async def test_a_hot_key_is_taken_in_batches_and_holds_nobody_up(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    right, transactions = Consumer._transact, [0]

    async def counting(self: Consumer, reads: Any) -> Any:
        transactions[0] += 1
        return await right(self, reads)

    monkeypatch.setattr(Consumer, "_transact", counting)
    async with run() as live:
        await give(live, [*(cancelled("hot", str(n)) for n in range(1_000)), cancelled("cold", "one")])
        await reach(live, "cold", ["one"])
        await reach(live, "hot", [str(n) for n in range(1_000)])
    assert transactions[0] < 50


async def test_a_hot_key_that_is_poisoned_makes_dead_letters_of_what_follows_and_stops_nobody_else(run: Run) -> None:
    async with run() as live:
        await give(live, [cancelled("hot", "poison"), *(cancelled("hot", str(n)) for n in range(200))])
        await give(live, [cancelled("cold", "one")])
        await reach(live, "cold", ["one"])

        async def all_dead_letters() -> bool:
            return bool(await live.service.pool.fetchval("SELECT count(*) = 201 FROM dead_letters"))

        await eventually(all_dead_letters, "everything behind the poison is a dead letter")
        first = (await dead_letters_of(live))[0]["id"]
        await live.client.post(f"/ops/dead-letters/{first}/discard", headers=OPS)
        await live.client.post(f"/ops/dead-letters/{first + 1}/replay", headers=OPS)
        await reach(live, "hot", [str(n) for n in range(200)])


async def _forget_offsets(kafka: str, group: str) -> None:
    """Reset the group to the beginning, as after `offsets.retention.minutes` without a consumer."""
    topic = group.removesuffix("loyalty") + "storefront.orders"
    consumer = AIOKafkaConsumer(bootstrap_servers=kafka, group_id=group, enable_auto_commit=False)
    await consumer.start()
    try:
        places = [TopicPartition(topic, number) for number in range(6)]
        consumer.assign(places)
        await consumer.commit(dict.fromkeys(places, 0))
    finally:
        await consumer.stop()


@asynccontextmanager
async def _admin(kafka: str) -> AsyncIterator[Any]:
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka)
    await admin.start()
    try:
        yield admin
    finally:
        await admin.close()


async def test_of_two_processes_both_have_started_though_one_has_the_only_partition(
    tally_database: str, kafka: str, topic_prefix: str
) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka)
    await admin.start()
    await admin.create_topics([NewTopic(f"{topic_prefix}storefront.orders", 1, 1)])
    await admin.close()
    place = {"database": tally_database, "kafka": kafka, "prefix": topic_prefix}
    async with (
        running(sample_service.create_app, ServiceSettings, **place) as first,
        running(sample_service.create_app, ServiceSettings, **place) as second,
    ):

        async def both() -> bool:
            answers = [await live.client.get("/health/started") for live in (first, second)]
            return sorted(shares(first, second)) == [0, 1] and all(answer.status_code == 200 for answer in answers)

        await eventually(both, "both have started, one of them with no share")
