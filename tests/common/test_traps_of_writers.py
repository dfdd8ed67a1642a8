"""Known pitfalls of writers: outbox, relay, inbox and migrations; each test fails without its countermeasure."""

import asyncio
import functools
from typing import Any

import asyncpg
import pytest
from aiokafka.errors import OutOfOrderSequenceNumber, ProducerFenced

from libs.common.config.settings import ServiceSettings
from libs.common.messaging import outbox
from libs.common.messaging import relay as relaying
from libs.common.messaging.broker import new_producer
from libs.common.messaging.outbox import OutboxRow
from libs.common.messaging.relay import Relay
from libs.common.messaging.signal import WakeSignal
from libs.common.postgres.migrate import Migration, _apply
from libs.common.runtime import service as serving
from libs.common.telemetry.counters import Counters
from tests.common import sample_service, wire
from tests.common.test_consumer import cancelled, causes, reach
from tests.common.test_relay import emptied, relay, write
from tests.conftest import as_owner
from tests.running import STOREFRONT, Live, eventually, running


async def test_a_row_whose_transaction_was_slow_leaves_although_later_rows_left_before_it(
    tally_database: str, kafka: str, topics: str
) -> None:
    topic = topics + "loyalty"
    slow, quick = await asyncpg.connect(tally_database), await asyncpg.connect(tally_database)
    relayed = asyncio.create_task(relay(tally_database, kafka).run())
    transaction = slow.transaction()
    await transaction.start()
    await write(slow, topic, "slow", range(1))
    await write(quick, topic, "quick", range(1, 20))
    await eventually(lambda: emptied(quick), "the quick ones have left")
    await transaction.commit()
    await eventually(lambda: emptied(quick), "the slow one has left too")
    relayed.cancel()
    for conn in (slow, quick):
        await conn.close()
    assert sorted(int(one.value) for one in await wire.read_all(kafka, topic)) == list(range(20))


async def test_events_of_one_key_written_by_two_processes_leave_in_the_order_of_its_states(
    tally_database: str, kafka: str, topics: str
) -> None:
    """Commands to two processes at once: counts of each key must rise on the topic, as in its state."""

    def process() -> Any:
        return running(sample_service.create_app, ServiceSettings, database=tally_database, kafka=kafka, prefix=topics)

    async def command(live: Live, number: int) -> None:
        body = {"order_id": f"k{number % 3}", "cause": str(number)}
        headers = {**STOREFRONT, "Idempotency-Key": f"{id(live)}-{number}"}
        assert (await live.client.post("/cancellations", json=body, headers=headers)).status_code == 202

    async with process() as one, process() as two:
        await asyncio.gather(*(command(live, number) for number in range(60) for live in (one, two)))
        conn = await asyncpg.connect(tally_database)
        await eventually(lambda: emptied(conn), "the outbox is empty")
        await conn.close()
    published: dict[str, list[int]] = {}
    for event in await wire.read_json(kafka, topics + "loyalty"):
        published.setdefault(event["data"]["customer_id"], []).append(event["data"]["points"])
    assert published == {f"k{n}": list(range(1, 41)) for n in range(3)}


