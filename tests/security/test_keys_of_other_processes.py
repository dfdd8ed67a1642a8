"""Rolling restarts: processes with different keys work on one database, and none takes encrypted bytes for content."""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import asyncpg
import pytest

from deploy.cli.keys import rotate_service
from libs.common.messaging import dead_letters, outbox
from libs.common.messaging.outbox import OutboxRow
from libs.common.messaging.relay import Relay
from libs.common.messaging.signal import WakeSignal
from libs.common.postgres.column_keys import ColumnKeys, MissingKeyError
from libs.common.postgres.pool import is_transient
from libs.common.privacy.erasure import Erasure, erase_dead_letters
from libs.common.telemetry.counters import Counters
from tests.conftest import MakeDatabase
from tests.running import eventually
from tests.security.test_encryption_at_rest import CUSTOMER, NEW, OLD, keyed, store_dead_letter

PERSONAL = [OutboxRow("t", "k", b"1", personal=True), OutboxRow("t", "k", b"2")]


class _Producer:
    def __init__(self) -> None:
        self.sent: list[bytes] = []

    async def start(self) -> None:
        """Start without an error."""

    async def stop(self) -> None:
        """Stop at once."""

    async def send(self, topic: str, value: bytes, key: bytes, headers: Any) -> "asyncio.Future[None]":
        self.sent.append(value)
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        future.set_result(None)
        return future


async def relayed(url: str, *secrets: str) -> Sequence[bytes]:
    """Run a relay with these keys until the outbox is empty, or until it gave up once; return what it sent."""
    producer, counters = _Producer(), Counters()
    running = asyncio.create_task(Relay(url, lambda: producer, WakeSignal(), counters, ColumnKeys(secrets)).run())
    conn = await asyncpg.connect(url)

    async def done() -> bool:
        return bool(counters.values) or not await conn.fetchval("SELECT count(*) FROM outbox")

    await eventually(done, "the relay has sent all, or has stopped")
    running.cancel()
    await conn.close()
    return producer.sent


@pytest.mark.parametrize("secrets", [(), (OLD,)], ids=["no key", "the old key"])
async def test_a_relay_that_is_not_restarted_yet_sends_no_encrypted_bytes(
    database: MakeDatabase, secrets: tuple[str, ...]
) -> None:
    url = await database("loyalty")
    async with keyed(url, NEW, OLD) as conn:
        await outbox.write(conn, PERSONAL)
    assert await relayed(url, *secrets) == []
    assert await relayed(url, NEW, OLD) == [b"1", b"2"]


@pytest.mark.parametrize("secrets", [(), (NEW,)], ids=["no key", "a key"])
async def test_bytes_of_a_stranger_that_only_look_encrypted_are_sent_on(
    database: MakeDatabase, secrets: tuple[str, ...]
) -> None:
    url, odd = await database("loyalty"), b"\x93sk1abcd and more"
    async with keyed(url) as conn:
        await outbox.write(conn, [OutboxRow("t", "k", odd, personal=True), OutboxRow("t", "k", b"\x93sk1")])
    assert await relayed(url, *secrets) == [odd, b"\x93sk1"]


async def test_a_record_that_waits_over_a_whole_rotation_is_sent_with_the_new_key_alone(database: MakeDatabase) -> None:
    url = await database("loyalty")
    async with keyed(url, OLD) as conn:
        for _ in range(60):
            await outbox.write(conn, PERSONAL)
        sealed = ColumnKeys([OLD]).seal("outbox", b"3")
        await conn.execute("INSERT INTO outbox (topic, key, value) VALUES ('t', 'k', $1), ('t', 'k', NULL)", sealed)
    counts = [(await rotate_service(url, "loyalty", ColumnKeys(keys)))["outbox"] for keys in ((NEW, OLD), (NEW, OLD))]
    assert counts == [61, 0]
    assert await relayed(url, NEW) == [b"1", b"2"] * 60 + [b"3", None]


async def test_replay_and_erasure_wait_for_a_process_with_the_key_of_a_dead_letter(database: MakeDatabase) -> None:
    url = await database("loyalty")
    async with keyed(url, OLD) as before:
        async with keyed(url, NEW, OLD) as conn:
            await store_dead_letter(conn, b'{"customer_id": "C-1"}')
            await dead_letters.request_replay(conn, 1, "somebody")
        with pytest.raises(MissingKeyError) as replay:
            await dead_letters.next_to_replay(before, "orders")
        with pytest.raises(MissingKeyError):
            await erase_dead_letters(before, Erasure(CUSTOMER, uuid4(), datetime.now(UTC)), [])
    assert is_transient(replay.value)


async def test_a_value_under_a_key_of_other_processes_is_read_later_and_a_changed_one_never() -> None:
    sealed = ColumnKeys([NEW]).seal("contacts", b"hana")
    with pytest.raises(MissingKeyError) as missing:
        ColumnKeys([OLD]).open("contacts", sealed)
    with pytest.raises(Exception, match="was changed") as changed:
        ColumnKeys([NEW]).open("contacts", sealed[:-1] + bytes([sealed[-1] ^ 1]))
    assert (is_transient(missing.value), is_transient(changed.value)) == (True, False)
