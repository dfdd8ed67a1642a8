"""Lists of issues on a real Postgres: every filter, pages, and the indexes they use."""

from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import timedelta
from typing import Any
from uuid import UUID

import asyncpg
import pytest

from libs.common.events.values import Reason
from libs.common.postgres.pool import Connection
from services.intake.domain.projections.issue_status import IssueStatus
from services.intake.store.search import CursorError, IssueFilter, build_query, find_issues
from tests.conftest import execute_as_owner
from tests.intake.event_builders import NOON, days

MANY = 4000
_FILL = """
    INSERT INTO issues (issue_id, order_id, customer_id, reason, lines, description, reference, reported_at, skus,
                        missing, decide_by, decided_at, progress_status, progress_at, lifecycle_status, lifecycle_at)
    SELECT lpad(to_hex(n), 32, '0')::uuid, 'O-' || n, 'C-' || n % 500,
           CASE WHEN n % 10 = 0 THEN 'wrong_item' ELSE 'defective' END, '[]', 'no ' || n || ' 割れ 100%', 'R-' || n,
           $1::timestamptz - make_interval(mins => n), ARRAY['SKU-' || n % 200], '{}',
           $1::timestamptz - make_interval(mins => n) + interval '1 day',
           CASE WHEN n % 50 <> 0 THEN $1::timestamptz END,
           CASE WHEN n % 100 = 0 THEN 'waiting_for_customer' ELSE 'replacement_ordered' END, $1,
           CASE WHEN n % 50 = 0 THEN 'accepted' WHEN n % 7 = 0 THEN 'rejected' ELSE 'resolved' END, $1
    FROM generate_series(1, $2) AS n"""


@pytest.fixture
async def conn(database: Callable[[str], Awaitable[str]]) -> AsyncIterator[Connection]:
    url = await database("intake")
    connection = await asyncpg.connect(url)
    await connection.execute(_FILL, NOON, MANY)
    await execute_as_owner(url, "ANALYZE issues")
    yield connection
    await connection.close()


def number(issue: dict[str, Any]) -> int:
    found: UUID = issue["issue_id"]
    return found.int


async def numbers(conn: Connection, **wanted: Any) -> list[int]:
    return [number(issue) for issue in (await find_issues(conn, IssueFilter(**wanted), NOON)).issues]


async def test_every_filter_finds_what_it_says(conn: Connection) -> None:
    assert await numbers(conn, limit=3) == [1, 2, 3]
    assert await numbers(conn, status=IssueStatus.REJECTED, limit=3) == [7, 14, 21]
    assert await numbers(conn, status=IssueStatus.REPLACEMENT_ORDERED, limit=3) == [50, 150, 250]
    assert await numbers(conn, status=IssueStatus.WAITING_FOR_CUSTOMER, limit=3) == [100, 200, 300]
    assert await numbers(conn, reason=Reason.WRONG_ITEM, limit=2) == [10, 20]
    assert await numbers(conn, sku="SKU-3", limit=2) == [3, 203]
    assert await numbers(conn, customer_id="C-4", limit=2) == [4, 504]
    assert await numbers(conn, order_id="O-77") == [77]
    assert await numbers(conn, since=NOON - timedelta(minutes=2)) == [1, 2]
    assert await numbers(conn, until=NOON - timedelta(minutes=MANY - 1)) == [MANY]
    assert await numbers(conn, customer_id="C-4", reason=Reason.WRONG_ITEM) == []


async def test_what_the_shop_owes_is_overdue_and_what_the_customer_owes_is_not(conn: Connection) -> None:
    page = await find_issues(conn, IssueFilter(overdue=True, limit=200), NOON)
    found = [number(issue) for issue in page.issues]
    assert (found[0], all(n % 50 == 0 and n % 100 and n > 1440 for n in found)) == (1450, True)
    assert all(issue["overdue"] for issue in page.issues)


@pytest.mark.parametrize("q", [str(UUID(int=42)), "O-42", "R-42", "no 42 割れ 100%"])
async def test_one_box_finds_ids_and_words(conn: Connection, q: str) -> None:
    assert await numbers(conn, q=q) == [42]


async def test_the_signs_of_a_pattern_are_plain_words(conn: Connection) -> None:
    assert (await numbers(conn, q="no _"), len(await numbers(conn, q="100%"))) == ([], 50)


async def test_words_are_looked_for_in_what_is_recent(conn: Connection) -> None:
    later = await find_issues(conn, IssueFilter(q="割れ"), NOON + days(200))
    assert later.issues == []


async def test_pages_follow_each_other_without_gap_or_repetition(conn: Connection) -> None:
    seen: list[int] = []
    after: str | None = None
    while True:
        page = await find_issues(conn, IssueFilter(sku="SKU-5", after=after, limit=7), NOON)
        seen += [number(issue) for issue in page.issues]
        if page.next is None:
            break
        after = page.next
    assert seen == list(range(5, MANY + 1, 200))


@pytest.mark.parametrize("after", ["x", "eA==", "MjAyNi0wMy0xMCB4", "OTk5OS0wMS0wMVQwMDowMDowMCswMDowMCB4", "é"])
async def test_an_invalid_cursor_is_refused(conn: Connection, after: str) -> None:
    with pytest.raises(CursorError, match="after"):
        await find_issues(conn, IssueFilter(after=after), NOON)


@pytest.mark.parametrize(
    ("wanted", "index"),
    [
        ({}, "issues_newest"),
        ({"status": IssueStatus.RESOLVED}, "issues_newest"),
        ({"status": IssueStatus.REPLACEMENT_ORDERED}, "issues_open"),
        ({"customer_id": "C-4"}, "issues_customer"),
        ({"order_id": "O-4"}, "issues_order"),
        ({"sku": "SKU-3"}, "issues_skus"),
        ({"since": NOON - timedelta(minutes=20)}, "issues_newest"),
        ({"overdue": True}, "issues_"),
        ({"q": "O-4"}, "issues_reference"),
    ],
)
async def test_a_list_walks_its_index(conn: Connection, wanted: dict[str, Any], index: str) -> None:
    statement, values = build_query(IssueFilter(**wanted), NOON, q_is_id=True)
    plan = "\n".join(row[0] for row in await conn.fetch(f"EXPLAIN {statement}", *values))
    assert (index in plan, "Seq Scan" in plan) == (True, False), plan
