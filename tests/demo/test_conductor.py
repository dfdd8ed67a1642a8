"""The conductor moves time on by a step, or to the next thing that is due, never further."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from deploy.local.demo_conductor import BEFORE, SPEED, ConductedClock, Conductor, Look

START = datetime(2026, 3, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)


@pytest.fixture
def conductor(tmp_path: Path) -> Conductor:
    clock = ConductedClock.create(tmp_path / "clock", START, 0)
    assert isinstance(clock, ConductedClock)
    return Conductor(clock, {}, [], {})


def test_a_step_moves_time_on_by_no_more_than_asked(conductor: Conductor) -> None:
    conductor.step(Look(), 2 * HOUR)
    assert timedelta(0) <= conductor.clock.now() - (START + 2 * HOUR) < timedelta(minutes=10)


def test_idle_time_is_passed_over_up_to_the_next_thing_due(conductor: Conductor) -> None:
    conductor.step(Look(next_at=START + 30 * HOUR), 2 * HOUR)
    assert timedelta(0) <= conductor.clock.now() - (START + 30 * HOUR) < timedelta(minutes=10)


def test_the_next_word_to_a_customer_is_not_passed_over(conductor: Conductor) -> None:
    word = START + HOUR
    conductor.step(Look(stop_at=word, told_at=word - HOUR / 2), 2 * HOUR)
    assert timedelta(0) <= conductor.clock.now() - (word - BEFORE) < timedelta(seconds=10)
    conductor.step(Look(stop_at=word, told_at=word + HOUR), 2 * HOUR)
    assert timedelta(0) <= conductor.clock.now() - word < timedelta(seconds=10)


def test_after_a_step_time_goes_on_slowly(conductor: Conductor) -> None:
    conductor.step(Look(), HOUR)
    assert conductor.clock.speed == SPEED


async def test_with_nobody_to_wait_for_it_is_quiet_at_once(conductor: Conductor) -> None:
    assert (await conductor.until_quiet()).backlog == 0


def test_what_is_due_now_is_backlog() -> None:
    look = Look()
    look.due(START, START)
    assert (look.backlog, look.next_at) == (1, None)


def test_the_soonest_of_what_is_due_later_is_next() -> None:
    look = Look()
    for hours in (5, 3, 4):
        look.due(START + hours * HOUR, START)
    assert (look.backlog, look.next_at) == (0, START + 3 * HOUR)
