"""Timeline entries of an issue, and the status that follows from them."""

import json
from collections.abc import Sequence
from datetime import date, timedelta
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.common.decisions.facts import Ignored
from libs.common.events import issues, loyalty, notices
from libs.common.events.envelope import Payload
from libs.common.events.values import Choice, Language
from services.intake.domain.projections import issue_status
from services.intake.domain.projections.issue_status import IssueStatus, StatusUpdate, fold_status
from services.intake.domain.projections.timeline import SUBSCRIBES, TimelineEntry, UnitsReleased, project
from tests.intake.event_builders import CUSTOMER, NOON, ORDER, event, http_id

ISSUE = http_id("story")
ABOUT = {"issue_id": ISSUE, "order_id": ORDER, "customer_id": CUSTOMER}
DELAYED = issues.IssueReplacementDelayed(
    **ABOUT,
    replacement_id=UUID(int=1),
    previous_ship_date=date(2026, 3, 11),
    ship_date=date(2026, 3, 13),
    version=2,
)
CANCELLED = issues.IssueCancelled(**ABOUT, cause="by customer", cancelled_at=NOON)
NOTICE_OF_ORDER = notices.NoticeSent(
    order_id=ORDER,
    customer_id=CUSTOMER,
    notice_id=UUID(int=2),
    kind=notices.NoticeKind.ORDER_EARLY,
    channel="mail",
    language=Language.JA,
    sent_at=NOON,
)


def test_a_fact_becomes_an_entry_without_the_data_of_its_issue() -> None:
    delayed = event(DELAYED, id="e-1")
    entry = project(delayed)[0]
    assert isinstance(entry, TimelineEntry)
    assert json.loads(entry.data).keys() == {"replacement_id", "previous_ship_date", "ship_date", "version"}


def test_a_cancelled_issue_releases_its_units() -> None:
    assert UnitsReleased(ORDER, ISSUE) in project(event(CANCELLED))


def test_a_notice_about_no_issue_is_in_no_timeline() -> None:
    assert project(event(NOTICE_OF_ORDER)) == [Ignored("no_issue")]


def test_every_fact_about_an_issue_is_subscribed() -> None:
    assert {issues.IssueReported, notices.NoticeSent, loyalty.PointsGranted, notices.CustomerDecided} <= set(SUBSCRIBES)


REPORTED, ACCEPTED = issues.IssueReported, issues.IssueAccepted
ORDERED, SHIPPED = issues.IssueReplacementOrdered, issues.IssueReplacementShipped
HELD: list[type[Payload]] = [REPORTED, issues.IssueDetailsRequested]
RESOLVED, REOPENED = issues.IssueResolved, issues.IssueReopened


@pytest.mark.parametrize(
    ("facts", "expected"),
    [
        ([], IssueStatus.ACCEPTED),
        ([REPORTED, ACCEPTED], IssueStatus.ACCEPTED),
        ([REPORTED, ACCEPTED, ORDERED, notices.NoticeSent], IssueStatus.REPLACEMENT_ORDERED),
        ([ACCEPTED, ORDERED, SHIPPED, issues.IssueCollectionRequested], IssueStatus.REPLACEMENT_SHIPPED),
        ([ACCEPTED, issues.IssueChoiceRequested], IssueStatus.WAITING_FOR_CUSTOMER),
        ([ACCEPTED, issues.IssueChoiceRequested, notices.CustomerDecided], IssueStatus.ACCEPTED),
        ([ACCEPTED, RESOLVED, loyalty.PointsGranted], IssueStatus.RESOLVED),
        ([ACCEPTED, RESOLVED, issues.IssueItemInspected], IssueStatus.RESOLVED),
        ([ACCEPTED, RESOLVED, REOPENED, ORDERED], IssueStatus.REPLACEMENT_ORDERED),
        ([ACCEPTED, issues.IssueCancelled, SHIPPED], IssueStatus.CANCELLED),
        (HELD, IssueStatus.WAITING_FOR_CUSTOMER),
        ([*HELD, issues.IssueRejected, ACCEPTED], IssueStatus.ACCEPTED),
    ],
)
def test_the_headline_follows_from_the_facts(facts: Sequence[type[Payload]], expected: IssueStatus) -> None:
    assert fold_status(refused=False, types=[fact.TYPE for fact in facts]) == expected


def test_a_refused_report_is_rejected_before_any_event_arrives() -> None:
    assert fold_status(refused=True, types=[]) == IssueStatus.REJECTED


def test_an_answer_of_the_customer_is_part_of_the_story() -> None:
    decided = notices.CustomerDecided(**ABOUT, choice_id=UUID(int=3), choice=Choice.WAIT, decided_at=NOON)
    assert isinstance(project(event(decided))[0], TimelineEntry)


def test_headlines_are_given_only_by_facts_of_the_timeline() -> None:
    assert issue_status._PROGRESS.keys() <= {fact.TYPE for fact in SUBSCRIBES}


STORY = st.lists(st.sampled_from([payload.TYPE for payload in SUBSCRIBES]), min_size=1, max_size=12)


@given(story=STORY, data=st.data())
def test_the_registers_come_to_the_headline_of_the_story_however_its_facts_arrive(
    story: list[str], data: st.DataObject
) -> None:
    entries = [
        TimelineEntry(ISSUE, f"e-{n}", NOON + timedelta(minutes=n), type_, "{}") for n, type_ in enumerate(story)
    ]
    twice = data.draw(st.lists(st.sampled_from(entries), max_size=5))
    arrived = data.draw(st.permutations(entries + twice))
    move = issue_status.status_updates(arrived).by_issue.get(ISSUE, StatusUpdate())
    ended = move.lifecycle_status in (IssueStatus.REJECTED, IssueStatus.RESOLVED, IssueStatus.CANCELLED)
    shown = (move.lifecycle_status if ended else move.progress_status) or IssueStatus.ACCEPTED
    assert shown == fold_status(refused=False, types=story)
