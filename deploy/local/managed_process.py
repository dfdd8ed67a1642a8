"""A child process that can be started, stopped, killed, frozen and started again.

Each runs in a session of its own, so that Ctrl-C in the terminal reaches only the parent, which stops its children in
order. Freezing and killing act on the whole process tree, since Postgres puts each of its processes in its own session.
"""

import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

import psutil

from deploy.local.command_line import CommandError
from deploy.local.process_guard import PROCESS_GUARD

FREEZE_SECONDS = 60.0


class NotReadyError(CommandError):
    """A process ended, or did not become ready in time.

    The message names its log, with what to do, and ends with the last lines of it.
    """


class ManagedProcess:
    """One process, its command and its log. `start` after `stop` or `kill` runs the same command again."""

    def __init__(
        self,
        name: str,
        command: Sequence[str | Path],
        *,
        log: Path,
        env: Mapping[str, str | None] | None = None,
        user: str | None = None,
        stop_signal: signal.Signals = signal.SIGTERM,
        orphan_signal: signal.Signals = signal.SIGTERM,
    ) -> None:
        """`env` is added to the parent's environment (None removes a name); `user` is the account to run as (root
        only).

        `stop_signal` ends it gracefully; `orphan_signal` ends it after the death of the parent.
        """
        self.name = name
        self.command = [str(part) for part in command]
        self.log = log
        self.env = {key: value for key, value in {**os.environ, **(env or {})}.items() if value is not None}
        self.user = user
        self.stop_signal = stop_signal
        self.orphan_signal = orphan_signal
        self._popen: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it; returns at once. Its output is appended to the log."""
        if self.alive:
            raise RuntimeError(f"{self.name} is already running as process  {self.pid}")
        self.log.parent.mkdir(parents=True, exist_ok=True)
        with self.log.open("ab") as log:
            self._popen = subprocess.Popen(
                self.command,
                env=self.env,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                user=self.user,
            )
        PROCESS_GUARD.terminate_at_exit(self._popen.pid, self.orphan_signal)

    @property
    def alive(self) -> bool:
        return self._popen is not None and self._popen.poll() is None

    @property
    def pid(self) -> int:
        """The process id of the last start. Raises `RuntimeError` if there was none."""
        if self._popen is None:
            raise RuntimeError(f"{self.name} has not been started")
        return self._popen.pid

    @property
    def exit_code(self) -> int | None:
        """None before its start and while it runs; negative for a signal."""
        return self._popen.poll() if self._popen else None

    def stop(self, timeout: float = 10.0) -> None:
        """Send the stop signal, and SIGKILL after `timeout` seconds."""
        if self.alive:
            with suppress(ProcessLookupError):
                os.kill(self.pid, self.stop_signal)
            self.resume()
            with suppress(subprocess.TimeoutExpired):
                self.wait(timeout)
        self.kill()

    def kill(self) -> None:
        """Send SIGKILL to the whole tree; returns when all of it has ended."""
        if self._popen is None:
            return
        tree = self._frozen_tree()
        for process in tree:
            _send(process, signal.SIGKILL)
        self._popen.wait()
        while any(_exists(process) for process in tree):
            time.sleep(0.01)
        PROCESS_GUARD.release(self.pid)

    def wait(self, timeout: float) -> int:
        """The exit code, once it has ended. Raises `subprocess.TimeoutExpired`."""
        if self._popen is None:
            raise RuntimeError(f"{self.name} has not been started")
        return self._popen.wait(timeout)

    def pause(self) -> None:
        """Freeze the whole tree (SIGSTOP): connections stay open, nothing answers. Returns when every process is
        stopped.
        """
        self.wait_until(lambda: not self._stop_running(), FREEZE_SECONDS)

    def resume(self) -> None:
        for process in self._tree():
            _send(process, signal.SIGCONT)

    def wait_until(self, ready: Callable[[], bool], timeout: float) -> None:
        """Return once `ready()` holds. Raises `NotReadyError` if the process ends or `timeout` seconds pass."""
        deadline = time.monotonic() + timeout
        while not ready():
            if not self.alive:
                raise self.ended()
            if time.monotonic() > deadline:
                raise self._not_ready(f"was not ready after {timeout:g} s", "or end other work on this machine")
            time.sleep(0.02)

    def ended(self) -> NotReadyError:
        """The error of a process that should be running, with the end of its log."""
        return self._not_ready(f"ended with code {self.exit_code}", "and start again")

    def _not_ready(self, fault: str, remedy: str) -> NotReadyError:
        return NotReadyError(
            f"{self.name} {fault}; correct the cause that {self.log} names, {remedy}\n{self.log_tail()}"
        )

    def log_tail(self, lines: int = 25) -> str:
        """The end of the log, for a message."""
        if not self.log.exists():
            return "(no log)"
        return "\n".join(self.log.read_text(encoding="utf-8", errors="replace").splitlines()[-lines:])

    def _tree(self) -> list[psutil.Process]:
        if not self.alive:
            return []
        with suppress(psutil.NoSuchProcess):
            process = psutil.Process(self.pid)
            return [process, *process.children(recursive=True)]
        return []

    def _frozen_tree(self) -> list[psutil.Process]:
        """The whole tree, frozen so that it cannot start another process."""
        with suppress(NotReadyError):
            self.pause()
        return self._tree()

    def _stop_running(self) -> list[psutil.Process]:
        """Send SIGSTOP to running processes and return them: a new one may have been missed by the last round."""
        runners = [process for process in self._tree() if _is_running(process)]
        for process in runners:
            _send(process, signal.SIGSTOP)
        return runners


def _send(process: psutil.Process, number: signal.Signals) -> None:
    with suppress(psutil.NoSuchProcess):
        process.send_signal(number)


def _is_running(process: psutil.Process) -> bool:
    """A signal takes effect some time after it was sent; until then a thread may still answer."""
    with suppress(psutil.NoSuchProcess):
        return bool(process.status() not in (psutil.STATUS_STOPPED, psutil.STATUS_ZOMBIE))
    return False


def _exists(process: psutil.Process) -> bool:
    """A zombie holds no file, memory or port; its parent may reap it later."""
    with suppress(psutil.NoSuchProcess):
        return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
    return False
