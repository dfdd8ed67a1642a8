"""Acting at the desk: confirmed, with a reason, once, and never two people at a time."""

import re
from typing import Any
from uuid import UUID, uuid4

import httpx

from libs.common.events.registry import decode
from services.intake.desk.available_actions import AvailableAction, available_actions
from services.intake.domain.projections.issue_status import IssueStatus
from services.intake.domain.projections.work_items import HANDLED, WorkKind
from services.intake.store.desk import WorkItem
from tests.intake.desk.conftest import Desk, Staff
from tests.intake.event_builders import NOON

APPROVE = "approve_review:value"


def hidden(page: httpx.Response) -> dict[str, Any]:
    """Return the hidden fields of the confirmation."""
    return dict(re.findall(r'name="(action_id|version|action|comment)" value="([^"]*)"', page.text))


async def confirm(
    desk: Desk, staff: Staff, action: str = APPROVE, comment: str = "The photo shows it."
) -> httpx.Response:
    return await staff.post(f"{desk.issue}/confirm", action=action, comment=comment)


async def decided(desk: Desk) -> list[Any]:
    rows = await desk.live.service.pool.fetch("SELECT value FROM outbox_records ORDER BY id, n")
    return [event.data for row in rows if (event := decode(row["value"])).type == "issue.staff_decided.v1"]


async def test_a_decision_is_confirmed_and_then_published_with_who_and_why(desk: Desk) -> None:
    hanako = await desk.as_("hanako")
    page = await confirm(desk, hanako)
    assert (page.status_code, await decided(desk)) == (200, [])
    done = await hanako.post(f"{desk.issue}/decide", **hidden(page))
    assert done.headers["location"] == f"{desk.issue}?done=approve_review"
    (decision,) = await decided(desk)
    assert (decision.action, decision.review, decision.staff, decision.comment) == (
        "approve_review", "value", "hanako", "The photo shows it.",
    )  # fmt: skip


async def test_a_decision_without_a_reason_is_asked_for_again(desk: Desk) -> None:
    hanako = await desk.as_("hanako")
    page = await confirm(desk, hanako, comment="  ")
    assert (page.status_code, "Please write the reason." in page.text) == (422, True)


async def test_what_is_not_offered_cannot_be_asked_for(desk: Desk) -> None:
    hanako = await desk.as_("hanako")
    for action in ("reopen:", "approve_review:stalled", "explode:", "choose_remedy:gold", ""):
        assert (await confirm(desk, hanako, action)).status_code == 422, action


async def test_a_button_pressed_twice_is_one_decision(desk: Desk) -> None:
    hanako = await desk.as_("hanako")
    form = hidden(await confirm(desk, hanako))
    for _ in range(2):
        assert (await hanako.post(f"{desk.issue}/decide", **form)).status_code == 303
    assert len(await decided(desk)) == 1


async def test_the_second_one_sees_who_is_at_it(desk: Desk) -> None:
    hanako, taro = await desk.as_("hanako"), await desk.as_("taro")
    form = hidden(await confirm(desk, hanako))
    refused = await confirm(desk, taro)
    assert (refused.status_code, "hanako is on it" in refused.text) == (409, True)
    stolen = await taro.post(f"{desk.issue}/decide", **{**form, "action_id": str(uuid4())})
    assert (stolen.status_code, await decided(desk)) == (409, [])
    assert "hanako is on it" in (await taro.get("/desk")).text


async def test_who_lets_go_leaves_it_to_the_next(desk: Desk) -> None:
    hanako, taro = await desk.as_("hanako"), await desk.as_("taro")
    await confirm(desk, hanako)
    await hanako.post(f"{desk.issue}/release")
    assert (await confirm(desk, taro)).status_code == 200


async def test_nothing_is_done_on_a_story_that_has_gone_on(desk: Desk) -> None:
    hanako = await desk.as_("hanako")
    form = hidden(await confirm(desk, hanako))
    await desk.case.publish(desk.case.ordered())
    late = await hanako.post(f"{desk.issue}/decide", **form)
    assert (late.status_code, "Something has happened meanwhile" in late.text) == (409, True)
    assert await decided(desk) == []


async def test_a_decision_past_the_desk_is_met_too(desk: Desk) -> None:
    hanako, taro = await desk.as_("hanako"), await desk.as_("taro")
    form = hidden(await confirm(desk, hanako))
    await hanako.post(f"{desk.issue}/decide", **form)
    stale = await taro.post(f"{desk.issue}/decide", **{**form, "action_id": str(uuid4())})
    assert (stale.status_code, len(await decided(desk))) == (409, 1)


async def test_an_unhappy_customer_who_was_talked_to_waits_no_more(desk: Desk) -> None:
    from libs.common.events.issues import IssueRated

    await desk.case.publish(IssueRated(**desk.case.ids, score=2, rated_at=desk.case.now))
    hanako = await desk.as_("hanako")
    form = hidden(await confirm(desk, hanako, "handled:unhappy 1", "Called, sent an apology card."))
    await hanako.post(f"{desk.issue}/decide", **form)
    page = (await hanako.get(desk.issue)).text
    assert ("Called, sent an apology card." in page, "Somebody talks to the unhappy customer" in page) == (True, False)


async def test_dead_letters_of_a_service_that_is_down_are_shown_as_unreachable(desk: Desk) -> None:
    aki = await desk.as_("aki")
    assert "returns does not answer" in (await aki.get("/desk/dead-letters")).text
    assert (await aki.get("/desk/dead-letters/returns/1")).status_code == 502


def waiting(kind: WorkKind, about: str = "", detail: str = "") -> WorkItem:
    return WorkItem(UUID(int=1), kind, about, detail, NOON, NOON)


def test_what_is_over_offers_nothing_but_to_open_it_again() -> None:
    assert available_actions(IssueStatus.RESOLVED, []) == [AvailableAction("reopen")]
    assert available_actions(IssueStatus.REJECTED, []) == [AvailableAction("accept")]
    assert available_actions(IssueStatus.CANCELLED, []) == []


def test_what_waits_for_staff_comes_first() -> None:
    found = available_actions(IssueStatus.IN_REVIEW, [waiting(WorkKind.REVIEW, "value"), waiting(WorkKind.UNREACHED)])
    assert found[:3] == [
        AvailableAction("approve_review", "value"),
        AvailableAction("refuse_review", "value"),
        AvailableAction(HANDLED, "unreached"),
    ]


def test_a_collection_can_be_waived_while_it_is_open() -> None:
    collecting = [waiting(WorkKind.PROGRESS, "in", "collect 2026-03-12")]
    assert AvailableAction("waive_collection") in available_actions(IssueStatus.RETURN_IN_TRANSIT, collecting)
    assert AvailableAction("waive_collection") not in available_actions(
        IssueStatus.RETURN_RECEIVED, [waiting(WorkKind.PROGRESS, "in", "inspect")]
    )
