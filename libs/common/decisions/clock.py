"""Clocks: real time, or a simulated clock for the demo and the tests.

The simulated clock is a memory-mapped file shared by all processes, so that one process can set, slow or stop time for
all. A fixed speed in the environment was rejected: simulated days would pass while a real backlog is processed.
"""

import asyncio
import mmap
import os
import struct
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Protocol

_LAYOUT = struct.Struct("=QdddQ")  # sequence, real origin, shown origin, speed, sequence again


class Clock(Protocol):
    """Clock of the shop. `now` is in UTC; `real_seconds` converts a span of the shop's time."""

    def now(self) -> datetime: ...

    def real_seconds(self, span: timedelta) -> float: ...


class SystemClock:
    def now(self) -> datetime:
        return datetime.now(UTC)

    def real_seconds(self, span: timedelta) -> float:
        return span.total_seconds()


class SharedClock:
    """Simulated clock in a shared file. Speed 0 is stopped, 1 is real time, 3600 is an hour per second."""

    def __init__(self, path: Path) -> None:
        with path.open("r+b") as file:
            self._view = mmap.mmap(file.fileno(), _LAYOUT.size)

    @classmethod
    def create(cls, path: Path, start: datetime, speed: float) -> "SharedClock":
        """Create the file with the time `start` and the given speed."""
        path.write_bytes(_LAYOUT.pack(0, time.time(), start.timestamp(), speed, 0))
        os.chmod(path, 0o600)
        return cls(path)

    def _read(self) -> tuple[float, float, float]:
        while True:
            first, real, shown, speed, last = _LAYOUT.unpack(self._view[:])
            if first == last:
                return real, shown, speed

    def now(self) -> datetime:
        real, shown, speed = self._read()
        return datetime.fromtimestamp(shown + (time.time() - real) * speed, UTC)

    def real_seconds(self, span: timedelta) -> float:
        """Convert at the current speed; for a stopped clock return the interval of the next check."""
        speed = self._read()[2]
        return span.total_seconds() / speed if speed > 0 else 0.05

    @property
    def speed(self) -> float:
        return self._read()[2]

    def set_speed(self, speed: float) -> None:
        """Change the speed from the current time on."""
        self._write(self.now(), speed)

    def _write(self, shown: datetime, speed: float) -> None:
        sequence = _LAYOUT.unpack(self._view[:])[0] + 1
        body = _LAYOUT.pack(sequence, time.time(), shown.timestamp(), speed, sequence)
        self._view[: _LAYOUT.size] = body


TICK_SECONDS = 0.02


async def pause(clock: Clock, span: timedelta, at_most: float) -> None:
    """Wait for a span of this clock, at most `at_most` real seconds.

    A simulated clock that is set forward ends the wait within `TICK_SECONDS`.
    """
    until, end = clock.now() + span, time.monotonic() + at_most
    simulated = isinstance(clock, SharedClock)
    while (left := min(end - time.monotonic(), clock.real_seconds(until - clock.now()))) > 0:
        await asyncio.sleep(min(left, TICK_SECONDS) if simulated else left)


def open_clock(path: Path | None) -> Clock:
    """Return the simulated clock in the file `path`, or real time."""
    return SharedClock(path) if path else SystemClock()
