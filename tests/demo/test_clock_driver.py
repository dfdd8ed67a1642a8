"""The clock driver advances to due work and a step beyond it, never past a notice."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from deploy.demo.clock_driver import NOTICE_LEAD, AdjustableClock, ClockDriver
from deploy.demo.quiescence import QuiescenceProbe, Snapshot

START = datetime(2026, 3, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)


@pytest.fixture
def conductor(tmp_path: Path) -> ClockDriver:
    clock = AdjustableClock.create(tmp_path / "clock", START, 0)
    assert isinstance(clock, AdjustableClock)
    return ClockDriver(clock, QuiescenceProbe(clock, {}, {}))


def moved_to(conductor: ClockDriver, expected: datetime) -> bool:
    """Return true if the clock shows this time, or a little later."""
    return timedelta(0) <= conductor.clock.now() - expected < timedelta(minutes=1)


def test_a_step_moves_time_on_by_no_more_than_asked(conductor: ClockDriver) -> None:
    conductor.advance(Snapshot(START), 2 * HOUR)
    assert moved_to(conductor, START + 2 * HOUR)


def test_idle_time_is_passed_over_and_what_is_due_is_done_with_what_follows_soon(conductor: ClockDriver) -> None:
    conductor.advance(Snapshot(START, next_at=START + 30 * HOUR), 2 * HOUR)
    assert moved_to(conductor, START + 32 * HOUR)


def test_the_next_notice_is_not_skipped(conductor: ClockDriver) -> None:
    notice_at = START + HOUR
    conductor.advance(Snapshot(START, next_notice_at=notice_at, next_partner_event_at=notice_at + HOUR), 2 * HOUR)
    assert moved_to(conductor, notice_at)


def test_the_clock_stops_a_little_before_the_next_notice_where_a_partner_publishes_first(
    conductor: ClockDriver,
) -> None:
    notice_at = START + HOUR
    conductor.advance(Snapshot(START, next_notice_at=notice_at, next_partner_event_at=notice_at - HOUR / 2), 2 * HOUR)
    assert moved_to(conductor, notice_at - NOTICE_LEAD)
    assert conductor.clock.now() < notice_at


def test_after_a_step_time_stands_still(conductor: ClockDriver) -> None:
    conductor.advance(Snapshot(START), HOUR)
    assert conductor.clock.speed == 0


async def test_with_nobody_to_wait_for_it_is_quiet_at_once(conductor: ClockDriver) -> None:
    assert not (await conductor.wait_until_idle()).busy


def test_what_is_due_now_keeps_somebody_busy() -> None:
    snapshot = Snapshot(START)
    snapshot.due("notices", START)
    assert (snapshot.busy, snapshot.next_at) == ({"notices": 1}, None)


def test_the_soonest_of_what_is_due_later_is_next() -> None:
    snapshot = Snapshot(START)
    for hours in (5, 3, 4):
        snapshot.due("notices", START + hours * HOUR)
    assert (snapshot.busy, snapshot.next_at) == ({}, START + 3 * HOUR)
