"""Now, as a thing that is passed in: real time, or a faster clock for the demo and the tests.

The fast clock lives in a small file that every process maps, so that one conductor can set, slow or stop time for
all of them at once. Chosen over a speed in the environment, because a fixed speed lets simulated days pass while a
real backlog is still being worked off; with the file the conductor holds time back until everybody has caught up.
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
    """`now()` is the shop's present, in UTC; `real_seconds(delta)` how long that takes on the wall."""

    def now(self) -> datetime: ...

    def real_seconds(self, span: timedelta) -> float: ...


class SystemClock:
    def now(self) -> datetime:
        return datetime.now(UTC)

    def real_seconds(self, span: timedelta) -> float:
        return span.total_seconds()


class SharedClock:
    """Reads (the conductor also sets) the clock file. Speed 0 stands still; 1 is life; 3600 is an hour a second."""

    def __init__(self, path: Path) -> None:
        with path.open("r+b") as file:
            self._view = mmap.mmap(file.fileno(), _LAYOUT.size)

    @classmethod
    def create(cls, path: Path, start: datetime, speed: float) -> "SharedClock":
        """Make the file, so that it shows `start` now and runs at `speed`."""
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
        """At the present speed; a clock that stands still is asked again in a moment."""
        speed = self._read()[2]
        return span.total_seconds() / speed if speed > 0 else 0.05

    @property
    def speed(self) -> float:
        return self._read()[2]

    def set_speed(self, speed: float) -> None:
        """Go on from the present moment at another speed."""
        self._write(self.now(), speed)

    def _write(self, shown: datetime, speed: float) -> None:
        sequence = _LAYOUT.unpack(self._view[:])[0] + 1
        body = _LAYOUT.pack(sequence, time.time(), shown.timestamp(), speed, sequence)
        self._view[: _LAYOUT.size] = body


TICK_SECONDS = 0.02


async def pause(clock: Clock, span: timedelta, at_most: float) -> None:
    """Wait so long by this clock, but no longer than `at_most` seconds of the wall. A clock that is put forward ends
    the wait within a tick, so that whoever waits for a moment of the shop does not sleep through a demo's leap."""
    until, end = clock.now() + span, time.monotonic() + at_most
    leaps = isinstance(clock, SharedClock)
    while (left := min(end - time.monotonic(), clock.real_seconds(until - clock.now()))) > 0:
        await asyncio.sleep(min(left, TICK_SECONDS) if leaps else left)


def open_clock(path: Path | None) -> Clock:
    """The clock that `CLOCK_FILE` names, else real time."""
    return SharedClock(path) if path else SystemClock()
