"""Query plans of every statement of a lifecycle on grown tables: index conditions only, no table scans.

Statements of a journey through all four services are recorded with their arguments. The databases are then filled, and
Postgres is asked for each plan. A statement that reads a large table or a whole index is reported.
"""

import json
from collections import defaultdict
from collections.abc import AsyncIterator, Iterator, Mapping
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from deploy.local.mailbox import Mailbox
from deploy.local.postgres import name_of, url_of
from deploy.local.shared_servers import shared_server
from libs.common.events.topics import SERVICES
from libs.common.postgres import pool
from tests.bench import history
from tests.conftest import MakeDatabase
from tests.journey.backbone import Backbone, backbone
from tests.journey.test_replacement import swap

TIMES = 1_500
LARGE = 1_000
"""Rows from which on a table may not be read whole."""

Statements = dict[str, dict[str, tuple[Any, ...]]]
"""Statements with the arguments of their last call, by database."""

READ_WHOLE_ON_PURPOSE = (
    "INSERT INTO monthly_rollups",
    "SELECT (SELECT COALESCE(sum(units), 0)::bigint FROM delivered_per_day)",
)
"""Beginnings of what may read a table whole. A month that is over is added up once, and here all of the past is of one.
The detection compares a product with the whole shop; its loop pauses fifty times as long as a run takes."""


@pytest.fixture
def recorded(monkeypatch: pytest.MonkeyPatch) -> Statements:
    """Record every statement that any pool or connection sends from now on."""
    statements: Statements = defaultdict(dict)

    def note(query: Any) -> None:
        if ";" in query.query:  # several statements at once: the test databases, not a service
            return
        if query.query.lstrip().upper().startswith(("SELECT", "WITH", "INSERT", "UPDATE", "DELETE")):
            statements[query.conn_params.database][query.query] = query.args

    async def listen(conn: Any) -> None:
        conn.add_query_logger(note)

    connect = asyncpg.connect

    async def connected(*args: Any, **settings: Any) -> Any:
        conn = await connect(*args, **settings)
        conn.add_query_logger(note)
        return conn

    class RecordedPool(pool._MeasuredPool):
        def __init__(self, *args: Any, **settings: Any) -> None:
            super().__init__(*args, **{**settings, "init": listen})

    monkeypatch.setattr(pool, "_MeasuredPool", RecordedPool)
    monkeypatch.setattr(asyncpg, "connect", connected)
    return statements


@pytest.fixture
async def shop(
    recorded: Statements, database: MakeDatabase, kafka: str, topics: str, smtp: Mailbox, tmp_path: Path
) -> AsyncIterator[Backbone]:
    async with backbone(database, kafka, topics, tmp_path, smtp.url) as running:
        yield running


@pytest.mark.timeout(240)
async def test_no_statement_of_a_lifecycle_reads_a_large_table_whole(shop: Backbone, recorded: Statements) -> None:
    await shop.place_order("order-1")
    issue_id = await shop.report("order-1")
    await swap(shop, issue_id)
    await shop.wait_for("points.granted", issue_id=issue_id)
    await shop.wait_for("notice.sent", issue_id=issue_id, kind="issue_resolved")

    databases = {name: name_of(getattr(shop, name).service.settings.database_url) for name in SERVICES}
    statements = {name: dict(recorded[database]) for name, database in databases.items()}
    owners = {name: url_of(shared_server("postgres"), database=database) for name, database in databases.items()}
    await history.make(owners, TIMES)
    found: list[str] = []
    for name, address in owners.items():
        found += [f"{name}: {one}" for one in await read_whole(address, statements[name])]
    assert all(len(statements[name]) > 8 for name in SERVICES), {name: len(statements[name]) for name in SERVICES}
    assert not found, "\n".join(found)


async def read_whole(address: str, statements: Mapping[str, tuple[Any, ...]]) -> list[str]:
    """Return the statements that read a large table whole, with that table."""
    conn = await asyncpg.connect(address, server_settings={"enable_seqscan": "off", "jit": "off"})
    try:
        sizes = {
            row["relname"]: row["reltuples"]
            for row in await conn.fetch("SELECT relname, reltuples FROM pg_class WHERE relkind IN ('r', 'i')")
        }
        assert sum(size > LARGE for size in sizes.values()) > 1, "there is no past to get lost in"
        found = []
        for query, args in statements.items():
            if query.lstrip().startswith(READ_WHOLE_ON_PURPOSE):
                continue
            (plan,) = await conn.fetchrow("EXPLAIN (FORMAT JSON) " + query, *args) or ("",)
            for table in whole(json.loads(plan)[0]["Plan"]):
                if sizes.get(table, 0) > LARGE:
                    found.append(f"{table} by {' '.join(query.split())[:300]}")
        return found
    finally:
        await conn.close()


def whole(node: Mapping[str, Any], limited: bool = False) -> Iterator[str]:
    """Return tables and indexes that a plan reads from end to end; below a LIMIT it may start at the beginning."""
    kind = node["Node Type"]
    limited = limited or kind == "Limit"
    if kind == "Seq Scan":
        yield node["Relation Name"]
    if kind in ("Index Scan", "Index Only Scan") and "Index Cond" not in node and not limited:
        yield node["Index Name"]  # a partial one may be small
    for below in node.get("Plans", ()):
        yield from whole(below, limited)
