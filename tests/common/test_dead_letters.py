"""Dead letters: in order per key, replayed once, content deleted when settled."""

import asyncio
from typing import Any

import asyncpg
import pytest
from aiokafka import ConsumerRecord
from typer.testing import CliRunner

from libs.common.cli.dead_letters import app
from libs.common.messaging import dead_letters
from libs.common.messaging.dead_letters import DeadLetter, DeadLetterReason


def parked(offset: int, reason: DeadLetterReason, key: bytes = b"k") -> DeadLetter:
    record: ConsumerRecord[Any, Any] = ConsumerRecord(
        topic="t", partition=0, offset=offset, timestamp=1_800_000_000_000, timestamp_type=0, key=key,
        value=b"{}", checksum=None, serialized_key_size=1, serialized_value_size=2, headers=(),
    )  # fmt: skip
    return DeadLetter(record, reason, "why")


async def states(conn: Any) -> list[str]:
    return [row["state"] for row in await conn.fetch("SELECT state FROM dead_letters ORDER BY id")]


async def test_what_comes_behind_records_under_replay_joins_them(tally_database: str) -> None:
    conn = await asyncpg.connect(tally_database)
    await dead_letters.store(conn, "tallies", [parked(1, DeadLetterReason.FAILED)])
    await dead_letters.request_replay(conn, 1, "somebody")
    await dead_letters.store(conn, "tallies", [parked(2, DeadLetterReason.BLOCKED)])
    assert await states(conn) == ["replaying", "replaying"]
    await dead_letters.settle_replay(conn, 1, "failed again")
    await dead_letters.store(conn, "tallies", [parked(3, DeadLetterReason.BLOCKED)])
    assert await states(conn) == ["open", "replaying", "open"]
    await conn.close()


async def test_a_record_waits_for_those_of_its_key_before_it(tally_database: str) -> None:
    conn = await asyncpg.connect(tally_database)
    await dead_letters.store(conn, "tallies", [parked(1, DeadLetterReason.FAILED), parked(2, DeadLetterReason.BLOCKED)])
    await conn.execute("UPDATE dead_letters SET state = 'replaying' WHERE id = 2")
    assert await dead_letters.next_to_replay(conn, "tallies") is None
    await dead_letters.discard(conn, 1, "somebody")
    found = await dead_letters.next_to_replay(conn, "tallies")
    assert found
    assert found.id == 2
    await conn.close()


async def test_the_same_record_parked_twice_is_one_row(tally_database: str) -> None:
    conn = await asyncpg.connect(tally_database)
    for _ in range(2):
        await dead_letters.store(conn, "tallies", [parked(1, DeadLetterReason.FAILED)])
    assert await states(conn) == ["open"]
    await conn.close()


async def test_a_settled_record_keeps_its_story_and_forgets_its_content(tally_database: str) -> None:
    conn = await asyncpg.connect(tally_database)
    await dead_letters.store(
        conn, "tallies", [parked(1, DeadLetterReason.FAILED), parked(2, DeadLetterReason.FAILED, b"other")]
    )
    await dead_letters.discard(conn, 1, "somebody")
    await dead_letters.settle_replay(conn, 2, None)
    rows = await conn.fetch("SELECT state, value, error FROM dead_letters ORDER BY id")
    assert [tuple(row) for row in rows] == [("discarded", None, "why"), ("replayed", None, "why")]
    await conn.close()


@pytest.fixture
def url_with_parked(tally_database: str) -> str:
    async def prepare() -> None:
        conn = await asyncpg.connect(tally_database)
        await dead_letters.store(
            conn, "tallies", [parked(1, DeadLetterReason.FAILED), parked(2, DeadLetterReason.BLOCKED)]
        )
        await conn.close()

    asyncio.run(prepare())
    return tally_database


def test_the_command_lists_shows_replays_and_discards(url_with_parked: str) -> None:
    def run(*words: str) -> str:
        result = CliRunner().invoke(app, [*words, "--database-url", url_with_parked])
        return result.output

    assert '"reason": "failed"' in run("list").splitlines()[0]
    assert '"value": "{}"' in run("show", "1")
    assert "is not known" in run("show", "7")
    assert "name one record, or say --all" in run("replay")
    assert run("replay", "2") == "2 will be replayed\n"
    assert "is not an open dead letter" in run("discard", "1")
