"""Exemptions of the check that records of a report share its trace."""

from collections.abc import Set
from dataclasses import replace
from datetime import timedelta

import pytest

from deploy.verification.auditor import CHECKS
from deploy.verification.verdict import Violation, run_check
from tests.verification.histories import ISSUE, HistoryBuilder, valid_history

OTHER_ID = "99999999999999999999999999999999"
OTHER_TRACE = f"00-{OTHER_ID}-2222222222222222-01"


def in_other_trace(story: HistoryBuilder, *kinds: str) -> HistoryBuilder:
    headers = {"traceparent": OTHER_TRACE}
    return replace(story, facts=[replace(f, headers=headers) if f.type in kinds else f for f in story.facts])


def violations(story: HistoryBuilder, roots: dict[str, Set[str]] | None = None) -> tuple[Violation, ...]:
    found = run_check("one_trace", CHECKS["one_trace"], replace(story.history(), roots=roots)).violations
    assert found is not None, "the check had no data to judge"
    return found


def test_an_acceptance_by_a_later_request_may_have_a_trace_of_its_own() -> None:
    assert violations(in_other_trace(valid_history(), "issue.accepted")) == ()


def test_an_acceptance_with_the_report_must_be_in_its_trace() -> None:
    at_once = valid_history().rescheduled("issue.accepted", 72)
    assert len(violations(in_other_trace(at_once, "issue.accepted"))) == 1


def test_a_record_in_the_trace_of_an_earlier_event_of_the_issue_follows_a_wait() -> None:
    assert violations(in_other_trace(valid_history(), "issue.accepted", "replacement.ordered")) == ()


def test_what_a_later_acceptance_causes_is_in_its_trace() -> None:
    assert violations(in_other_trace(valid_history(), "issue.accepted", "replacement.ordered"), NO_LINKS) == ()


@pytest.mark.parametrize(("kind", "count"), [("parcel.found", 0), ("parcel.scanned", 1)])
def test_a_notice_about_a_found_parcel_is_in_the_trace_of_the_courier(kind: str, count: int) -> None:
    story = in_other_trace(valid_history(), "notice.sent")
    story.add("carrier.events", kind, 72.03, trace=OTHER_TRACE, issue_id=ISSUE)
    assert len(violations(story, NO_LINKS)) == count


@pytest.mark.parametrize(("linked", "count"), [({"a" * 32}, 0), (set[str](), 1)])
def test_a_trace_of_its_own_must_link_to_another_once_spans_are_collected(linked: set[str], count: int) -> None:
    story = in_other_trace(valid_history(), "replacement.ordered")
    assert len(violations(story, {OTHER_ID: linked})) == count


@pytest.mark.parametrize("kind", ["issue.staff_decided", "issue.staff_decision_applied"])
@pytest.mark.parametrize(("decided_at", "count"), [(72.03, 0), (72.1, 1)])
def test_a_notice_may_be_in_the_trace_of_an_earlier_decision_about_its_issue(
    kind: str, decided_at: float, count: int
) -> None:
    story = in_other_trace(valid_history(), "notice.sent")
    story.add("issues", kind, decided_at, trace=OTHER_TRACE, issue_id=ISSUE, order_id="S1")
    assert len(violations(story, NO_LINKS)) == count


@pytest.mark.parametrize(
    ("kind", "seconds", "count"),
    [("issue_accepted", -1, 0), ("issue_accepted", 1, 1), ("replacement_shipped", -1, 1)],
)
def test_an_answer_that_waited_for_a_date_may_begin_a_trace_once_the_wait_is_over(
    kind: str, seconds: int, count: int
) -> None:
    answered = valid_history().changed("notice.sent", lambda body: body | {"data": body["data"] | {"kind": kind}})
    story = in_other_trace(answered, "notice.sent")
    sent = story.history().of("notice.sent")[0].event_time
    until = (sent + timedelta(seconds=seconds)).isoformat()
    story.add("issues", "issue.replacement_ordered", 72, issue_id=ISSUE, order_id="S1", date_expected_at=until)
    assert len(violations(story)) == count


NO_LINKS: dict[str, Set[str]] = {OTHER_ID: set()}
"""Spans in which that trace links to none."""


def decided(kind: str, hours: float, written_later: int = 0) -> HistoryBuilder:
    """A history with a decision about the issue, whose trace the order of the replacement shares."""
    story = in_other_trace(valid_history(), "replacement.ordered")
    story.add("notices", kind, hours, OTHER_TRACE, issue_id=ISSUE, order_id="S1", choice="refund")
    *others, last = story.facts
    return replace(story, facts=[*others, replace(last, written_ms=last.written_ms + written_later)])


def test_the_answer_of_a_customer_begins_a_trace() -> None:
    assert violations(decided("customer.decided", 72.01), NO_LINKS) == ()
    assert len(violations(decided("customer.rated", 72.01), NO_LINKS)) == 1


def test_the_answer_to_a_decision_may_be_written_after_its_effects() -> None:
    assert violations(decided("issue.staff_decision_applied", 72.02, written_later=5), NO_LINKS) == ()
    assert len(violations(decided("issue.staff_decision_applied", 73, written_later=5), NO_LINKS)) == 1
