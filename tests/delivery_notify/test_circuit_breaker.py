"""Circuit breaker: opening, probing and closing, on a clock of the test."""

from datetime import timedelta

import pytest

from services.delivery_notify.channels.channel import SendOutcome, SendStatus
from services.delivery_notify.sending.circuit_breaker import (
    LONG_OUTAGE,
    MAX_PROBE_INTERVAL,
    PROBE_QUOTA,
    CircuitBreaker,
)
from services.delivery_notify.sending.retry_policy import INITIAL_BACKOFF

SENT = SendOutcome(SendStatus.SENT)
UNAVAILABLE = SendOutcome(SendStatus.CHANNEL_UNAVAILABLE, "connection: refused")
NOT_ATTEMPTED = SendOutcome(SendStatus.NOT_ATTEMPTED, "not_attempted")


class Clock:
    seconds = 1000.0

    def __call__(self) -> float:
        return self.seconds

    def advance(self, by: timedelta) -> None:
        self.seconds += by.total_seconds()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def breaker(clock: Clock) -> CircuitBreaker:
    return CircuitBreaker(clock)


def test_a_closed_circuit_has_no_limit_and_no_wait(breaker: CircuitBreaker) -> None:
    assert (breaker.probe_quota("line"), breaker.remaining("line"), breaker.next_probe_in()) == (
        None,
        timedelta(0),
        None,
    )


def test_an_unavailable_server_opens_the_circuit(breaker: CircuitBreaker) -> None:
    breaker.record("line", [UNAVAILABLE, NOT_ATTEMPTED])
    assert breaker.probe_quota("line") == 0
    assert INITIAL_BACKOFF / 2 <= breaker.remaining("line") <= INITIAL_BACKOFF


def test_a_circuit_is_probed_with_a_few_messages_after_its_interval(breaker: CircuitBreaker, clock: Clock) -> None:
    breaker.record("line", [UNAVAILABLE])
    clock.advance(breaker.remaining("line"))
    assert breaker.probe_quota("line") == PROBE_QUOTA


def test_a_successful_probe_closes_the_circuit(breaker: CircuitBreaker, clock: Clock) -> None:
    breaker.record("line", [UNAVAILABLE])
    clock.advance(breaker.remaining("line"))
    breaker.record("line", [SENT])
    assert breaker.probe_quota("line") is None


@pytest.mark.parametrize("status", [SendStatus.TEMPORARY_FAILURE, SendStatus.PERMANENT_FAILURE])
def test_a_refused_message_proves_that_the_server_is_there(breaker: CircuitBreaker, status: SendStatus) -> None:
    breaker.record("line", [UNAVAILABLE])
    breaker.record("line", [SendOutcome(status, "cause")])
    assert breaker.probe_quota("line") is None


@pytest.mark.parametrize("outcomes", [[], [NOT_ATTEMPTED]])
def test_a_batch_without_an_attempt_leaves_the_circuit_as_it_is(
    breaker: CircuitBreaker, outcomes: list[SendOutcome]
) -> None:
    breaker.record("line", [UNAVAILABLE])
    breaker.record("line", outcomes)
    assert breaker.probe_quota("line") == 0


def test_the_interval_grows_with_each_failed_batch_up_to_its_limit(breaker: CircuitBreaker) -> None:
    breaker.record("line", [UNAVAILABLE])
    first = breaker.remaining("line")
    for _ in range(3):
        breaker.record("line", [UNAVAILABLE])
    assert first < breaker.remaining("line")
    for _ in range(30):
        breaker.record("line", [UNAVAILABLE])
    assert MAX_PROBE_INTERVAL / 2 <= breaker.remaining("line") <= MAX_PROBE_INTERVAL


def test_a_batch_in_which_one_message_was_sent_starts_the_interval_again(breaker: CircuitBreaker) -> None:
    for _ in range(10):
        breaker.record("line", [UNAVAILABLE])
    breaker.record("line", [SENT, UNAVAILABLE])
    assert breaker.remaining("line") <= INITIAL_BACKOFF


def test_a_longer_wait_that_the_server_asked_for_is_kept(breaker: CircuitBreaker) -> None:
    breaker.record("line", [UNAVAILABLE, SendOutcome(SendStatus.CHANNEL_UNAVAILABLE, "http 429", 3000.0)])
    assert breaker.remaining("line") == timedelta(seconds=3000)


def test_a_shorter_wait_that_the_server_asked_for_does_not_shorten_the_interval(breaker: CircuitBreaker) -> None:
    breaker.record("line", [SendOutcome(SendStatus.CHANNEL_UNAVAILABLE, "http 429", 0.1)])
    assert breaker.remaining("line") >= INITIAL_BACKOFF / 2


def test_channels_are_independent(breaker: CircuitBreaker) -> None:
    breaker.record("line", [UNAVAILABLE])
    assert breaker.probe_quota("email") is None


def test_an_outage_is_long_only_after_ten_minutes_without_a_success(breaker: CircuitBreaker, clock: Clock) -> None:
    breaker.record("line", [UNAVAILABLE])
    clock.advance(LONG_OUTAGE)
    assert breaker.open_for_long() == frozenset()
    clock.advance(timedelta(seconds=1))
    breaker.record("line", [UNAVAILABLE])
    assert breaker.open_for_long() == frozenset({"line"})
    breaker.record("line", [SENT])
    assert breaker.open_for_long() == frozenset()


def test_the_next_probe_is_that_of_the_earliest_channel(breaker: CircuitBreaker) -> None:
    breaker.record("line", [SendOutcome(SendStatus.CHANNEL_UNAVAILABLE, "http 429", 600.0)])
    breaker.record("email", [SendOutcome(SendStatus.CHANNEL_UNAVAILABLE, "http 429", 60.0)])
    assert breaker.next_probe_in() == timedelta(seconds=60)
