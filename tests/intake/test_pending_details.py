"""Reports waiting for missing details: requested once, reminded, closed fairly, reopened by late details."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from libs.common.decisions.facts import Fact, SetTimer
from libs.common.events.issues import (
    IssueAccepted,
    IssueDetailsProvided,
    IssueDetailsRequested,
    IssueRejected,
    IssueReported,
    IssueReviewRequested,
)
from libs.common.events.registry import AnyEvent
from libs.common.events.values import Reason, ReportedLine
from services.intake.domain.commands import ProvideDetails, SubmitLateReport
from services.intake.domain.context import CommandRefused, OrderState
from services.intake.domain.decide import decide
from services.intake.domain.issue_acceptance import IssueUpdated
from services.intake.domain.orders import PendingStage, StoredPhoto, StoredReport
from services.intake.domain.pending_details import timer_name
from services.intake.domain.units import Unit
from tests.intake.event_builders import (
    NOON,
    ORDER,
    RULES,
    after,
    by_http,
    by_kafka,
    days,
    delivered,
    event,
    http_id,
    line,
    placed,
    submission,
    timer_of,
)

ISSUE = http_id("k")
PHOTO = StoredPhoto("a" * 64, "image/jpeg", 100, 4, 3)
ARRIVED = [placed(line("1", 2), line("2", 1)), delivered()]


def damaged(quantity: int = 2, **fields: Any) -> AnyEvent:
    """Report two pieces, which exceed the value accepted without a photo."""
    return by_http(submission(quantity, reason=Reason.DAMAGED_IN_TRANSIT, **fields), key="k")


def nameless_part() -> AnyEvent:
    return by_http(submission(reason=Reason.MISSING_PART), key="k")


def give(context: OrderState, at: datetime, **given: Any) -> tuple[OrderState, Sequence[Fact]]:
    """Provide details to a context as the store loads it: the row of the report beside the order."""
    held = context.pending_report(ISSUE)
    assert held
    loaded = OrderState(
        context.order,
        context.entitlements,
        context.order_by_issue,
        stored_reports={ISSUE: StoredReport(held.report, None, 0)},
    )
    after, facts = decide(loaded, event(ProvideDetails(issue_id=ISSUE, order_id=ORDER, **given)), at, RULES)
    assert after
    return after, facts


def fire(context: OrderState) -> tuple[OrderState, list[Fact]]:
    """Fire the next timer of the report at its due time."""
    held = context.pending_report(ISSUE)
    assert held
    return after([timer_of(timer_name(ISSUE), at=_next_timer[ISSUE])], context=context)


_next_timer: dict[UUID, datetime] = {}


def run(context: OrderState | None, events: Sequence[AnyEvent]) -> tuple[OrderState, list[Fact]]:
    found, facts = after(events, context=context)
    _remember(facts)
    return found, facts


def _remember(facts: Sequence[Fact]) -> None:
    for fact in facts:
        if isinstance(fact, SetTimer):
            _next_timer[ISSUE] = fact.due_at


def until_silent(report: AnyEvent, history: Sequence[AnyEvent] = ARRIVED) -> list[list[Fact]]:
    """Return the facts of each timer until no new timer is set."""
    context, _ = run(None, [*history, report])
    batches = []
    for _ in range(6):
        if (held := context.pending_report(ISSUE)) is None or held.stage is PendingStage.CLOSED:
            break
        context, facts = fire(context)
        _remember(facts)
        batches.append(facts)
    return batches


def kinds(facts: Sequence[Fact]) -> list[str]:
    return [type(fact).__name__ for fact in facts]


def test_a_report_that_lacks_a_photo_is_held_and_nobody_is_asked_yet() -> None:
    context, facts = run(None, [*ARRIVED, damaged()])
    assert kinds(facts) == ["IssueRecorded", "IssueReported", "SetTimer"]
    assert set(context.entitlements) == {Unit("1", 1), Unit("1", 2)}


def test_a_report_that_comes_with_its_photo_is_never_held() -> None:
    context, _ = run(None, ARRIVED)
    report = damaged(photos=(PHOTO.sha256,))
    _, facts = decide(OrderState(context.order, available_photos=frozenset({PHOTO.sha256})), report, NOON, RULES)
    assert kinds(facts) == ["IssueRecorded", "IssueReported", "IssueAccepted"]


@pytest.mark.parametrize(
    "report",
    [
        damaged(1),
        by_http(submission(2)),
        by_http(submission(lines=(ReportedLine(line_id="1", quantity=1, part="lid"),), reason=Reason.MISSING_PART)),
        by_http(submission(reason=Reason.CHANGED_MIND)),
    ],
)
def test_a_report_that_lacks_nothing_is_accepted_at_once(report: AnyEvent) -> None:
    assert IssueAccepted in [type(fact) for fact in run(None, [*ARRIVED, report])[1]]


def test_a_photo_that_follows_at_once_is_never_asked_for() -> None:
    context, _ = run(None, [*ARRIVED, damaged()])
    _, facts = give(context, NOON + timedelta(minutes=1), photos=(PHOTO,))
    assert kinds(facts) == ["PhotosAttached", "IssueUpdated", "IssueAccepted", "CancelTimer"]


def test_what_does_not_come_is_asked_for_once_with_a_day() -> None:
    asked = until_silent(damaged())[0][0]
    assert isinstance(asked, IssueDetailsRequested)
    assert (asked.missing, asked.reminder, asked.due_at.isoformat()) == (("photo",), 0, "2026-03-17T09:00:00+00:00")


def test_a_customer_is_reminded_and_then_staff_decide() -> None:
    events = [facts[0] for facts in until_silent(damaged())]
    assert [type(fact) for fact in events[:4]] == [*[IssueDetailsRequested] * 3, IssueReviewRequested]
    assert [fact.reminder for fact in events if isinstance(fact, IssueDetailsRequested)] == [0, 1, 2]


def test_an_overdue_review_gets_a_new_due_time() -> None:
    reviews = [facts[0] for facts in until_silent(damaged())[3:]]
    due = [fact.due_at for fact in reviews if isinstance(fact, IssueReviewRequested)]
    assert len(due) == 3
    assert due == sorted(set(due))


def test_a_report_without_the_name_of_its_part_is_closed_with_a_message() -> None:
    batches = until_silent(nameless_part())
    rejected = [fact for fact in batches[-1] if isinstance(fact, IssueRejected)]
    assert [(fact.code, "opened again" in fact.message) for fact in rejected] == [("details_missing", True)]


def closed(report: AnyEvent | None = None) -> OrderState:
    context, _ = run(None, [*ARRIVED, report or nameless_part()])
    while (held := context.pending_report(ISSUE)) and held.stage is not PendingStage.CLOSED:
        context, facts = fire(context)
        _remember(facts)
    return context


def test_the_pieces_of_a_closed_report_are_free() -> None:
    assert closed().entitlements == {}


def test_what_comes_later_opens_it_again() -> None:
    _, facts = give(closed(), NOON + days(60), parts={"1": "lid"})
    accepted = [fact for fact in facts if isinstance(fact, IssueAccepted)]
    assert [(fact.lines[0].part, fact.reported_at) for fact in accepted] == [("lid", NOON)]


def test_what_comes_later_opens_a_late_report_again_for_which_staff_overruled_the_window() -> None:
    late = event(SubmitLateReport(issue_id=ISSUE, report=submission(reason=Reason.MISSING_PART)), at=NOON + days(900))
    context = closed(late)
    _, facts = give(context, NOON + days(960), parts={"1": "lid"})
    assert kinds(facts).count("IssueAccepted") == 1


def test_what_comes_when_another_has_the_pieces_leads_to_that_one() -> None:
    context, _ = after([by_http(submission(2), key="other")], context=closed())
    _, facts = give(context, NOON + days(60), parts={"1": "lid"})
    refused = [fact.refusal for fact in facts if isinstance(fact, CommandRefused)]
    assert [(refusal.code, refusal.issue_id) for refusal in refused] == [("already_reported", http_id("other"))]


def test_details_refused_because_another_has_the_units_are_accepted_once_these_are_free() -> None:
    """The refusal stores nothing: the same details, sent again later, are still the missing ones."""
    before = closed()
    context, _ = after([by_http(submission(2), key="other")], context=before)
    context, facts = give(context, NOON + days(60), parts={"1": "lid"}, photos=(PHOTO,))
    assert kinds(facts) == ["CommandRefused"]
    assert context.order == before.order
    free = OrderState(context.order)
    assert "IssueAccepted" in kinds(give(free, NOON + days(61), parts={"1": "lid"})[1])


def test_details_that_were_requested_are_published() -> None:
    context, _ = run(None, [*ARRIVED, damaged()])
    context, _ = fire(context)
    _, facts = give(context, NOON + days(1), photos=(PHOTO,))
    assert [fact.missing for fact in facts if isinstance(fact, IssueDetailsProvided)] == [()]
    assert IssueAccepted in [type(fact) for fact in facts]


def test_what_was_not_asked_for_changes_nothing() -> None:
    context, _ = run(None, [*ARRIVED, damaged()])
    after_words, facts = give(context, NOON, description="割れています")
    assert kinds(facts) == ["Ignored"]
    held = after_words.pending_report(ISSUE)
    assert held
    assert held.missing == ("photo",)


@pytest.mark.parametrize(
    ("code", "given"),
    [
        ("unknown_line", {"parts": {"9": "lid"}}),
        ("too_many_photos", {"photos": (PHOTO,), "max_photos": 0}),
    ],
)
def test_invalid_details_are_refused(code: str, given: dict[str, Any]) -> None:
    context, _ = run(None, [*ARRIVED, nameless_part()])
    _, facts = give(context, NOON, **given)
    assert [fact.refusal.code for fact in facts if isinstance(fact, CommandRefused)] == [code]


def test_the_shops_clock_stands_while_the_customer_owes_an_answer() -> None:
    context, _ = run(None, [*ARRIVED, damaged()])
    before = context.pending_report(ISSUE)
    context, _ = fire(context)
    _, facts = give(context, NOON + days(3), photos=(PHOTO,))
    assert before
    assert before.decide_by + days(2) < _decide_by(facts)


def _decide_by(facts: Sequence[Fact]) -> datetime:
    found = next(fact.decide_by for fact in facts if isinstance(fact, IssueUpdated))
    assert found
    return found


def test_reports_by_kafka_are_held_alike() -> None:
    _, facts = run(None, [*ARRIVED, by_kafka(submission(2, reason=Reason.DAMAGED_IN_TRANSIT, issue_id=ISSUE))])
    assert IssueReported in [type(fact) for fact in facts]
    assert IssueAccepted not in [type(fact) for fact in facts]


def test_the_same_report_again_leads_to_the_one_that_is_held() -> None:
    context, _ = run(None, [*ARRIVED, damaged()])
    _, facts = after([by_http(submission(reason=Reason.DAMAGED_IN_TRANSIT))], context=context)
    assert [fact.refusal.issue_id for fact in facts if isinstance(fact, CommandRefused)] == [ISSUE]
