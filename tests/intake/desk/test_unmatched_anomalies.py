"""Anomalies that no issue shows: in the desk's queue and count, with report and remedy, until staff settle them."""

import json
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest

from libs.common.events.anomalies import (
    AnomalyCleared,
    AnomalyDetected,
    CountStaffDecisionApplied,
    ReportedField,
    anomaly_cause,
)
from libs.common.events.envelope import Payload
from services.intake.domain.projections.anomalies import anomaly_id_of
from services.intake.store.anomalies import Anomalies, retention_sweep
from services.intake.store.work_metrics import open_work
from tests.intake.desk.conftest import Desk, Staff
from tests.intake.event_builders import event

BOX = anomaly_cause("returns", "count_without_case", "count:R-7")
PROMISE = anomaly_cause("delivery_notify", "promise_for_unknown_line", "SD-9: ['L4']")


def address(cause: str) -> str:
    return f"/desk/anomalies/{anomaly_id_of(cause)}"


async def take(desk: Desk, *payloads: Payload) -> None:
    """Project these events in one batch, as the consumer does."""
    projection = Anomalies()
    records: list[Any] = []
    for payload in payloads:
        each = event(payload)
        assert projection.key_of(each)
        records += projection.decide(None, each, desk.clock.now())[1]
    async with desk.live.service.transaction() as tx:
        await projection.save(tx.conn, {}, records)


def promise(desk: Desk, event_id: str = "e-1") -> AnomalyDetected:
    return AnomalyDetected(
        cause=PROMISE,
        anomaly="promise_for_unknown_line",
        detected_by="delivery_notify",
        detail="SD-9: ['L4']",
        order_id="SD-9",
        reported_by="/storefront",
        event_type="order.delayed.v1",
        event_id=event_id,
        reported=(ReportedField(field="line_id", value="L4"),),
        detected_at=desk.clock.now(),
    )


def box(desk: Desk, event_id: str = "e-7") -> AnomalyDetected:
    counted = {
        "order_id": "SD-1",
        "sku": "MUG-BLUE",
        "serials": "SN-17",
        "tracking_number": "4123",
        "return_slip": "SL-9",
    }
    return AnomalyDetected(
        cause=BOX,
        anomaly="count_without_case",
        detected_by="returns",
        thing="count:R-7",
        order_id="SD-1",
        reported_by="/warehouse",
        event_type="item.received.v1",
        event_id=event_id,
        reported=tuple(ReportedField(field=name, value=value) for name, value in counted.items()),
        detected_at=desk.clock.now(),
    )


async def listed(staff: Staff) -> str:
    return (await staff.get("/desk/work/anomalies")).text


async def decide(staff: Staff, cause: str, **fields: str) -> int:
    return (await staff.post(address(cause), **fields)).status_code


async def published(desk: Desk) -> list[dict[str, Any]]:
    rows = await desk.live.service.pool.fetch("SELECT value FROM outbox_records ORDER BY id, n")
    events = [json.loads(row["value"]) for row in rows]
    return [each["data"] for each in events if each["type"] == "count.staff_decided.v1"]


async def test_it_is_listed_and_counted_with_other_work(desk: Desk) -> None:
    await take(desk, promise(desk))
    vera = await desk.as_("vera")
    home = (await vera.get("/desk")).text
    assert '<a href="#anomalies"><b>1</b>' in home
    assert f'<a href="{address(PROMISE)}">' in home
    assert "A date for a line that was not ordered" in await listed(vera)


async def test_its_page_shows_what_was_reported_by_whom_and_when_and_what_can_be_done(desk: Desk) -> None:
    await take(desk, promise(desk))
    page = (await (await desk.as_("vera")).get(address(PROMISE))).text
    for shown in ("the storefront reports a delay (from /storefront)", "ask the storefront which line it means.",
                  "order.delayed.v1 · e-1", "<dt>Order line</dt><dd>L4</dd>", "First reported"):  # fmt: skip
        assert shown in page


async def test_a_cause_is_one_item_however_often_it_is_reported(desk: Desk) -> None:
    await take(desk, promise(desk), promise(desk, "e-2"), promise(desk, "e-2"))
    await take(desk, promise(desk, "e-3"))
    rows = await desk.live.service.pool.fetch("SELECT reports, event_id FROM anomalies")
    assert [tuple(row) for row in rows] == [(3, "e-3")]


async def test_staff_settle_it_with_a_note_and_it_does_not_come_back(desk: Desk) -> None:
    await take(desk, promise(desk))
    hanako = await desk.as_("hanako")
    assert await decide(hanako, PROMISE, action="settle", comment="The shop had a wrong line number.") == 303
    await take(desk, promise(desk, "e-2"))
    page = (await hanako.get(address(PROMISE))).text
    assert ("Settled by hanako." in page, "The shop had a wrong line number." in page) == (True, True)
    assert address(PROMISE) not in await listed(hanako)


@pytest.mark.parametrize(
    ("fields", "fault"),
    [
        ({"action": "settle", "comment": " "}, "Please write the reason."),
        ({"action": "assign", "comment": "because"}, "That cannot be done as the issue stands now."),
        ({"action": "burn", "comment": "because"}, "That cannot be done as the issue stands now."),
    ],
)
async def test_a_form_that_lacks_something_changes_nothing_and_says_what(
    desk: Desk, fields: dict[str, str], fault: str
) -> None:
    await take(desk, promise(desk))
    hanako = await desk.as_("hanako")
    answer = await hanako.post(address(PROMISE), **fields)
    assert (answer.status_code, fault in answer.text) == (422, True)
    assert address(PROMISE) in await listed(hanako)


