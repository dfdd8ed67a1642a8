"""A report that staff file for a caller, notes on an issue, and the customer panel beside it."""

import re
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from services.intake.store import desk as desk_store
from tests.intake.desk.conftest import Desk, Staff
from tests.intake.event_builders import delivered, placed
from tests.running import OPS, STOREFRONT

ORDER = "SD-2026-0700"
WHY = "She called in time; our line was busy."
ACTION = "7f0b2c1e-1111-4222-8333-444455556666"


async def deliver(desk: Desk, days_ago: int = 0) -> None:
    at = datetime.now(UTC) - timedelta(days=days_ago)
    for event in (placed(order_id=ORDER, at=at), delivered(order_id=ORDER, at=at)):
        await desk.live.service.execute(desk.live.service.aggregates["orders"], event)


async def file(staff: Staff, **fields: Any) -> httpx.Response:
    form = {"line:1": "1", "reason": "defective", "action_id": ACTION, **fields}
    values = {name: value for name, value in form.items() if value is not None}
    return await staff.post(f"/desk/orders/{ORDER}/reports", **values)


async def issues(desk: Desk) -> list[Any]:
    rows = await desk.live.service.pool.fetch("SELECT issue_id, status FROM issues WHERE order_id = $1", ORDER)
    return [(row["issue_id"], row["status"]) for row in rows]


async def test_an_agent_files_a_report_for_a_caller_which_is_a_report_like_any_other(desk: Desk) -> None:
    await deliver(desk)
    staff = await desk.as_("hanako")
    answer = await file(staff, description="The lid is cracked.")
    ((issue_id, status),) = await issues(desk)
    assert (answer.status_code, answer.headers["location"]) == (303, f"/desk/issues/{issue_id}?done=filed")
    assert status == "accepted"
    page = (await staff.get(answer.headers["location"])).text
    assert ("Filed by staff" in page or "代わって申告" in page, "hanako" in page, "The lid is cracked." in page) == (
        True, True, True,
    )  # fmt: skip


async def test_the_same_form_sent_twice_is_one_report(desk: Desk) -> None:
    await deliver(desk)
    staff = await desk.as_("hanako")
    first, again = await file(staff), await file(staff)
    assert (first.headers["location"], len(await issues(desk))) == (again.headers["location"], 1)


async def test_a_late_report_is_refused_unless_staff_overrule_the_window_with_a_reason(desk: Desk) -> None:
    await deliver(desk, days_ago=900)
    staff = await desk.as_("hanako")
    late = await file(staff)
    assert (late.status_code, "window" in late.text) == (409, True)
    assert (await file(staff, overrule="1")).status_code == 422
    assert await issues(desk) == []
    other = "7f0b2c1e-1111-4222-8333-444455557777"
    assert (await file(staff, overrule="1", why=WHY, action_id=other)).status_code == 303
    row = await desk.live.service.pool.fetchrow("SELECT staff, about, comment FROM desk_actions WHERE action = 'filed'")
    assert row
    assert tuple(row) == ("hanako", "window", WHY)


async def test_the_form_of_an_order_with_very_many_lines_is_read_whole(desk: Desk) -> None:
    await deliver(desk)
    odd = {f"quantity:{number}": "1" for number in range(100, 600)}
    assert (await file(await desk.as_("hanako"), **odd)).status_code == 303


@pytest.mark.parametrize(
    "fields", [{"line:1": None}, {"reason": "because"}, {"quantity:1": "many"}, {"action_id": "x"}, {"remedy": "a car"}]
)
async def test_a_form_that_is_not_complete_comes_back_with_what_was_entered(desk: Desk, fields: dict[str, Any]) -> None:
    await deliver(desk)
    answer = await file(await desk.as_("hanako"), description="as she said it", **fields)
    assert (answer.status_code, "as she said it" in answer.text) == (422, True)
    assert await issues(desk) == []


async def test_the_window_is_all_that_staff_overrule(desk: Desk) -> None:
    await deliver(desk, days_ago=900)
    answer = await file(await desk.as_("hanako"), overrule="1", why=WHY, **{"quantity:1": "9"})
    assert (answer.status_code, await issues(desk)) == (409, [])


async def test_the_storefront_reads_neither_the_name_of_staff_nor_their_words(desk: Desk) -> None:
    await deliver(desk, days_ago=900)
    staff = await desk.as_("hanako")
    await file(staff, overrule="1", why=WHY)
    ((issue_id, _),) = await issues(desk)
    await staff.post(f"/desk/issues/{issue_id}/notes", note="speaks slowly", action_id=ACTION.replace("7f", "8f"))
    customer = await desk.live.service.pool.fetchval("SELECT customer_id FROM issues WHERE issue_id = $1", issue_id)
    for headers in (STOREFRONT, OPS):
        answer = await desk.live.client.get(f"/v1/issues/{issue_id}", params={"customer_id": customer}, headers=headers)
        assert answer.status_code == 200, answer.text
        assert [word for word in ("hanako", WHY, "speaks slowly") if word in answer.text] == []


async def test_a_note_stands_in_the_story_and_in_the_panel(desk: Desk) -> None:
    staff = await desk.as_("hanako")
    answer = await staff.post(f"{desk.issue}/notes", note="Call after 18:00.", action_id=ACTION)
    assert (answer.status_code, answer.headers["location"]) == (303, f"{desk.issue}?done=note")
    page = (await staff.get(desk.issue)).text
    assert len(re.findall("Call after 18:00.", page)) == 2


async def test_an_empty_note_is_not_kept(desk: Desk) -> None:
    await (await desk.as_("hanako")).post(f"{desk.issue}/notes", note="  ", action_id=ACTION)
    assert await desk.live.service.pool.fetchval("SELECT count(*) FROM desk_actions WHERE action = 'note'") == 0


async def test_the_panel_shows_the_contact_to_agents_only(desk: Desk) -> None:
    seen = [(await (await desk.as_(name)).get(desk.issue)).text for name in ("hanako", "vera")]
    assert ["hanako@example.jp" in page for page in seen] == [True, False]


async def test_a_report_is_not_filed_where_who_filed_it_cannot_be_recorded(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    await deliver(desk)
    staff = await desk.as_("hanako")
    with monkeypatch.context() as patch:
        patch.setattr(desk_store, "record_action", fail)
        assert (await file(staff)).status_code == 500
    assert await issues(desk) == []
    assert (await file(staff)).status_code == 303
    assert await desk.live.service.pool.fetchval("SELECT count(*) FROM desk_actions WHERE action = 'filed'") == 1


async def fail(*arguments: Any) -> bool:
    raise RuntimeError("the process ends here")
