"""Offers and expected steps of the desk in every state of an issue, read from the database after its events."""

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from libs.common.events import issues
from libs.common.events.envelope import Payload
from libs.common.events.notices import CustomerDecided, NoticeKind
from libs.common.events.values import Choice, Reason, Remedy
from services.intake.app import create_app
from services.intake.desk.available_actions import available_actions
from services.intake.desk.next_steps import NextStep, next_steps
from services.intake.settings import IntakeSettings
from services.intake.store.desk import Section, WorkItem, count_section, read_section, work_of_issue
from services.intake.store.issues import read_issue
from tests.conftest import MakeDatabase
from tests.intake.issue_states import Case, open_case
from tests.running import Live, running

Story = Callable[[Case], list[Payload]]

REMEDY = {f"choose_remedy:{remedy}" for remedy in Remedy} | {"cancel:"}
REVIEW = {"approve_review:value", "refuse_review:value"}
WAIVE = {"waive_collection:"}


@dataclass
class Offers:
    """The state of one issue at the desk."""

    status: str
    actions: set[str]
    steps: list[NextStep]

    @property
    def codes(self) -> list[str]:
        return [step.code for step in self.steps]


@pytest.fixture
async def live(database: MakeDatabase, tmp_path: Path) -> AsyncIterator[Live]:
    async with running(create_app, IntakeSettings, database=await database("intake"), evidence_dir=tmp_path) as live:
        yield live


async def work(live: Live, case: Case) -> list[WorkItem]:
    async with live.service.pool.acquire() as conn:
        return await work_of_issue(conn, case.ids["issue_id"])


async def offers(live: Live, case: Case) -> Offers:
    async with live.service.pool.acquire() as conn:
        issue = await read_issue(conn, case.ids["issue_id"])
    assert issue
    found = await work(live, case)
    actions = {f"{action.name}:{action.subject}" for action in available_actions(issue["status"], found)}
    return Offers(issue["status"], actions, next_steps(found, issue["timeline"]))


def rejected(case: Case) -> Payload:
    return issues.IssueRejected(**case.ids, code="window_closed", message="too late", rejected_at=case.now)


def cancelled(case: Case) -> Payload:
    return issues.IssueCancelled(**case.ids, cause="customer", cancelled_at=case.now)


def reopened(case: Case) -> Payload:
    return issues.IssueReopened(**case.ids, cause="again", reopened_at=case.now)


def collected(case: Case) -> Payload:
    return issues.IssueCollected(**case.ids, collection_id=case.replacement, collected_at=case.now)


def received(case: Case) -> Payload:
    line = {"line_id": "1", "quantity": 1}
    return issues.IssueItemReceived(**case.ids, lines=(line,), received_at=case.now)


def refund_requested(case: Case) -> Payload:
    amount = {"amount": "4980", "currency": "JPY"}
    return issues.IssueRefundRequested(**case.ids, refund_id=case.replacement, amount=amount, requested_at=case.now)


def details_requested(case: Case) -> Payload:
    return issues.IssueDetailsRequested(**case.ids, missing=("photo",), due_at=case.now + timedelta(days=3))


def unhappy(case: Case) -> Payload:
    return issues.IssueRated(**case.ids, score=3, rated_at=case.now)


def decided(case: Case) -> Payload:
    about = {**case.ids, "choice_id": case.replacement, "decided_at": case.now}
    return CustomerDecided(**about, choice=Choice.WAIT)


STATES: dict[str, tuple[Story, str, set[str], list[str]]] = {
    "accepted": (lambda case: [], "accepted", REMEDY, ["order"]),
    "in review": (lambda case: [case.review()], "in_review", REMEDY | REVIEW, ["review"]),
    "details missing": (
        lambda case: [details_requested(case)],
        "waiting_for_customer",
        REMEDY | {"record_answer:", "accept:", "reject:"},
        ["details", "decision"],
    ),
    "question to the customer": (
        lambda case: [case.ordered(), case.asked()],
        "waiting_for_customer",
        REMEDY,
        ["choice", "decision"],
    ),
    "question answered": (lambda case: [case.asked(), decided(case)], "accepted", REMEDY, ["decision"]),
    "replacement ordered": (lambda case: [case.ordered()], "replacement_ordered", REMEDY, ["ship"]),
    "replacement promised": (lambda case: [case.ordered(), case.promised()], "replacement_ordered", REMEDY, ["ship"]),
    "replacement shipped": (lambda case: [case.ordered(), case.shipped()], "replacement_shipped", set(), ["arrive"]),
    "courier to be booked": (
        lambda case: [case.ordered(), case.shipped(), case.arrived(), case.requested()],
        "replacement_delivered",
        WAIVE,
        ["book"],
    ),
    "courier booked": (
        lambda case: [case.ordered(), case.shipped(), case.requested(), case.booked()],
        "return_in_transit",
        WAIVE,
        ["arrive", "collect"],
    ),
    "collected": (
        lambda case: [case.ordered(), case.shipped(), case.arrived(), case.requested(), collected(case)],
        "return_in_transit",
        set(),
        ["receive"],
    ),
    "received": (
        lambda case: [case.ordered(), case.shipped(), case.arrived(), collected(case), received(case)],
        "return_received",
        set(),
        ["inspect"],
    ),
    "refund requested": (lambda case: [refund_requested(case)], "refund_requested", set(), ["refund"]),
    "resolved": (lambda case: [case.ordered(), case.shipped(), case.resolved()], "resolved", {"reopen:"}, []),
    "resolved and unhappy": (
        lambda case: [case.resolved(), unhappy(case)],
        "resolved",
        {"reopen:", "handled:unhappy 1"},
        ["unhappy"],
    ),
    "reopened": (lambda case: [case.resolved(), reopened(case)], "reopened", set(), ["order"]),
    "rejected": (lambda case: [rejected(case)], "rejected", {"accept:"}, []),
    "cancelled": (lambda case: [case.review(), cancelled(case)], "cancelled", set(), []),
    "customer not reached": (
        lambda case: [case.ordered(), case.unreached()],
        "replacement_ordered",
        REMEDY | {"handled:unreached"},
        ["ship", "unreached"],
    ),
}


