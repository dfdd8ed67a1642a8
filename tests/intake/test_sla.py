"""The clock of an issue: open hours only, stopped while the customer owes an answer, safe from gaming."""

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.common.events import issues, notices
from services.intake.domain.issue_acceptance import IssueUpdated
from services.intake.domain.projections.sla import SlaClocks, SlaEvent, measure_sla
from tests.intake.event_builders import NOON, RULES, days
from tests.intake.test_pending_details import ARRIVED, PHOTO, damaged, fire, give, run

TUESDAY = NOON  # noon in the shop; it closes at 18 and opens at 10
REQUESTED, PROVIDED = issues.IssueDetailsRequested.TYPE, issues.IssueDetailsProvided.TYPE
ORDERED, SENT = issues.IssueReplacementOrdered.TYPE, notices.NoticeSent.TYPE
REOPENED, REJECTED, ACCEPTED = issues.IssueReopened.TYPE, issues.IssueRejected.TYPE, issues.IssueAccepted.TYPE


def at(hours: float, type_: str, **data: Any) -> SlaEvent:
    return SlaEvent(TUESDAY + timedelta(hours=hours), type_, data)


def requested(hours: float, *missing: str, until: float = 1000) -> SlaEvent:
    return at(hours, REQUESTED, missing=missing, due_at=(TUESDAY + timedelta(hours=until)).isoformat())


def provided(hours: float, *details: str, missing: tuple[str, ...] = ()) -> SlaEvent:
    return at(hours, PROVIDED, provided=details, missing=missing)


def clocks(*story: SlaEvent, after: float = 48) -> SlaClocks:
    return measure_sla(TUESDAY, story, RULES.hours, RULES.targets, TUESDAY + timedelta(hours=after))


def spent(*story: SlaEvent, after: float = 48) -> float:
    """Return the open hours until the decision, two days later."""
    return clocks(*story, after=after).decision.spent / timedelta(hours=1)


@pytest.mark.parametrize(
    ("story", "hours"),
    [
        ([], 16),  # six on Tuesday, eight on Wednesday, two on Thursday
        ([at(1, ORDERED)], 1),
        ([at(7, ORDERED)], 6),  # in the evening
        ([requested(1, "photo"), provided(5, "photo"), at(6, ORDERED)], 2),
        ([requested(1, "photo"), requested(2, "photo"), provided(5, "photo"), at(6, ORDERED)], 2),  # a reminder
        ([requested(1, "photo", until=3), at(6, ORDERED)], 4),  # no answer by the due time: the clock runs again
        ([requested(1, "photo"), provided(2, "photo"), requested(3, "photo"), at(5, ORDERED)], 4),  # same again
        (
            [
                requested(1, "photo"),
                provided(2, "photo"),
                requested(3, "photo", "part"),
                provided(4, "part"),
                at(5, ORDERED),
            ],
            3,
        ),
        (
            [
                requested(1, "photo", "part"),
                provided(2, "photo", missing=("part",)),
                provided(4, "part"),
                at(5, ORDERED),
            ],
            2,
        ),
        ([requested(1, "photo", until=0.5), at(5, ORDERED)], 5),  # a due time in the past
        ([at(2, ORDERED), at(3, REOPENED), at(4, ORDERED)], 3),  # reopening keeps the time spent
        ([at(2, REJECTED), at(5, ACCEPTED), at(6, ORDERED)], 3),
        ([at(2, ORDERED), requested(3, "photo"), at(4, REOPENED), at(5, ORDERED)], 3),
    ],
)
def test_the_clock_counts_what_the_shop_took(story: list[SlaEvent], hours: float) -> None:
    assert spent(*story) == hours


def test_a_first_response_is_a_message_that_left() -> None:
    first = clocks(at(0.25, SENT), at(3, SENT)).first_response
    assert (first.spent, first.within_target, first.done_at) == (
        timedelta(minutes=15),
        True,
        TUESDAY + timedelta(minutes=15),
    )


def test_a_missed_target_is_marked() -> None:
    found = clocks()
    assert (found.first_response.within_target, found.decision.within_target) == (False, False)


def test_a_running_clock_has_a_due_time() -> None:
    due = clocks(after=1).decision.due_at
    assert due == RULES.hours.after(TUESDAY, RULES.targets.decision)


def test_a_stopped_clock_has_no_due_time() -> None:
    assert clocks(requested(1, "photo"), after=2).decision.due_at is None


TYPES = (REQUESTED, PROVIDED, ORDERED, REOPENED, REJECTED, SENT)
events = st.builds(
    lambda hours, type_, needs, until: at(
        hours, type_, missing=needs, provided=needs, due_at=(TUESDAY + timedelta(hours=hours + until)).isoformat()
    ),
    st.floats(0, 200),
    st.sampled_from(TYPES),
    st.lists(st.sampled_from(["photo", "part"]), unique=True),
    st.floats(0, 100),
)
stories = st.lists(events, max_size=12)


@given(stories, st.permutations(range(12)))
def test_the_order_in_which_events_are_read_does_not_matter(story: list[SlaEvent], order: list[int]) -> None:
    story = [SlaEvent(event.at + timedelta(microseconds=n), event.type, event.data) for n, event in enumerate(story)]
    shuffled = [story[index] for index in order if index < len(story)]
    assert clocks(*story, after=300) == clocks(*shuffled, after=300)


@given(stories, st.floats(0, 250), st.floats(0, 50))
def test_a_clock_never_runs_back(story: list[SlaEvent], hours: float, more: float) -> None:
    assert spent(*story, after=hours) <= spent(*story, after=hours + more)


@given(stories, st.floats(0, 200), st.floats(0.1, 100))
def test_asking_again_for_the_same_saves_the_shop_nothing(story: list[SlaEvent], hours: float, until: float) -> None:
    before = [event for event in story if event.type == REQUESTED and event.at <= at(hours, "").at]
    asked = {need for event in before for need in event.data["missing"]}
    again = requested(hours, *sorted(asked), until=hours + until)
    assert spent(*story, again, after=300) >= spent(*story, after=300)


@given(stories, st.floats(0, 200))
def test_reopening_gives_the_shop_no_time_back(story: list[SlaEvent], hours: float) -> None:
    assert spent(*story, at(hours, REOPENED), after=300) >= spent(*story, after=300)


def test_the_day_the_shop_owes_is_the_day_the_clock_says() -> None:
    """`decide_by`, stored beside the report for lists, equals the due time of the clock computed from the timeline."""
    context, _ = run(None, [*ARRIVED, damaged()])
    context, asked = fire(context)
    provided_at = TUESDAY + days(2)
    context, given_facts = give(context, provided_at, photos=(PHOTO,))
    request = next(event for event in asked if isinstance(event, issues.IssueDetailsRequested))
    changed = next(fact for fact in given_facts if isinstance(fact, IssueUpdated))
    story = [
        SlaEvent(TUESDAY + RULES.required_details.grace_period, REQUESTED, request.model_dump()),
        SlaEvent(provided_at, PROVIDED, {"provided": ("photo",), "missing": ()}),
    ]
    assert measure_sla(TUESDAY, story, RULES.hours, RULES.targets, provided_at).decision.due_at == changed.decide_by
