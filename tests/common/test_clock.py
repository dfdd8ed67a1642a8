"""Shared clock: one file, all processes, any speed."""

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path

from libs.common.decisions.clock import SharedClock, SystemClock, open_clock

START = datetime(2027, 1, 1, tzinfo=UTC)


def test_a_clock_that_stands_still_shows_its_start(tmp_path: Path) -> None:
    assert SharedClock.create(tmp_path / "clock", START, 0).now() == START


def test_another_reader_sees_the_speed_that_was_set(tmp_path: Path) -> None:
    setter = SharedClock.create(tmp_path / "clock", START, 0)
    reader = SharedClock(tmp_path / "clock")
    setter.set_speed(86_400)
    assert reader.speed == 86_400
    assert reader.real_seconds(timedelta(days=1)) == 1.0


def test_time_goes_on_from_where_it_was_when_the_speed_changes(tmp_path: Path) -> None:
    clock = SharedClock.create(tmp_path / "clock", START, 3_600_000)
    seen = clock.now()
    clock.set_speed(0)
    assert clock.now() >= seen


def test_without_a_file_time_is_real(tmp_path: Path) -> None:
    assert isinstance(open_clock(None), SystemClock)
    assert abs(open_clock(None).now() - datetime.now(UTC)) < timedelta(seconds=5)


async def test_setting_the_clock_wakes_every_process_that_waits(tmp_path: Path) -> None:
    setter = SharedClock.create(tmp_path / "clock", START, 0)
    readers, notified = [SharedClock(tmp_path / "clock") for _ in range(3)], [asyncio.Event() for _ in range(3)]
    for reader, event in zip(readers, notified, strict=True):
        reader.on_set(event.set)
    setter.set_speed(60)
    async with asyncio.timeout(10):
        await asyncio.gather(*(event.wait() for event in notified))


async def test_more_processes_than_places_read_the_time_all_the_same(tmp_path: Path) -> None:
    setter = SharedClock.create(tmp_path / "clock", START, 0)
    readers = [SharedClock(tmp_path / "clock") for _ in range(130)]
    for reader in readers:
        reader.on_set(lambda: None)
    setter.set_speed(60)
    assert readers[-1].speed == 60