async def test_somebody_else_learns_that_it_is_settled_and_a_double_click_is_no_fault(desk: Desk) -> None:
    await take(desk, promise(desk))
    hanako, taro = await desk.as_("hanako"), await desk.as_("taro")
    answers = [await decide(each, PROMISE, action="settle", comment="done") for each in (hanako, hanako, taro)]
    assert answers == [303, 303, 409]


async def test_an_anomaly_that_ended_by_itself_is_no_work_until_it_is_reported_again(desk: Desk) -> None:
    hanako = await desk.as_("hanako")
    await take(desk, box(desk), AnomalyCleared(cause=BOX, cleared_at=desk.clock.now()))
    assert address(BOX) not in await listed(hanako)
    assert "It has ended by itself." in (await hanako.get(address(BOX))).text
    await take(desk, box(desk, "e-8"))
    assert address(BOX) in await listed(hanako)


async def test_a_box_is_shown_with_what_the_warehouse_counted(desk: Desk) -> None:
    await take(desk, box(desk))
    page = (await (await desk.as_("vera")).get(address(BOX))).text
    for field, value in (("Order", "SD-1"), ("SKU", "MUG-BLUE"), ("Serial number", "SN-17"),
                         ("Tracking number", "4123"), ("Return slip", "SL-9")):  # fmt: skip
        assert f"<dt>{field}</dt><dd>{value}</dd>" in page
    assert str(desk.case.ids["issue_id"]) in page, "the issue of that order is offered"
    assert '<form method="post" action="/desk/anomalies' not in page, "a viewer decides nothing"


async def test_an_assigned_box_is_work_until_returns_has_counted_it(desk: Desk) -> None:
    await take(desk, box(desk))
    hanako, issue_id = await desk.as_("hanako"), str(desk.case.ids["issue_id"])
    assert await decide(hanako, BOX, action="assign", issue_id=issue_id, comment="By its serial number.") == 303
    (decided,) = await published(desk)
    assert (decided["count_id"], decided["issue_id"], decided["staff"]) == ("R-7", issue_id, "hanako")
    assert address(BOX) in await listed(hanako)
    await take(desk, AnomalyCleared(cause=BOX, cleared_at=desk.clock.now()), answer(desk, decided))
    assert "Settled by hanako." in (await hanako.get(address(BOX))).text
    assert address(BOX) not in await listed(hanako)


def answer(desk: Desk, decided: dict[str, Any], code: str | None = None) -> CountStaffDecisionApplied:
    return CountStaffDecisionApplied(
        cause=BOX,
        count_id="R-7",
        decision_id=UUID(decided["decision_id"]),
        staff=decided["staff"],
        applied=code is None,
        code=code,
        processed_at=desk.clock.now(),
    )


async def test_a_refused_assignment_says_why_and_stays_work(desk: Desk) -> None:
    await take(desk, box(desk))
    hanako = await desk.as_("hanako")
    await decide(hanako, BOX, action="assign", issue_id=str(desk.case.ids["issue_id"]), comment="By its colour.")
    (decided,) = await published(desk)
    await take(desk, answer(desk, decided, "count_does_not_fit"))
    assert "it holds no article of this issue" in (await hanako.get(address(BOX))).text
    assert address(BOX) in await listed(hanako)


@pytest.mark.parametrize("issue_id", ["", "not-an-id", str(UUID(int=999))])
async def test_a_box_is_assigned_to_known_issues_only(desk: Desk, issue_id: str) -> None:
    await take(desk, box(desk))
    answered = await (await desk.as_("hanako")).post(address(BOX), action="assign", issue_id=issue_id, comment="x")
    assert (answered.status_code, "There is no issue with this id." in answered.text) == (422, True)
    assert await published(desk) == []


async def test_a_closed_box_is_closed_at_returns_as_well(desk: Desk) -> None:
    await take(desk, box(desk))
    assert await decide(await desk.as_("hanako"), BOX, action="settle", comment="Sent back.") == 303
    (decided,) = await published(desk)
    assert (decided["count_id"], decided.get("issue_id"), decided["comment"]) == ("R-7", None, "Sent back.")


async def test_open_ones_are_among_the_metrics_of_work(desk: Desk) -> None:
    await take(desk, promise(desk), box(desk))
    await decide(await desk.as_("hanako"), PROMISE, action="settle", comment="done")
    async with desk.live.service.pool.acquire() as conn:
        found = await open_work(conn, desk.clock.now() + timedelta(days=2))
    assert found["unmatched", "overdue"] == 1


async def test_a_change_changes_the_token_of_the_pages(desk: Desk) -> None:
    from services.intake.store.desk import change_token

    async with desk.live.service.pool.acquire() as conn:
        before = await change_token(conn)
        await take(desk, promise(desk))
        opened = await change_token(conn)
        await take(desk, AnomalyCleared(cause=PROMISE, cleared_at=desk.clock.now()))
        assert len({before, opened, await change_token(conn)}) == 3


async def test_settled_ones_are_deleted_after_their_retention_and_open_ones_never(desk: Desk) -> None:
    await take(desk, promise(desk), box(desk))
    await decide(await desk.as_("hanako"), PROMISE, action="settle", comment="done")
    await desk.live.service.pool.execute(retention_sweep().statement, desk.clock.now() + timedelta(days=1), 10)
    rows = await desk.live.service.pool.fetch("SELECT cause FROM anomalies")
    assert [row["cause"] for row in rows] == [BOX]
