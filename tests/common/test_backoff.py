"""The wait before a retry."""

import pytest

from libs.common.decisions.backoff import backoff_seconds


@pytest.mark.parametrize(("attempt", "seconds"), [(0, 2.0), (1, 4.0), (3, 16.0), (4, 20.0), (10_000, 20.0)])
def test_the_wait_doubles_up_to_the_longest(attempt: int, seconds: float) -> None:
    assert backoff_seconds(2.0, attempt, longest=20.0) == seconds


@pytest.mark.parametrize(("jitter", "seconds"), [(0.0, 4.0), (0.5, 6.0), (1.0, 8.0)])
def test_jitter_takes_up_to_half_of_the_wait(jitter: float, seconds: float) -> None:
    assert backoff_seconds(2.0, 2, jitter=jitter) == seconds
