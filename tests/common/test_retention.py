"""Retention: expired rows are deleted in batches, and no others."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import pytest

from libs.common.postgres import retention
from libs.common.postgres.pool import Pool, create_pool
from libs.common.postgres.retention import Sweep
from services.delivery_notify.store import erasure as notices
from services.intake.store import photo_cleanup
from services.returns.store import erasure as addresses
from tests.conftest import MakeDatabase

NOW = datetime(2027, 6, 1, tzinfo=UTC)
OLD, YOUNG = NOW - timedelta(days=1000), NOW - timedelta(days=1)


INBOX_OF_25 = """
    INSERT INTO inbox (event_key, content, received_at)
    SELECT decode(md5(n::text), 'hex'), n, $1 FROM generate_series(1, 25) AS n"""


@pytest.fixture
async def pool(database: MakeDatabase, request: pytest.FixtureRequest) -> AsyncIterator[Pool]:
    pool = await create_pool(await database(request.param), size=2, application_name="test")
    yield pool
    await pool.close()


async def left(pool: Pool, query: str) -> list[object]:
    return [row[0] for row in await pool.fetch(query)]


async def sweep(pool: Pool, *sweeps: Sweep) -> list[int]:
    return [await retention.run(pool, one, NOW) for one in sweeps]


@pytest.mark.parametrize("pool", ["loyalty"], indirect=True)
async def test_a_sweep_takes_a_batch_at_a_time_until_nothing_is_left(
    pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    await pool.execute(INBOX_OF_25, OLD)
    monkeypatch.setattr(retention, "BATCH", 10)
    assert await sweep(pool, retention.common_sweeps(60, 90)[0]) == [25]
    assert await left(pool, "SELECT count(*) FROM inbox") == [0]


@pytest.mark.parametrize("pool", ["loyalty"], indirect=True)
async def test_a_turn_has_an_end_however_much_there_is(pool: Pool, monkeypatch: pytest.MonkeyPatch) -> None:
    await pool.execute(INBOX_OF_25, OLD)
    monkeypatch.setattr(retention, "BATCH", 5)
    monkeypatch.setattr(retention, "MAX_BATCHES", 2)
    assert await sweep(pool, retention.common_sweeps(60, 90)[0]) == [10]


@pytest.mark.parametrize("pool", ["loyalty"], indirect=True)
async def test_settled_dead_letters_are_forgotten_and_open_ones_never(pool: Pool) -> None:
    await pool.execute(
        """INSERT INTO dead_letters (aggregate, topic, "partition", "offset", written_at, headers, reason, error,
        blocks,
                               state, settled_at)
           SELECT 'a', 't', 0, n, $1::timestamptz, '{}', 'failed', '', false, state, settled_at
           FROM (VALUES (1, 'open', NULL), (2, 'replayed', $1), (3, 'discarded', $1),
                        (4, 'discarded', $2::timestamptz)) AS v (n, state, settled_at)""",
        OLD,
        YOUNG,
    )
    assert await sweep(pool, *retention.common_sweeps(60, 90)) == [0, 0, 2]
    assert await left(pool, 'SELECT "offset" FROM dead_letters ORDER BY 1') == [1, 4]


@pytest.mark.parametrize("pool", ["delivery_notify"], indirect=True)
async def test_contacts_and_notices_are_forgotten_and_promises_never(pool: Pool) -> None:
    for order, at in (("old", OLD), ("young", YOUNG)):
        await pool.execute(
            """INSERT INTO contacts (order_id, customer_id, name, email, language, placed_at)
               VALUES ($1, 'C', 'N', 'n@example.jp', 'ja', $2)""",
            order,
            at,
        )
        promise = "INSERT INTO promises VALUES ($1, 'line', '1', 1, '2027-01-01', 'order.placed', $2)"
        await pool.execute(promise, order, at)
        for settled in (at, None):
            await pool.execute(
                """INSERT INTO notices (notice_id, order_id, customer_id, kind, facts, made_at, due_at, contact_by,
                                        settled_at)
                   VALUES (gen_random_uuid(), $1, 'C', 'order_delayed', '{}', $2, $2, $2, $3)""",
                order,
                at,
                settled,
            )
    assert await sweep(pool, *notices.sweeps(730, 400, 365)) == [1, 1, 0]
    assert await left(pool, "SELECT order_id FROM contacts") == ["young"]
    # what waits to be sent is not forgotten, however old
    assert await left(pool, "SELECT order_id FROM notices ORDER BY 1") == ["old", "young", "young"]
    assert await left(pool, "SELECT order_id FROM promises ORDER BY 1") == ["old", "young"]


@pytest.mark.parametrize("pool", ["returns"], indirect=True)
async def test_addresses_are_forgotten_and_what_an_order_was_worth_is_not(pool: Pool) -> None:
    for order, at in (("old", OLD), ("young", YOUNG)):
        await pool.execute(
            """INSERT INTO order_snapshots (order_id, ship_to, customer_id, value, currency, address_hash, placed_at)
               VALUES ($1, '{"name": "N"}', 'C', 4980, 'JPY', 'hash', $2)""",
            order,
            at,
        )
    assert await sweep(pool, *addresses.address_sweeps(730)) == [1]
    rows = await pool.fetch("SELECT order_id, ship_to IS NULL, address_hash, value FROM order_snapshots ORDER BY 1")
    assert [tuple(row) for row in rows] == [("old", True, None, 4980), ("young", False, "hash", 4980)]


ISSUE = """
    INSERT INTO issues (issue_id, order_id, customer_id, reason, lines, description, reported_at, lifecycle_status,
                        lifecycle_at)
    VALUES (gen_random_uuid(), $1, 'C', 'defective', '[]', 'words', $2, $3, $2) RETURNING issue_id"""
PHOTO = "INSERT INTO evidence VALUES ($1, $2, 'image/jpeg', 1, 1, 1, $3)"


@pytest.mark.parametrize("pool", ["intake"], indirect=True)
async def test_photos_and_words_of_closed_issues_are_forgotten_and_those_of_open_ones_never(pool: Pool) -> None:
    for sign, (order, at, lifecycle_status) in enumerate(
        (("old", OLD, "resolved"), ("open", OLD, "accepted"), ("young", YOUNG, "resolved"))
    ):
        issue = await pool.fetchval(ISSUE, order, at, lifecycle_status)
        await pool.execute(PHOTO, issue, str(sign) * 64, at)
    await pool.execute("INSERT INTO photo_uploads VALUES ($1, 'image/png', 1, 1, 1, $2)", "9" * 64, OLD)
    assert await sweep(pool, *photo_cleanup.retention_sweeps(180, 365)) == [1, 1, 1]
    assert await left(pool, "SELECT order_id FROM issues WHERE description IS NOT NULL ORDER BY 1") == ["open", "young"]
    assert await left(pool, "SELECT sha256 FROM evidence ORDER BY 1") == ["1" * 64, "2" * 64]
    marked = await left(pool, "SELECT sha256 FROM photo_deletion_queue ORDER BY 1")
    assert (marked, await left(pool, "SELECT count(*) FROM photo_uploads")) == (["0" * 64, "9" * 64], [0])


@pytest.mark.parametrize("pool", ["intake"], indirect=True)
async def test_what_is_looked_for_when_its_time_is_over_has_an_index(pool: Pool) -> None:
    async with pool.acquire() as conn, conn.transaction():
        await conn.execute("SET LOCAL enable_seqscan = off")
        plan = await conn.fetch(
            "EXPLAIN SELECT issue_id FROM issues WHERE description IS NOT NULL AND NOT is_open AND lifecycle_at < $1",
            OLD,
        )
    assert "issues_with_description" in "\n".join(row[0] for row in plan)
