"""The ladder of retries: its delays, jitter, the receiver's own wish, and its end."""

from datetime import timedelta

import pytest

from services.partners.domain.retry_ladder import DELAYS, AttemptResult, next_delay, quiet_seconds

FAILED = AttemptResult(status=500)


def test_the_delays_grow_up_to_a_day_and_then_the_event_is_given_up() -> None:
    delays = [next_delay(attempt, FAILED, 0.0) for attempt in range(1, 11)]
    assert delays[0] == timedelta(seconds=5)
    assert delays[-2:] == [timedelta(days=1), None]
    assert delays[:-1] == sorted(DELAYS)


def test_jitter_adds_a_fifth_at_most() -> None:
    assert next_delay(2, FAILED, 1.0) == timedelta(minutes=6)


@pytest.mark.parametrize(
    ("status", "asked", "expected"),
    [(429, 60, 60), (503, 60, 60), (503, 1, 5), (500, 60, 5), (429, 999_999, 3_600)],
)
def test_a_busy_receiver_can_ask_for_a_longer_delay(status: int, asked: int, expected: int) -> None:
    result = AttemptResult(status=status, retry_after=timedelta(seconds=asked))
    assert next_delay(1, result, 0.0) == timedelta(seconds=expected)


def test_a_subscription_rests_after_five_failures_in_succession_and_never_long() -> None:
    assert quiet_seconds(4, 1.0) is None
    assert quiet_seconds(5, 1.0) == 2.0
    assert quiet_seconds(500, 1.0) == 300.0


@pytest.mark.parametrize(("status", "expected"), [(200, True), (204, True), (302, False), (410, False), (None, False)])
def test_only_2xx_is_delivered(status: int | None, expected: bool) -> None:
    assert AttemptResult(status=status).is_delivered is expected
