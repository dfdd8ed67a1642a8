"""Retry policy: results of send attempts as tables."""

import json
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest

from libs.common.decisions.ids import derived_id
from libs.common.events.notices import NoticeFailed, NoticeSent, NoticeSuppressed
from libs.common.events.values import Language
from services.delivery_notify.channels.channel import SendOutcome, SendStatus
from services.delivery_notify.sending.retry_policy import (
    INITIAL_BACKOFF,
    MAX_ATTEMPTS,
    MAX_BACKOFF,
    NoticeResult,
    SendAttempt,
    backoff,
    event_for,
)
from services.delivery_notify.store.notice_outcomes import Completed, FellBack, Rescheduled
from tests.delivery_notify.claimed_notices import MAIL, NOTICE

ID = NOTICE.notice_id
NOW = datetime(2027, 3, 1, tzinfo=UTC)
BREAKER_WAIT = timedelta(seconds=7)


def result(
    status: SendStatus, *, attempts: int = 1, alternatives: tuple[str, ...] = (), retry_after: float | None = None
) -> NoticeResult:
    outcome = SendOutcome(status, "cause", retry_after)
    attempt = SendAttempt(replace(NOTICE, attempts=attempts), MAIL, "email", outcome, alternatives)
    return attempt.result(1.0, BREAKER_WAIT)


@pytest.mark.parametrize(
    ("attempt", "longest"),
    [(1, INITIAL_BACKOFF), (2, INITIAL_BACKOFF * 2), (3, INITIAL_BACKOFF * 4), (99, MAX_BACKOFF)],
)
def test_backoff_doubles_up_to_an_hour(attempt: int, longest: timedelta) -> None:
    assert (backoff(attempt, 1.0), backoff(attempt, 0.0)) == (longest, longest / 2)


def test_temporary_failures_are_retried_for_about_ten_hours() -> None:
    total = sum((backoff(attempt, 0.5) for attempt in range(1, MAX_ATTEMPTS)), timedelta())
    assert timedelta(hours=7) < total < timedelta(hours=12)


def test_a_sent_notice_is_completed_with_the_language_of_its_recipient() -> None:
    assert result(SendStatus.SENT) == Completed(ID, "sent", "email", Language.JA, address="hanako@example.jp")


@pytest.mark.parametrize("status", [SendStatus.CHANNEL_UNAVAILABLE, SendStatus.NOT_ATTEMPTED])
@pytest.mark.parametrize("attempts", [1, MAX_ATTEMPTS + 5])
def test_an_unavailable_channel_costs_no_attempt(status: SendStatus, attempts: int) -> None:
    assert result(status, attempts=attempts) == Rescheduled(ID, "cause", BREAKER_WAIT, counts=False)


@pytest.mark.parametrize(
    ("attempts", "retry_after", "pause"),
    [
        (1, None, INITIAL_BACKOFF),
        (3, None, INITIAL_BACKOFF * 4),
        (1, 60.0, timedelta(seconds=60)),
        (9, 1.0, INITIAL_BACKOFF * 256),
        (MAX_ATTEMPTS - 1, None, MAX_BACKOFF),
    ],
)
def test_a_temporary_failure_is_retried_after_the_longer_of_backoff_and_retry_after(
    attempts: int, retry_after: float | None, pause: timedelta
) -> None:
    found = result(SendStatus.TEMPORARY_FAILURE, attempts=attempts, retry_after=retry_after)
    assert found == Rescheduled(ID, "cause", pause)


def test_the_last_temporary_failure_falls_back_to_another_channel() -> None:
    found = result(SendStatus.TEMPORARY_FAILURE, attempts=MAX_ATTEMPTS, alternatives=("sms",))
    assert found == FellBack(ID, "email", f"given up after {MAX_ATTEMPTS} attempts: cause")


def test_a_permanent_failure_falls_back_to_another_channel_at_once() -> None:
    assert result(SendStatus.PERMANENT_FAILURE, alternatives=("sms",)) == FellBack(ID, "email", "cause")


def test_a_permanent_failure_on_the_only_channel_fails_the_notice() -> None:
    assert result(SendStatus.PERMANENT_FAILURE) == Completed(ID, "failed", "email", cause="cause")


def test_an_outcome_without_a_cause_is_recorded_as_unknown() -> None:
    attempt = SendAttempt(NOTICE, MAIL, "email", SendOutcome(SendStatus.PERMANENT_FAILURE))
    assert attempt.result(0.0, BREAKER_WAIT) == Completed(ID, "failed", "email", cause="unknown")


def test_a_sent_notice_is_published_with_its_promises_and_its_next_update() -> None:
    promise = {"subject": "line", "subject_id": "1", "version": 2, "day": "2027-03-12"}
    notice = replace(
        NOTICE,
        announces=json.dumps([promise]),
        next_update_by="2027-03-04",
        promised_date=date(2027, 3, 12),
        issue_id=derived_id("issue", 1),
    )
    event = event_for(notice, Completed(ID, "sent", "email", "ja"), NOW)
    assert isinstance(event, NoticeSent)
    assert [announced.model_dump(mode="json") for announced in event.announces] == [promise]
    assert (event.next_update_by, event.promised_date) == (date(2027, 3, 4), date(2027, 3, 12))


@pytest.mark.parametrize(("status", "kind"), [("failed", NoticeFailed), ("suppressed", NoticeSuppressed)])
def test_a_notice_that_was_not_sent_is_published_with_its_cause(status: str, kind: type) -> None:
    event = event_for(NOTICE, Completed(ID, status, "email", cause="http 400"), NOW)
    assert isinstance(event, NoticeFailed | NoticeSuppressed)
    assert (type(event), event.cause) == (kind, "http 400")


def test_a_kind_written_by_a_newer_version_has_no_event() -> None:
    assert event_for(replace(NOTICE, kind="song"), Completed(ID, "failed"), NOW) is None