async def test_what_a_relay_sends_again_after_a_crash_before_the_deletion_is_applied_once(
    tally_database: str, kafka: str, topics: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    crashes = iter([True, True])

    def crash(step: str) -> None:
        if step == "relay_sent" and next(crashes, False):
            raise ConnectionError("crashed after the broker acknowledged, before the rows were deleted")

    monkeypatch.setattr(relaying, "failpoint", crash)
    numbers = [str(n) for n in range(20)]
    rows = [OutboxRow(topics + topic, key, value) for topic, key, value, _ in (cancelled("a", n) for n in numbers)]
    start = functools.partial(running, sample_service.create_app, ServiceSettings, database=tally_database)
    async with start(kafka=kafka, prefix=topics) as live:
        conn = await asyncpg.connect(tally_database)
        for first in (0, 10):
            await outbox.write(conn, rows[first : first + 10])
        await conn.close()
        await reach(live, "a", numbers)

        async def repeats_were_read() -> bool:
            return live.service.counters.values["ignored", "duplicate"] >= 10

        await eventually(repeats_were_read, "the repeated records were read")
        assert await causes(live, "a") == numbers


class Broken:
    """Producer that never recovers; only a new one helps."""

    def __init__(self, error: Exception | None) -> None:
        self.error = error

    async def start(self) -> None:
        """Start without an error."""

    async def stop(self) -> None:
        """Hang on stop, as such producers do."""
        await asyncio.sleep(3600)

    async def send(self, *_: Any, **__: Any) -> "asyncio.Future[None]":
        answer: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        if self.error:
            answer.set_exception(self.error)
        return answer


@pytest.mark.parametrize("error", [ProducerFenced(), OutOfOrderSequenceNumber(), None], ids=["fenced", "gap", "silent"])
async def test_a_producer_that_cannot_go_on_is_replaced_and_the_rows_leave_in_order(
    error: Exception | None, tally_database: str, kafka: str, topics: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(relaying, "SEND_TIMEOUT", 0.3)
    monkeypatch.setattr(relaying, "STOP_TIMEOUT", 0.1)
    settings = ServiceSettings.model_validate({"database_url": tally_database, "kafka_bootstrap_servers": kafka})
    made: list[Any] = []

    def make() -> Any:
        made.append(new_producer(settings, "test") if made else Broken(error))
        return made[-1]

    conn = await asyncpg.connect(tally_database)
    await write(conn, topics + "loyalty", "k", range(20))
    relayed = asyncio.create_task(Relay(tally_database, make, WakeSignal(), Counters()).run())
    await eventually(lambda: emptied(conn), "the outbox is empty")
    relayed.cancel()
    await conn.close()
    sent = [int(one.value) for one in await wire.read_all(kafka, topics + "loyalty")]
    # On a busy machine the good producer may take longer than the short patience too; then all is sent once more.
    assert list(dict.fromkeys(sent)) == list(range(20))


async def test_marks_and_answers_that_nobody_can_ask_for_any_more_are_forgotten_and_young_ones_kept(
    tally_database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(serving, "SWEEP_SECONDS", 0.05)
    conn = await asyncpg.connect(tally_database)
    await conn.execute(
        """
        INSERT INTO inbox (event_key, content, received_at)
        SELECT decode(md5(n::text), 'hex'), 0, now() - CASE WHEN n < 25000 THEN interval '61 days' ELSE '59 days' END
        FROM generate_series(1, 25010) AS n"""
    )
    await conn.execute(
        """
        INSERT INTO idempotency (caller, key, fingerprint, status, body, answered_at)
        SELECT 'storefront', n::text, '', 202, '{}', now() - n * interval '20 days' FROM generate_series(1, 6) AS n"""
    )

    async def swept() -> bool:
        left = await conn.fetchrow("SELECT (SELECT count(*) FROM inbox), (SELECT count(*) FROM idempotency)")
        return left is not None and tuple(left) == (11, 2)

    async with running(sample_service.create_app, ServiceSettings, database=tally_database):
        await eventually(swept, "only what is younger than sixty days is left")
    await conn.close()


WAITS = """
    SELECT relation::regclass::text FROM pg_locks JOIN pg_database d ON d.oid = database
    WHERE NOT granted AND datname = current_database()"""
WIDER = Migration("tally", 9, "0009_wider.sql", "ALTER TABLE tallies ADD COLUMN note text")


async def test_a_migration_behind_a_long_transaction_does_not_hold_up_the_version_that_runs(
    tally_database: str, offline: Live, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Additive migrations do not block: calls are answered while it waits, and by the old code once it is applied."""
    reader, migrating = await asyncpg.connect(tally_database), await asyncpg.connect(as_owner(tally_database))
    long = reader.transaction()
    await long.start()
    await reader.execute("SELECT count(*) FROM tallies")
    migration = asyncio.create_task(_apply(migrating, WIDER))

    async def waits() -> bool:
        return bool(await offline.service.pool.fetchval(WAITS) == "tallies")

    try:
        await eventually(waits, "the migration waits for the table")
        assert await _count(offline, "k1", seconds=4) == 1
    finally:
        await long.rollback()
        await migration
    assert await _count(offline, "k2", seconds=4) == 2
    assert await reader.fetchval("SELECT count(*) FROM migrations WHERE name = $1", WIDER.name) == 1
    for conn in (reader, migrating):
        await conn.close()


async def _count(live: Live, key: str, seconds: float) -> int:
    headers = {**STOREFRONT, "Idempotency-Key": key}
    async with asyncio.timeout(seconds):
        answer = await live.client.post("/cancellations", json={"order_id": "a", "cause": "x"}, headers=headers)
    return int(answer.json()["count"])
