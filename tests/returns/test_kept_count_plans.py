"""Statements about kept counts on a table of 100,000 rows: each reads what it is about, through an index."""

import json
from collections.abc import AsyncIterator, Iterator
from typing import Any

import asyncpg
import pytest

from deploy.local.postgres import name_of, url_of
from deploy.local.shared_servers import shared_server
from libs.common.postgres.pool import Connection, Pool, create_pool
from services.returns.store import kept_counts
from tests.conftest import MakeDatabase

ROWS = 100_000

_FILL = """
    INSERT INTO kept_counts (count_id, issue_id, order_id, body, kept_at, matched_at)
    SELECT 'count-' || n, CASE WHEN n % 20 <> 10 THEN 'issue-' || n END, 'order-' || n,
        jsonb_build_object('receipt_id', 'gate-' || n, 'received_at', '2026-03-10T01:00:00Z', 'lines',
            jsonb_build_array(jsonb_build_object('issue_id', 'line-issue-' || n, 'order_id', 'line-order-' || n))),
        now(), CASE WHEN n % 10 > 0 THEN now() END
    FROM generate_series(1, $1::int) AS n"""

STATEMENTS: dict[str, tuple[str, list[Any]]] = {
    "parts of a box": (kept_counts._PARTS, ["gate-7"]),
    "inspections of a box": (kept_counts._INSPECTIONS, [["gate-7"]]),
    "boxes of new cases": (kept_counts._FOR_NEW_CASES, [["line-issue-70"]]),
    "boxes of new orders": (kept_counts._OF_NEW_ORDERS, [["line-order-70"]]),
}


@pytest.fixture
async def pool(database: MakeDatabase) -> AsyncIterator[Pool]:
    url = await database("returns")
    owner = await asyncpg.connect(url_of(shared_server("postgres"), database=name_of(url)))
    await owner.execute(_FILL, ROWS)
    await owner.execute("VACUUM ANALYZE kept_counts")
    await owner.close()
    pool = await create_pool(url, size=1, application_name="test")
    yield pool
    await pool.close()


async def test_no_statement_about_kept_counts_reads_the_whole_table(pool: Pool) -> None:
    async with pool.acquire() as conn:
        read = {name: await _rows_read(conn, *each) for name, each in STATEMENTS.items()}
    assert {name: rows for name, rows in read.items() if rows > 50} == {}


async def _rows_read(conn: Connection, statement: str, arguments: list[Any]) -> int:
    """Return how many rows of kept counts a statement looks at, those that it drops included."""
    await conn.execute("SET plan_cache_mode = force_generic_plan")
    plan = json.loads(await conn.fetchval(f"EXPLAIN (ANALYZE, FORMAT JSON) {statement}", *arguments))[0]["Plan"]
    return sum(_looked_at(node) for node in _nodes(plan) if node.get("Relation Name") == "kept_counts")


def _looked_at(node: dict[str, Any]) -> int:
    dropped = node.get("Rows Removed by Filter", 0) + node.get("Rows Removed by Index Recheck", 0)
    return int((node["Actual Rows"] + dropped) * node["Actual Loops"])


def _nodes(node: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield node
    for below in node.get("Plans", ()):
        yield from _nodes(below)
