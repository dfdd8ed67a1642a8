"""Dead letters: in order per key, replayed once, content deleted when settled."""

import asyncio
from datetime import UTC, datetime
from typing import Any

import asyncpg
import pytest
from aiokafka import ConsumerRecord
from typer.testing import CliRunner

from libs.common.config.settings import ServiceSettings
from libs.common.events.storefront import OrderCancelled
from libs.common.messaging import dead_letters
from libs.common.messaging.dead_letters import DeadLetter, DeadLetterReason
from libs.common.messaging.dead_letters_cli import app
from tests.common import sample_service, wire
from tests.conftest import as_owner
from tests.running import eventually, running


def dead_letter(
    offset: int, reason: DeadLetterReason, key: bytes = b"k", value: bytes = b"{}", topic: str = "t"
) -> DeadLetter:
    record: ConsumerRecord[Any, Any] = ConsumerRecord(
        topic=topic, partition=0, offset=offset, timestamp=1_800_000_000_000, timestamp_type=0, key=key,
        value=value, checksum=None, serialized_key_size=1, serialized_value_size=2, headers=(),
    )  # fmt: skip
    return DeadLetter(record, reason, "why")


async def states(conn: Any) -> list[str]:
    return [row["state"] for row in await conn.fetch("SELECT state FROM dead_letters ORDER BY id")]


async def test_what_comes_behind_records_under_replay_joins_them(tally_database: str) -> None:
    conn = await asyncpg.connect(tally_database)
    await dead_letters.store(conn, "tallies", [dead_letter(1, DeadLetterReason.FAILED)])
    await dead_letters.request_replay(conn, 1, "somebody")
    await dead_letters.store(conn, "tallies", [dead_letter(2, DeadLetterReason.BLOCKED)])
    assert await states(conn) == ["replaying", "replaying"]
    await dead_letters.settle_replay(conn, 1, "failed again")
    await dead_letters.store(conn, "tallies", [dead_letter(3, DeadLetterReason.BLOCKED)])
    assert await states(conn) == ["open", "replaying", "open"]
    await conn.close()


async def test_a_record_behind_those_whose_replay_ended_meanwhile_is_replayed_too(tally_database: str) -> None:
    """The inbox saw the key blocked by a record in replay; the replay ended before this record was stored."""
    conn = await asyncpg.connect(tally_database)
    await dead_letters.store(conn, "tallies", [dead_letter(1, DeadLetterReason.FAILED)])
    await dead_letters.request_replay(conn, 1, "somebody")
    await dead_letters.settle_replay(conn, 1, None)
    await dead_letters.store(conn, "tallies", [dead_letter(2, DeadLetterReason.BLOCKED)])
    assert await states(conn) == ["replayed", "replaying"]
    await conn.close()


async def test_the_error_of_a_failed_replay_names_the_constraint_and_no_row(tally_database: str) -> None:
    owner = await asyncpg.connect(as_owner(tally_database))
    await owner.execute("ALTER TABLE tallies ADD CONSTRAINT short CHECK (length(body::text) < 10)")
    await owner.close()
    async with running(sample_service.create_app, ServiceSettings, database=tally_database) as live:
        event = OrderCancelled(order_id="k", cause="she moved to Kyoto", cancelled_at=datetime(2027, 3, 1, tzinfo=UTC))
        letter = dead_letter(1, DeadLetterReason.FAILED, value=wire.event_bytes(event), topic="storefront.orders")
        async with live.service.pool.acquire() as conn:
            await dead_letters.store(conn, "tallies", [letter])
            await dead_letters.request_replay(conn, 1, "somebody")

        async def failed() -> Any:
            return await live.service.pool.fetchval("SELECT error FROM dead_letters WHERE state = 'open'")

        error = await eventually(failed, "the replay has failed")
    assert "short" in error
    assert "Kyoto" not in error


async def test_a_record_waits_for_those_of_its_key_before_it(tally_database: str) -> None:
    conn = await asyncpg.connect(tally_database)
    await dead_letters.store(
        conn, "tallies", [dead_letter(1, DeadLetterReason.FAILED), dead_letter(2, DeadLetterReason.BLOCKED)]
    )
    await conn.execute("UPDATE dead_letters SET state = 'replaying' WHERE id = 2")
    assert await dead_letters.next_to_replay(conn, "tallies") is None
    await dead_letters.discard(conn, 1, "somebody")
    found = await dead_letters.next_to_replay(conn, "tallies")
    assert found
    assert found.id == 2
    await conn.close()


async def test_the_same_record_stored_twice_as_a_dead_letter_is_one_row(tally_database: str) -> None:
    conn = await asyncpg.connect(tally_database)
    for _ in range(2):
        await dead_letters.store(conn, "tallies", [dead_letter(1, DeadLetterReason.FAILED)])
    assert await states(conn) == ["open"]
    await conn.close()


async def test_a_settled_record_keeps_its_story_and_forgets_its_content(tally_database: str) -> None:
    conn = await asyncpg.connect(tally_database)
    await dead_letters.store(
        conn, "tallies", [dead_letter(1, DeadLetterReason.FAILED), dead_letter(2, DeadLetterReason.FAILED, b"other")]
    )
    await dead_letters.discard(conn, 1, "somebody")
    await dead_letters.settle_replay(conn, 2, None)
    rows = await conn.fetch("SELECT state, value, error FROM dead_letters ORDER BY id")
    assert [tuple(row) for row in rows] == [("discarded", None, "why"), ("replayed", None, "why")]
    await conn.close()


@pytest.fixture
def url_with_dead_letters(tally_database: str) -> str:
    async def prepare() -> None:
        conn = await asyncpg.connect(tally_database)
        await dead_letters.store(
            conn, "tallies", [dead_letter(1, DeadLetterReason.FAILED), dead_letter(2, DeadLetterReason.BLOCKED)]
        )
        await conn.close()

    asyncio.run(prepare())
    return tally_database


def test_the_command_lists_shows_replays_and_discards(url_with_dead_letters: str) -> None:
    def run(*words: str) -> str:
        result = CliRunner().invoke(app, [*words, "--database-url", url_with_dead_letters])
        return result.output

    assert '"reason": "failed"' in run("list").splitlines()[0]
    assert '"value": "{}"' in run("show", "1")
    assert "does not exist" in run("show", "7")
    assert "pass one id, or --all" in run("replay")
    assert run("replay", "2") == "marked for replay: 2\n"
    assert "is not an open dead letter" in run("discard", "1")
