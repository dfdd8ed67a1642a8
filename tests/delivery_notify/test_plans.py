"""Query plans of the sender: hot statements use their indexes, so that cost does not grow with sent notices."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import asyncpg
import pytest

from libs.common.postgres.pool import Connection
from services.delivery_notify.store import conversations, notice_outcomes, notice_queue
from services.delivery_notify.store.notice_outcomes import Completed, complete_notices
from services.delivery_notify.store.notice_queue import claim_notices
from tests.conftest import MakeDatabase
from tests.query_plans import by, plan_of
from tests.running import eventually

Change = Callable[[Connection, list[UUID]], Coroutine[Any, Any, None]]

MANY = """
    INSERT INTO contacts (order_id, customer_id, name, email, language)
    SELECT 'O-' || n, 'C-' || n % 1000, '山田', n || '@example.jp', 'ja' FROM generate_series(1, 2500) n;
    INSERT INTO preferences (customer_id, changed_at) SELECT 'C-' || n, now() FROM generate_series(1, 1000) n;
    INSERT INTO suppressed_addresses (channel, digest, cause, suppressed_at)
    SELECT 'email', sha256(n::text::bytea), 'bounced', now() FROM generate_series(1, 1000) n;
    INSERT INTO notices (notice_id, order_id, customer_id, kind, facts, made_at, due_at, contact_by, status, settled_at)
    SELECT gen_random_uuid(), 'O-' || n % 2500, 'C-' || n % 1000, 'refunded', '{}', now(), now(), now(),
           CASE WHEN n % 10 = 0 THEN 'pending' ELSE 'sent' END, CASE WHEN n % 10 = 0 THEN NULL ELSE now() END
    FROM generate_series(1, 10000) n;
    ANALYZE"""

CLAIM = by(
    "contacts_pkey",
    "notices_of_customer",
    "notices_of_order",
    "notices_pkey",
    "notices_to_send",
    "notices_of_batch",
    "preferences_pkey",
    "suppressed_addresses_pkey",
    "consents_pkey",
)
BY_ID = by("notices_pkey")
HOT = {
    "claim": (notice_queue._CLAIM, CLAIM),
    "settle": (notice_outcomes._COMPLETE, BY_ID),
    "withdraw": (conversations._WITHDRAW, BY_ID),
}


@pytest.fixture
async def url(database: MakeDatabase) -> str:
    return await database("delivery_notify")


@pytest.fixture
async def conn(url: str) -> AsyncIterator[Connection]:
    connection = await asyncpg.connect(url)
    yield connection
    await connection.close()


@pytest.mark.parametrize("statement", HOT)
async def test_with_ten_thousand_notices_each_statement_reads_by_its_indexes(conn: Connection, statement: str) -> None:
    await conn.execute(MANY)
    asked, expected = HOT[statement]
    assert await plan_of(conn, asked) == expected


@pytest.mark.parametrize("statement", HOT)
async def test_a_plan_made_before_the_first_notice_reads_by_the_same_indexes(conn: Connection, statement: str) -> None:
    asked, expected = HOT[statement]
    assert await plan_of(conn, asked) == expected


async def _settle(conn: Connection, ids: list[UUID]) -> None:
    await complete_notices(conn, [Completed(each, "sent", "email", "ja") for each in ids], datetime.now(UTC))


async def _withdraw(conn: Connection, ids: list[UUID]) -> None:
    await conn.execute(conversations._WITHDRAW, ids, ["superseded"] * len(ids))


@pytest.mark.parametrize("change", [_settle, _withdraw])
async def test_rows_are_locked_from_the_lowest_id_upwards(conn: Connection, url: str, change: Change) -> None:
    """Two who lock the same rows in two orders are a deadlock. Who waits for the lowest holds none of the others."""
    await conn.execute(MANY)
    claimed = await claim_notices(conn, datetime.now(UTC), 20, timedelta(minutes=5))
    ids = sorted((each.notice_id for each in claimed), reverse=True)
    other = await asyncpg.connect(url)
    async with conn.transaction():
        await conn.execute("SELECT FROM notices WHERE notice_id = $1 FOR UPDATE", ids[-1])
        changing = asyncio.create_task(change(other, ids))
        await eventually(lambda: _is_waiting(conn, other.get_server_pid()), "the other waits for the lock")
        free = await conn.fetch("SELECT FROM notices WHERE notice_id = ANY ($1) FOR UPDATE SKIP LOCKED", ids)
        assert len(free) == 20
    await changing
    await other.close()


async def _is_waiting(conn: Connection, pid: int) -> bool:
    return bool(await conn.fetchval("SELECT cardinality(pg_blocking_pids($1)) > 0", pid))
