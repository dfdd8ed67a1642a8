"""Ends all child processes of this process and removes its temporary folders, however it ends.

A guard (this file, run as a program) holds the other end of a pipe and a list of process groups and folders. When the
pipe closes, after an orderly end, a crash or SIGKILL, it ends those groups and removes those folders. `atexit` and
signal handlers do not run on SIGKILL; PR_SET_PDEATHSIG exists only on Linux and follows a thread instead of a process.
"""

import atexit
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType

GRACE_SECONDS = 3.0


class ProcessGuard:
    """The parent's end of the pipe. One per process, created at its first use."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._guard: subprocess.Popen[str] | None = None

    def terminate_at_exit(self, group: int, stop_signal: int = signal.SIGTERM) -> None:
        """End process group `group` when this process ends: `stop_signal` first, SIGKILL after `GRACE_SECONDS`."""
        self._send_command(["terminate", group, int(stop_signal)])

    def release(self, group: int) -> None:
        """The group has ended; its number may be reused by the system."""
        self._send_command(["release", group])

    def remove_at_exit(self, folder: Path) -> None:
        """Remove `folder` after the groups have ended."""
        self._send_command(["remove", str(folder)])

    def unmount_at_exit(self, folder: Path) -> None:
        """Unmount what is mounted at `folder` after the groups have ended, before folders are removed."""
        self._send_command(["unmount", str(folder)])

    def _send_command(self, command: list[str | int]) -> None:
        with self._lock:
            if self._guard is None:
                self._guard = _start_guard()
                atexit.register(self._close, self._guard)
            assert self._guard.stdin is not None
            self._guard.stdin.write(json.dumps(command) + "\n")
            self._guard.stdin.flush()

    def _close(self, guard: subprocess.Popen[str]) -> None:
        """End registered groups before this process ends."""
        assert guard.stdin is not None
        guard.stdin.close()
        guard.wait()


def _start_guard() -> subprocess.Popen[str]:
    command = [sys.executable, "-I", "-S", __file__]
    nothing = subprocess.DEVNULL
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=nothing, text=True, start_new_session=True)


PROCESS_GUARD = ProcessGuard()


@contextmanager
def exit_on_signals() -> Iterator[None]:
    """Turn SIGTERM and SIGHUP into `SystemExit`, so that `with` blocks are left in order, as on Ctrl-C."""

    def leave(number: int, _frame: FrameType | None) -> None:
        raise SystemExit(128 + number)

    before = {number: signal.signal(number, leave) for number in (signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def guard(commands: Iterable[str]) -> None:
    """Read commands until the pipe closes, then end the groups and remove the folders."""
    groups: dict[int, int] = {}
    folders: list[str] = []
    mounts: list[str] = []
    for line in commands:
        match json.loads(line):
            case ["terminate", int(group), int(stop_signal)]:
                groups[group] = stop_signal
            case ["release", int(group)]:
                groups.pop(group, None)
            case ["remove", str(folder)]:
                folders.append(folder)
            case ["unmount", str(folder)]:
                mounts.append(folder)
    _terminate(groups)
    for folder in mounts:
        subprocess.run(["umount", "--lazy", folder], stderr=subprocess.DEVNULL, check=False)
    for folder in folders:
        shutil.rmtree(folder, ignore_errors=True)


def _terminate(groups: dict[int, int]) -> None:
    for group, stop_signal in groups.items():
        _signal_group(group, stop_signal)
        _signal_group(group, signal.SIGCONT)
    deadline = time.monotonic() + GRACE_SECONDS
    while any(_signal_group(group, 0) for group in groups) and time.monotonic() < deadline:
        time.sleep(0.02)
    for group in groups:
        _signal_group(group, signal.SIGKILL)


def _signal_group(group: int, number: int) -> bool:
    """Returns whether the group still exists."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(group, number)
        return True
    return False


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    guard(sys.stdin)
