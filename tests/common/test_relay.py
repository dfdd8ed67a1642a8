"""Outbox relay: every row is published, in order per key, by one process at a time, through all failures."""

import asyncio
from typing import Any

import asyncpg
import pytest

from libs.common.config.settings import ServiceSettings
from libs.common.messaging.broker import new_producer
from libs.common.messaging.relay import Relay, publish
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
    await conn.executemany(
        "INSERT INTO outbox (topic, key, value) VALUES ($1, $2, $3)",
        [(topic, key, str(number).encode()) for number in numbers],
    )


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
    """Producer that fails every send of one value, with an error that a healthy broker does not return on demand."""

    def __init__(self, bad: bytes) -> None:
        self.bad = bad

    async def send(self, topic: str, value: bytes, key: bytes, headers: Any) -> "asyncio.Future[None]":
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        if value == self.bad:
            future.set_exception(ConnectionError("refused"))
        else:
            future.set_result(None)
        return future


async def test_after_a_failed_send_nothing_later_of_its_key_is_deleted() -> None:
    rows = [
        {"id": n, "topic": "t", "key": key, "value": str(n).encode(), "headers": None, "trace": None}
        for n, key in enumerate(["a", "b", "a", "b", "a"])
    ]
    sent, error = await publish(_Refusing(b"2"), rows)
    assert sent == [0, 1, 3]
    assert isinstance(error, ConnectionError)
