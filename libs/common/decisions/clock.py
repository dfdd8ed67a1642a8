"""Clocks: real time, or a simulated clock for the demo and the tests.

The simulated clock is a memory-mapped file shared by all processes, so that one process can set, slow or stop time for
all. A fixed speed in the environment was rejected: simulated days would pass while a real backlog is processed.

Waiting code is woken when the clock is set: each process enters the port of a UDP socket in the file, and the setter
sends a datagram to all of them. Polling the file fifty times a second from every loop of every process cost more CPU
than the work of a replay, and ten milliseconds a step.
"""

import asyncio
import contextlib
import fcntl
import mmap
import os
import socket
import struct
import time
import weakref
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Protocol

_LAYOUT = struct.Struct("=QdddQ")  # sequence, real origin, shown origin, speed, sequence again
_PORTS = struct.Struct("=128H")  # ports of the waiting processes, 0 for a free place
_SIZE = _LAYOUT.size + _PORTS.size
_LOOPBACK = "127.0.0.1"

Callback = Callable[[], None]


class Clock(Protocol):
    """Clock of the shop. `now` is in UTC; `real_seconds` converts a span of the shop's time."""

    def now(self) -> datetime: ...

    def real_seconds(self, span: timedelta) -> float: ...

    def on_set(self, callback: Callback) -> None:
        """Call this in the running event loop whenever the clock is set."""


class SystemClock:
    def now(self) -> datetime:
        return datetime.now(UTC)

    def real_seconds(self, span: timedelta) -> float:
        return span.total_seconds()

    def on_set(self, callback: Callback) -> None:
        """Real time is never set."""


class SharedClock:
    """Simulated clock in a shared file. Speed 0 is stopped, 1 is real time, 3600 is an hour per second."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._callbacks: list[Callback] = []
        self._receiver: socket.socket | None = None
        with path.open("r+b") as file:
            self._view = mmap.mmap(file.fileno(), _SIZE)

    @classmethod
    def create(cls, path: Path, start: datetime, speed: float) -> "SharedClock":
        """Create the file with the time `start` and the given speed."""
        path.write_bytes(_LAYOUT.pack(0, time.time(), start.timestamp(), speed, 0) + bytes(_PORTS.size))
        os.chmod(path, 0o600)
        return cls(path)

    def _read(self) -> tuple[float, float, float]:
        while True:
            first, real, shown, speed, last = _LAYOUT.unpack(self._view[: _LAYOUT.size])
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

    def on_set(self, callback: Callback) -> None:
        """Call this in the running event loop whenever any process sets the clock."""
        if callback not in self._callbacks:
            self._callbacks.append(callback)
        if self._receiver is None:
            self._receiver = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            weakref.finalize(self, self._receiver.close)
            self._receiver.setblocking(False)
            self._receiver.bind((_LOOPBACK, 0))
            asyncio.get_running_loop().add_reader(self._receiver, _receive, self._receiver, self._callbacks)
            self._enter(self._receiver.getsockname()[1])

    def _enter(self, port: int) -> None:
        """Enter a port in a free place. Without one the process goes on without being woken."""
        with self._path.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            ports = list(_PORTS.unpack(self._view[_LAYOUT.size :]))
            with contextlib.suppress(ValueError):
                ports[ports.index(0)] = port
                self._view[_LAYOUT.size :] = _PORTS.pack(*ports)

    def _write(self, shown: datetime, speed: float) -> None:
        sequence = _LAYOUT.unpack(self._view[: _LAYOUT.size])[0] + 1
        body = _LAYOUT.pack(sequence, time.time(), shown.timestamp(), speed, sequence)
        self._view[: _LAYOUT.size] = body
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            for port in filter(None, _PORTS.unpack(self._view[_LAYOUT.size :])):
                with contextlib.suppress(OSError):  # that process has ended
                    sender.sendto(b"set", (_LOOPBACK, port))


def _receive(receiver: socket.socket, callbacks: list[Callback]) -> None:
    """Several settings in a row are one call."""
    with contextlib.suppress(BlockingIOError):
        while receiver.recv(16):
            pass
    for callback in callbacks:
        callback()


def open_clock(path: Path | None) -> Clock:
    """Return the simulated clock in the file `path`, or real time."""
    return SharedClock(path) if path else SystemClock()
