"""Answers of customers that staff record: a request for details that came back by mail or telephone."""

from datetime import timedelta

import pytest

from libs.common.events import issues
from libs.common.events.registry import decode
from libs.common.events.values import Reason
from services.intake.store import desk as desk_store
from services.intake.store.issues import read_missing_details
from tests.intake.desk.conftest import Desk
from tests.intake.desk.test_caller_reports import fail
from tests.intake.desk.test_decisions import hidden
from tests.intake.issue_states import Case, open_case

ANSWER = "The lid, in blue."


async def waiting_for_a_part(desk: Desk) -> tuple[Case, str]:
    case = await open_case(desk.live, "SD-2", Reason.MISSING_PART)
    due_at = case.now + timedelta(days=3)
    await case.publish(issues.IssueDetailsRequested(**case.ids, missing=("part",), due_at=due_at))
    return case, f"/desk/issues/{case.ids['issue_id']}"


async def record(desk: Desk, path: str) -> str:
    hanako = await desk.as_("hanako")
    page = await hanako.post(f"{path}/confirm", action="record_answer:", comment=ANSWER)
    answer = await hanako.post(f"{path}/decide", **hidden(page))
    return answer.headers["location"]


async def accepted_parts(desk: Desk) -> list[str | None]:
    rows = await desk.live.service.pool.fetch("SELECT value FROM outbox_records ORDER BY id, n")
    events = [decode(row["value"]).data for row in rows]
    return [line.part for event in events if isinstance(event, issues.IssueAccepted) for line in event.lines]


async def test_a_recorded_answer_is_what_the_report_lacked_and_it_goes_on(desk: Desk) -> None:
    case, path = await waiting_for_a_part(desk)
    assert await record(desk, path) == f"{path}?done=record_answer"
    async with desk.live.service.pool.acquire() as conn:
        assert await read_missing_details(conn, case.ids["issue_id"]) == []
    assert await accepted_parts(desk) == [ANSWER]


async def test_the_answer_stays_with_who_recorded_it(desk: Desk) -> None:
    _, path = await waiting_for_a_part(desk)
    await record(desk, path)
    page = await (await desk.as_("hanako")).get(path)
    assert ANSWER in page.text


async def test_without_a_request_for_details_there_is_nothing_to_record(desk: Desk) -> None:
    hanako = await desk.as_("hanako")
    page = await hanako.post(f"{desk.issue}/confirm", action="record_answer:", comment=ANSWER)
    assert page.status_code == 422


async def test_an_answer_is_not_provided_where_who_recorded_it_cannot_be_recorded(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, path = await waiting_for_a_part(desk)
    page = await (await desk.as_("hanako")).post(f"{path}/confirm", action="record_answer:", comment=ANSWER)
    with monkeypatch.context() as patch:
        patch.setattr(desk_store, "record_action", fail)
        answer = await (await desk.as_("hanako")).post(f"{path}/decide", **hidden(page))
    assert answer.status_code == 500
    assert await accepted_parts(desk) == []
