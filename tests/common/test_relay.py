"""Outbox relay: every row is published, in order per key, by one process at a time, through all failures."""

import asyncio
from collections import Counter
from typing import Any

import asyncpg
import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.common.config.settings import ServiceSettings
from libs.common.messaging import outbox
from libs.common.messaging.broker import new_producer
from libs.common.messaging.outbox import ROW_BYTES, OutboxRow
from libs.common.messaging.relay import Relay, WaitingRecord, publish
from libs.common.messaging.signal import WakeSignal
from libs.common.telemetry.counters import Counters
from tests.common import wire
from tests.running import eventually

CUT = """SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
    WHERE application_name = 'relay' AND pid <> $1 AND datname = current_database()"""


def relay(database: str, kafka: str) -> Relay:
    settings = ServiceSettings.model_validate({"database_url": database, "kafka_bootstrap_servers": kafka})
    return Relay(database, lambda: new_producer(settings, "test"), WakeSignal(), Counters())


async def write(conn: Any, topic: str, key: str, numbers: range) -> None:
    """Write these numbers as one row."""
    await outbox.write(conn, [OutboxRow(topic, key, str(number).encode()) for number in numbers])


async def emptied(conn: Any) -> bool:
    return bool(await conn.fetchval("SELECT count(*) = 0 FROM outbox"))


async def test_rows_written_by_many_at_once_all_leave_in_order_per_key(
    tally_database: str, kafka: str, topics: str
) -> None:
    topic = topics + "loyalty"

    async def writer(key: str) -> None:
        conn = await asyncpg.connect(tally_database)
        for start in range(0, 200, 10):
            async with conn.transaction():
                await write(conn, topic, key, range(start, start + 10))
                await asyncio.sleep(0)
        await conn.close()

    running = asyncio.create_task(relay(tally_database, kafka).run())
    await asyncio.gather(*(writer(f"k{n}") for n in range(10)))
    conn = await asyncpg.connect(tally_database)
    await eventually(lambda: emptied(conn), "the outbox is empty")
    running.cancel()
    await conn.close()
    read: dict[bytes, list[int]] = {}
    for record in await wire.read_all(kafka, topic):
        read.setdefault(record.key, []).append(int(record.value))
    assert read == {f"k{n}".encode(): list(range(200)) for n in range(10)}


async def test_only_one_of_two_relays_publishes_and_the_other_takes_over(
    tally_database: str, kafka: str, topics: str
) -> None:
    first, second = relay(tally_database, kafka), relay(tally_database, kafka)
    running = asyncio.create_task(first.run())

    async def active(one: Relay) -> bool:
        return one.active

    await eventually(lambda: active(first), "the first is active")
    standby = asyncio.create_task(second.run())
    conn = await asyncpg.connect(tally_database)
    await write(conn, topics + "loyalty", "k", range(100))
    await eventually(lambda: emptied(conn), "the outbox is empty")
    assert not second.active
    running.cancel()
    await eventually(lambda: active(second), "the second took over")
    standby.cancel()
    await conn.close()
    assert [int(record.value) for record in await wire.read_all(kafka, topics + "loyalty")] == list(range(100))


async def test_a_relay_whose_database_session_is_cut_starts_over(tally_database: str, kafka: str, topics: str) -> None:
    running = asyncio.create_task(relay(tally_database, kafka).run())
    conn = await asyncpg.connect(tally_database)
    await write(conn, topics + "loyalty", "k", range(10))
    await eventually(lambda: emptied(conn), "the outbox is empty")
    own = await conn.fetchval("SELECT pg_backend_pid()")
    assert await conn.fetchval(CUT, own) == 1
    await write(conn, topics + "loyalty", "k", range(10, 20))
    await eventually(lambda: emptied(conn), "the outbox is empty again")
    running.cancel()
    await conn.close()
    assert [int(record.value) for record in await wire.read_all(kafka, topics + "loyalty")] == list(range(20))