@pytest.mark.parametrize("state", STATES)
async def test_in_every_state_the_desk_offers_what_can_be_done_and_says_what_comes_next(live: Live, state: str) -> None:
    story, status, actions, steps = STATES[state]
    case = await open_case(live, "SD-1", Reason.DEFECTIVE, timedelta(hours=1))
    await case.publish(*story(case))
    found = await offers(live, case)
    assert (found.status, found.actions, sorted(found.codes)) == (status, actions, sorted(steps))


async def test_the_steps_come_in_the_order_of_their_deadlines(live: Live) -> None:
    case = await open_case(live, "SD-1")
    await case.publish(case.ordered(), case.shipped(arrives_in=9), case.requested(), case.review())
    steps = (await offers(live, case)).steps
    assert [step.due_at for step in steps] == sorted(step.due_at for step in steps)
    assert [step.code for step in steps] == ["review", "book", "arrive"]


async def test_a_question_says_what_applies_without_an_answer_and_which_notice_went_out(live: Live) -> None:
    case = await open_case(live, "SD-1")
    await case.publish(case.asked())
    (choice,) = [step for step in (await offers(live, case)).steps if step.code == "choice"]
    assert (choice.default, choice.notice, choice.subject) == ("wait", NoticeKind.CHOICE_REQUESTED, "")


async def test_a_review_says_what_it_is_about_and_is_overdue_after_its_time(live: Live) -> None:
    case = await open_case(live, "SD-1")
    await case.publish(case.review("parcel_exception", due_in=timedelta(hours=1)))
    (review,) = (await offers(live, case)).steps
    assert (review.subject, review.default) == ("parcel_exception", "")
    assert [review.overdue(review.due_at + timedelta(seconds=late)) for late in (-1, 0, 1)] == [False, False, True]


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (1, 2, 0), (0, 0, 1, 2, 1)])
async def test_the_order_in_which_events_arrive_changes_neither_status_nor_deadline(
    live: Live, order: tuple[int, ...]
) -> None:
    case = await open_case(live, "SD-1")
    story = [case.ordered(0), case.promised(2), case.shipped(arrives_in=4)]
    for place in order:
        await case.publish(story[place], ago=timedelta(hours=3 - place))
    found = await offers(live, case)
    assert (found.status, [item.detail for item in await work(live, case)]) == (
        "replacement_shipped",
        [f"arrive {case.day(4).isoformat()}"],
    )


async def sections(live: Live, now: Any) -> dict[str, int]:
    async with live.service.pool.acquire() as conn:
        counts = {section.value: await count_section(conn, section, now) for section in Section}
    return {section: count for section, count in counts.items() if count}


async def test_each_kind_of_work_is_in_its_section(live: Live) -> None:
    stories: dict[str, Story] = {
        "reviews": lambda case: [case.review()],
        "unhappy": lambda case: [case.resolved(), unhappy(case)],
        "unreached": lambda case: [case.resolved(), case.unreached()],
        "promises": lambda case: [case.ordered(0)],
        "choices": lambda case: [case.asked()],
    }
    for number, story in enumerate(stories.values()):
        case = await open_case(live, f"SD-{number}")
        await case.publish(*story(case))
    case = await open_case(live, "SD-stalled", ago=timedelta(hours=5))
    assert await sections(live, case.now) == {**dict.fromkeys(stories, 1), "stalled": 1}


async def test_a_promise_is_shown_a_day_before_its_end_and_a_stalled_step_after_its_time(live: Live) -> None:
    case = await open_case(live, "SD-1", ago=timedelta(0))
    (order,) = await work(live, case)
    assert await sections(live, order.due_at - timedelta(seconds=1)) == {}
    assert await sections(live, order.due_at) == {"stalled": 1}
    await case.publish(case.ordered(5))
    (ship,) = await work(live, case)
    assert await sections(live, ship.due_at - timedelta(hours=24, seconds=1)) == {}
    assert await sections(live, ship.due_at - timedelta(hours=24)) == {"promises": 1}


async def test_pages_of_a_section_hold_every_item_once_though_they_are_due_together(live: Live) -> None:
    case = await open_case(live, "SD-1")
    causes = ("value", "exposure", "many_reports", "no_address", "stalled")
    await case.publish(*(case.review(cause) for cause in causes))
    seen: list[str] = []
    after = None
    async with live.service.pool.acquire() as conn:
        for _ in causes:
            rows = await read_section(conn, Section.REVIEWS, case.now, 2, after)
            seen += [row.about for row in rows]
            after = rows[-1].key if rows else after
    assert sorted(seen) == sorted(causes)
