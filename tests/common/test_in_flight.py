"""Work in flight: outbox rows, due timers, replays, unread records."""

from datetime import UTC, datetime, timedelta

import asyncpg
import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

from libs.common.events.topics import CUSTOMERS, ISSUES, consumer_group
from libs.common.runtime.in_flight import ConsumerLag, DatabaseWork, unread, unread_by_reader
from tests.running import OPS, Live, eventually

NOW = datetime(2027, 3, 1, 9, tzinfo=UTC)
TIMER = "INSERT INTO timers (aggregate, key, name, due_at) VALUES ('cases', 'k', $1, $2)"


async def test_database_work_counts_what_is_due_and_names_the_next_timer(tally_database: str) -> None:
    conn = await asyncpg.connect(tally_database)
    try:
        assert await DatabaseWork.read(conn, NOW) == DatabaseWork(0, 0, 0, None)
        await conn.execute("INSERT INTO outbox (topic, key) VALUES ('issues', 'k')")
        for name, due_at in (("due", NOW), ("later", NOW + timedelta(hours=2)), ("next", NOW + timedelta(hours=1))):
            await conn.execute(TIMER, name, due_at)
        work = await DatabaseWork.read(conn, NOW)
    finally:
        await conn.close()
    assert work == DatabaseWork(outbox=1, replaying=0, due_timers=1, next_timer_at=NOW + timedelta(hours=1))


def test_unread_records_lie_between_the_read_offset_and_the_end() -> None:
    first, second = TopicPartition("issues", 0), TopicPartition("issues", 1)
    ends = {first: 7, second: 3}
    assert unread(ends, {first: 5}) == 5
    assert unread(ends, {first: 9}, [first]) == 0
    assert consumer_group("returns", "shop.") == "shop.returns"


@pytest.mark.parametrize(
    ("ends", "processed", "count"),
    [
        ({}, {"issues": {}}, 0),
        ({"issues": {"0": 3}}, {"issues": {"0": 3}}, 0),
        ({"issues": {"0": 3}}, {"issues": {"0": 2}}, 1),
        ({"issues": {"0": 3, "4": 2}}, {"issues": {"0": 3}}, 2),
        ({"issues": {"0": 3}}, {"issues": {}, "notices": {}}, 3),
        ({"notices": {"0": 3}}, {"issues": {}}, 0),
        ({"issues": {"0": 3}}, {"issues": {"0": 5}}, 0),
    ],
    ids=[
        "nothing written",
        "all processed",
        "one fetched and not yet processed",
        "a partition of which nothing was processed",
        "nothing processed at all",
        "a topic that is none of theirs",
        "the broker's ends are behind",
    ],
)
def test_records_that_were_written_and_not_processed_are_unread(
    ends: dict[str, dict[str, int]], processed: dict[str, dict[str, int]], count: int
) -> None:
    offsets = {TopicPartition(topic, int(number)): end for topic, each in ends.items() for number, end in each.items()}
    assert unread_by_reader(offsets, processed) == count
    prefixed = {TopicPartition(f"shop.{each.topic}", each.partition): end for each, end in offsets.items()}
    assert unread_by_reader(prefixed, processed, "shop.") == count


async def test_consumer_lag_counts_the_records_behind_the_committed_offsets(kafka: str, topics: str) -> None:
    producer = AIOKafkaProducer(bootstrap_servers=kafka)
    await producer.start()
    written = [await producer.send_and_wait(f"{topics}issues", b"{}", b"key") for _ in range(3)]
    await producer.stop()
    lag = ConsumerLag(kafka, topics, [("returns", "issues"), ("returns", "customers")])
    issues, customers = "returns.issues", "returns.customers"
    reader = AIOKafkaConsumer(
        bootstrap_servers=kafka, group_id=consumer_group("returns", topics), enable_auto_commit=False
    )
    await reader.start()
    try:
        assert await lag.count() == {issues: 3, customers: 0}
        partition = TopicPartition(f"{topics}issues", written[0].partition)
        reader.assign([partition])
        await reader.commit({partition: written[1].offset})
        assert await lag.count() == {issues: 2, customers: 0}
        assert await lag.length([ISSUES, CUSTOMERS]) == 3
        await lag.close()
        assert await lag.count() == {issues: 2, customers: 0}
    finally:
        await lag.close()
        await reader.stop()


async def test_the_ops_route_is_idle_only_while_nothing_is_in_flight(offline: Live) -> None:
    async def state() -> dict[str, object]:
        answer = await offline.client.get("/ops/in-flight", headers=OPS)
        assert answer.status_code == 200
        found: dict[str, object] = answer.json()
        return found

    idle = await state()
    assert (idle["idle"], idle["outbox"], idle["open_commands"], idle["unread"]) == (True, 0, 0, 0)
    async with offline.service.pool.acquire() as conn:
        await conn.execute("INSERT INTO outbox (topic, key) VALUES ('issues', 'k')")

    async def busy() -> bool:
        found = await state()
        return (found["idle"], found["outbox"]) == (False, 1)

    await eventually(busy, "the outbox row is in flight")
