"""`sakidashi reconcile` as a command: exit codes, text and JSON, on real databases."""

import asyncio
import json
import re
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import asyncpg
import pytest
from typer.testing import CliRunner

from deploy.cli.main import app
from deploy.reconciliation.desk import open_desk_items
from deploy.reconciliation.discrepancies import Discrepancy, DiscrepancyKind, Republication
from deploy.reconciliation.reading import connected
from libs.common.events.topics import SERVICES
from tests.conftest import MakeDatabase


@pytest.fixture
async def urls(database: MakeDatabase) -> dict[str, str]:
    return {name: await database(name) for name in SERVICES}


async def accept_issue(url: str, reported_at: datetime) -> str:
    """Store an accepted issue, as intake does; nothing else of it exists."""
    conn, issue_id = await asyncpg.connect(url), uuid4()
    try:
        await conn.execute(
            """INSERT INTO issues (issue_id, order_id, customer_id, reason, lines, reported_at, lifecycle_at)
               VALUES ($1, 'O-1', 'C-1', 'defective', '[{"line_id": "1", "quantity": 1}]', $2, $2)""",
            issue_id,
            reported_at,
        )
    finally:
        await conn.close()
    return str(issue_id)


async def run(urls: Mapping[str, str], *arguments: str) -> tuple[int, str, str]:
    environment = {"DATABASE_URLS": " ".join(f"{name}={url}" for name, url in urls.items())}
    result = await asyncio.to_thread(CliRunner().invoke, app, ["reconcile", *arguments], env=environment)
    return result.exit_code, result.stdout, result.stderr


async def test_nothing_found_exits_with_0(urls: dict[str, str]) -> None:
    assert await run(urls) == (0, "", "")


async def test_a_difference_exits_with_1_and_names_ids_since_and_remedy(urls: dict[str, str]) -> None:
    since = datetime.now(UTC) - timedelta(hours=2)
    issue_id = await accept_issue(urls["intake"], since)
    code, output, _ = await run(urls)
    assert code == 1
    assert output.startswith(f"case_missing issue {issue_id} order O-1 since {since.isoformat(timespec='seconds')}")
    assert "--redrive: intake publishes issue.accepted again" in output


async def test_json_is_one_object_per_line(urls: dict[str, str]) -> None:
    issues = {await accept_issue(urls["intake"], datetime.now(UTC) - timedelta(hours=2)) for _ in range(2)}
    _, output, _ = await run(urls, "--json")
    found = [json.loads(line) for line in output.splitlines()]
    assert {each["issue_id"] for each in found} == issues
    assert {(each["kind"], each["redrive"]) for each in found} == {("case_missing", True)}


async def test_the_grace_period_is_a_setting(urls: dict[str, str]) -> None:
    await accept_issue(urls["intake"], datetime.now(UTC) - timedelta(hours=2))
    assert (await run(urls, "--grace-minutes", "180"))[0] == 0


async def test_a_database_that_cannot_be_read_exits_with_2(urls: dict[str, str]) -> None:
    code, output, errors = await run({**urls, "loyalty": "postgresql://nobody@127.0.0.1:1/loyalty"})
    assert (code, output) == (2, "")
    assert "could not read the databases" in errors


async def test_a_service_without_a_database_exits_with_2_and_is_named(urls: dict[str, str]) -> None:
    code, _, errors = await run({name: url for name, url in urls.items() if name != "returns"})
    assert (code, "returns missing" in errors) == (2, True)


async def test_looking_changes_nothing(urls: dict[str, str]) -> None:
    await accept_issue(urls["intake"], datetime.now(UTC) - timedelta(hours=2))
    await run(urls)
    conn = await asyncpg.connect(urls["intake"])
    try:
        assert await conn.fetchval("SELECT count(*) FROM outbox") == 0
    finally:
        await conn.close()


async def test_staff_are_shown_what_no_event_repairs_once(urls: dict[str, str]) -> None:
    now = datetime.now(UTC)
    issue_id = UUID(await accept_issue(urls["intake"], now))
    differs = Discrepancy(
        DiscrepancyKind.STATUS_DIFFERS, issue_id, "O-1", now, "open here, closed there", remedy="look"
    )
    unknown = replace(differs, issue_id=uuid4())
    repaired = replace(differs, redrive=Republication("intake", issue_id))
    async with connected(urls) as connections:
        for at in (now, now + timedelta(days=1)):
            assert await open_desk_items(connections, [differs, differs, unknown, repaired], at) == 1
        rows = await connections["returns"].fetch("SELECT topic, value FROM outbox_records")
    events = [json.loads(row["value"]) for row in rows]
    assert {(each["type"], each["data"]["issue_id"]) for each in events} == {
        ("issue.anomaly_detected.v1", str(issue_id))
    }
    assert len({each["id"] for each in events}) == 1


async def test_findings_are_counted_by_kind(urls: dict[str, str]) -> None:
    await accept_issue(urls["intake"], datetime.now(UTC) - timedelta(hours=2))
    async with metrics_sink() as (endpoint, received):
        await run(urls, "--otlp-endpoint", endpoint)
    assert any(b"case_missing" in body and b"reconciled" in body for body in received)


@asynccontextmanager
async def metrics_sink() -> AsyncIterator[tuple[str, list[bytes]]]:
    """Return the address of an OTLP endpoint, and what it receives."""
    received: list[bytes] = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        length = int(re.search(rb"content-length: (\d+)", head, re.IGNORECASE)[1])  # type: ignore[index]
        received.append(await reader.readexactly(length))
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", received