async def test_a_relay_that_worked_restarts_without_delay(
    tally_database: str, kafka: str, topics: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("WARNING", "libs.common.messaging.relay")
    running = asyncio.create_task(relay(tally_database, kafka).run())
    conn = await asyncpg.connect(tally_database)
    for number in range(3):
        await write(conn, topics + "loyalty", "k", range(number, number + 1))
        await eventually(lambda: emptied(conn), "the outbox is empty")
        own = await conn.fetchval("SELECT pg_backend_pid()")
        assert await conn.fetchval(CUT, own) == 1
    await write(conn, topics + "loyalty", "k", range(3, 4))
    await eventually(lambda: emptied(conn), "the outbox is empty at last")
    running.cancel()
    await conn.close()
    restarts = [record for record in caplog.records if record.name == "libs.common.messaging.relay"]
    pauses = [record.getMessage().split()[2] for record in restarts]
    assert pauses == ["retry_in=0.1s"] * 3


class _Refusing:
    """Producer that fails every send of some values, with an error that a healthy broker does not return on demand."""

    def __init__(self, *bad: bytes) -> None:
        self.bad = bad
        self.sent: list[bytes] = []

    async def start(self) -> None:
        """Start without an error."""

    async def stop(self) -> None:
        """Stop at once."""

    async def send(self, topic: str, value: bytes, key: bytes, headers: Any) -> "asyncio.Future[None]":
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        if value in self.bad:
            future.set_exception(ConnectionError("refused"))
        else:
            self.sent.append(value)
            future.set_result(None)
        return future


def waiting(id: int, position: int, key: str, value: bytes) -> WaitingRecord:
    return WaitingRecord(id, position, "t", key, value, headers=None, trace=None)


async def test_after_a_failed_send_nothing_later_of_its_key_is_deleted() -> None:
    keys = [(1, 1, "a"), (1, 2, "b"), (2, 1, "a"), (2, 2, "b"), (3, 1, "a"), (4, 1, "b")]
    records = [waiting(id, position, key, f"{id}.{position}".encode()) for id, position, key in keys]
    published = await publish(_Refusing(b"2.1"), records)
    assert (published.done, published.kept) == ([1, 4], {2: [1]})
    assert isinstance(published.error, ConnectionError)


@given(
    records=st.lists(st.tuples(st.integers(1, 4), st.sampled_from("abc"), st.booleans()), max_size=12),
)
async def test_what_is_deleted_after_a_failure_was_sent_and_precedes_what_is_kept_of_its_key(
    records: list[tuple[int, str, bool]],
) -> None:
    rows: Counter[int] = Counter()
    sending, bad = [], []
    for id, key, fails in sorted(records, key=lambda record: record[0]):
        rows[id] += 1
        value = f"{id}.{rows[id]}".encode()
        sending.append(waiting(id, rows[id], key, value))
        if fails:
            bad.append(value)
    published = await publish(_Refusing(*bad), sending)
    kept_keys = set()
    for each in sending:
        whole = each.id not in published.done and each.id not in published.kept
        if whole or each.position in published.kept.get(each.id, ()):
            kept_keys.add(each.key)
            assert published.error
        else:
            assert each.value not in bad
            assert each.key not in kept_keys


async def test_the_acknowledged_records_of_a_row_are_not_sent_again_after_a_failure(tally_database: str) -> None:
    conn = await asyncpg.connect(tally_database)
    first = OutboxRow("t", "a", b"1", headers={"reason": "x"})
    await outbox.write(conn, [first, OutboxRow("t", "b", b"2", trace="00-a-b-01"), OutboxRow("t", None, None)])
    producers = [_Refusing(b"2"), _Refusing()]
    made = iter(producers)
    relay = Relay(tally_database, lambda: next(made), WakeSignal(), Counters())
    running = asyncio.create_task(relay.run())
    await eventually(lambda: emptied(conn), "the outbox is empty")
    running.cancel()
    await conn.close()
    assert [producer.sent for producer in producers] == [[b"1", None], [b"2"]]
    assert relay.sent == {"t": 3}, "each acknowledged record counts once"


async def test_a_row_of_the_form_with_one_record_is_published_in_its_place(
    tally_database: str, kafka: str, topics: str
) -> None:
    """A process of the release before wrote it; both work on one database during an upgrade."""
    topic = topics + "loyalty"
    conn = await asyncpg.connect(tally_database)
    await write(conn, topic, "k", range(2))
    await conn.execute("INSERT INTO outbox (topic, key, value) VALUES ($1, 'k', '2')", topic)
    await write(conn, topic, "k", range(3, 5))
    waiting = await conn.fetch("SELECT topic, key, value FROM outbox_records")
    assert [tuple(row) for row in waiting] == [(topic, "k", str(n).encode()) for n in range(5)]
    running = asyncio.create_task(relay(tally_database, kafka).run())
    await eventually(lambda: emptied(conn), "the outbox is empty")
    running.cancel()
    await conn.close()
    assert [int(record.value) for record in await wire.read_all(kafka, topic)] == list(range(5))


async def test_a_large_write_is_split_into_rows_and_keeps_its_order(tally_database: str) -> None:
    conn = await asyncpg.connect(tally_database)
    sizes = [1, ROW_BYTES - 1, 1, 2 * ROW_BYTES, 1, 1]
    await outbox.write(conn, [OutboxRow("t", None, bytes([n]) * size) for n, size in enumerate(sizes)])
    rows = await conn.fetch("SELECT id, get_byte(value, 0) AS n FROM outbox_records")
    assert [row["n"] for row in rows] == list(range(6))
    assert sorted(Counter(row["id"] for row in rows).values()) == [1, 1, 2, 2]
    await conn.close()
