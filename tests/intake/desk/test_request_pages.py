"""Requests of customers at the desk: listed until they are settled, answered by staff for the shop."""

import html
import json
import re
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest

from libs.common.events.change_requests import (
    CustomerDecisionOverdue,
    CustomerDecisionSettled,
    OrderChangeAnswered,
    SettledAs,
)
from libs.common.events.envelope import Payload
from libs.common.events.notices import CustomerDecided
from libs.common.events.values import Choice
from services.intake.desk import request_pages
from services.intake.store.change_requests import list_requests
from services.intake.store.timeline import Timeline
from tests.intake.desk.conftest import Desk
from tests.intake.event_builders import event
from tests.running import Live

NOW = datetime(2026, 3, 10, 3, tzinfo=UTC)
ABOUT: dict[str, Any] = {
    "order_id": "SD-1",
    "customer_id": "C-1",
    "choice_id": UUID(int=7),
    "choice": Choice.CANCEL,
}
REQUESTED = CustomerDecided(**ABOUT, answer_by=NOW + timedelta(days=1), decided_at=NOW)
OVERDUE = CustomerDecisionOverdue(
    **ABOUT, reminder=1, answer_by=NOW + timedelta(days=2), overdue_at=NOW + timedelta(days=1)
)
SETTLED = CustomerDecisionSettled(**ABOUT, outcome=SettledAs.ACCEPTED, settled_at=NOW)


async def take(live: Live, *payloads: Payload) -> None:
    """Project these events in one batch, as the consumer does."""
    projection = Timeline(ZoneInfo("Asia/Tokyo"))
    events = [event(payload, at=NOW) for payload in payloads]
    records: list[Any] = []
    for each in events:
        records += projection.decide(None, each, NOW)[1] if projection.key_of(each) else []
    async with live.service.transaction() as tx:
        await projection.save(tx.conn, {}, records)


async def listed(live: Live) -> list[tuple[str, int]]:
    async with live.service.pool.acquire() as conn:
        return [(row.requested, row.reminders) for row in await list_requests(conn, 10)]


async def answers(live: Live) -> list[dict[str, Any]]:
    async with live.service.pool.acquire() as conn:
        rows = await conn.fetch("SELECT value FROM outbox_records ORDER BY id, n")
    events = [json.loads(row["value"]) for row in rows]
    return [each["data"] for each in events if each["type"] == OrderChangeAnswered.TYPE]


@pytest.mark.parametrize(
    ("events", "rows"),
    [
        ([REQUESTED], [("cancel", 0)]),
        ([REQUESTED, REQUESTED], [("cancel", 0)]),
        ([REQUESTED, OVERDUE], [("cancel", 1)]),
        ([REQUESTED, OVERDUE, SETTLED], []),
        ([REQUESTED.model_copy(update={"answer_by": None})], []),
    ],
)
async def test_a_request_is_listed_until_it_is_settled(
    desk: Desk, events: list[Payload], rows: list[tuple[str, int]]
) -> None:
    await take(desk.live, *events)
    assert await listed(desk.live) == rows


async def test_a_repeated_request_does_not_move_its_deadline_back(desk: Desk) -> None:
    await take(desk.live, REQUESTED)
    await take(desk.live, OVERDUE)
    await take(desk.live, REQUESTED)
    assert await listed(desk.live) == [("cancel", 1)]


async def test_the_home_page_counts_open_requests_and_links_to_them(desk: Desk) -> None:
    await take(desk.live, REQUESTED)
    page = (await (await desk.as_("vera")).get("/desk")).text
    assert '<a href="/desk/requests"><b>1</b>' in page


async def test_staff_answer_for_the_shop(desk: Desk) -> None:
    await take(desk.live, REQUESTED)
    agent = await desk.as_("hanako")
    answer = await agent.post(f"/desk/requests/{UUID(int=7)}", answer="declined", reason="already_packed")
    assert answer.status_code == 303
    (published,) = await answers(desk.live)
    assert (published["order_id"], published["request_id"], published["answer"], published["reason"]) == (
        "SD-1",
        str(UUID(int=7)),
        "declined",
        "already_packed",
    )


async def test_a_double_click_answers_once(desk: Desk) -> None:
    await take(desk.live, REQUESTED)
    agent = await desk.as_("hanako")
    for _ in range(2):
        await agent.post(f"/desk/requests/{UUID(int=7)}", answer="accepted", action_id=str(UUID(int=9)))
    assert len(await answers(desk.live)) == 1


async def test_a_settled_request_takes_no_answer(desk: Desk) -> None:
    agent = await desk.as_("hanako")
    answer = await agent.post(f"/desk/requests/{UUID(int=7)}", answer="accepted")
    assert (answer.status_code, await answers(desk.live)) == (409, [])


async def test_a_viewer_answers_nothing(desk: Desk) -> None:
    await take(desk.live, REQUESTED)
    answer = await (await desk.as_("vera")).post(f"/desk/requests/{UUID(int=7)}", answer="accepted")
    assert (answer.status_code, await answers(desk.live)) == (403, [])


async def test_more_requests_than_a_page_holds_are_on_the_next_ones(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(request_pages, "MAX_ROWS", 2)
    ids = [UUID(int=number) for number in range(1, 6)]
    same_time = REQUESTED.model_copy(update={"choice_id": ids[0]})
    await take(desk.live, *(same_time.model_copy(update={"choice_id": each}) for each in ids))
    staff, path, pages = await desk.as_("hanako"), "/desk/requests", list[list[str]]()
    while path:
        page = (await staff.get(path)).text
        pages.append(re.findall(r'action="/desk/requests/([^"]+)"', page))
        assert '<span class="count">5</span>' in page
        found = re.search(r'href="(/desk/requests\?after=[^"]+)"', page)
        path = html.unescape(found[1]) if found else ""
    assert pages == [[str(each) for each in ids[:2]], [str(each) for each in ids[2:4]], [str(ids[4])]]


async def test_a_malformed_cursor_shows_the_first_page(desk: Desk) -> None:
    await take(desk.live, REQUESTED)
    staff = await desk.as_("hanako")
    for after in ("x", "9999-12-31T23:59:59-23:00~x", f"0001-01-01T00:00:00+14:00~{UUID(int=1)}"):
        page = await staff.get(f"/desk/requests?after={quote(after)}")
        assert (page.status_code, "SD-1" in page.text) == (200, True)
