"""The processes of a local run: started together, monitored, and stopped in reverse order however the run ends.

with exit_on_signals(), Supervisor() as supervisor:
    returns = supervisor.start("returns", ["-m", "libs.common.runtime", "services.returns.app"], env, port=port)
    supervisor.wait_ready()
    returns.kill()
    returns.restart()
"""

import sys
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from deploy.local.managed_process import ManagedProcess
from deploy.local.paths import LOGS, ROOT
from deploy.local.ports import LOOPBACK

READY_SECONDS = 60.0


class ServiceProcess:
    """One Python process of the run; with a port it is ready when `GET /health/ready` answers 200."""

    def __init__(self, child: ManagedProcess, port: int | None) -> None:
        self.child = child
        self.port = port
        self.expected_to_run = False

    @property
    def name(self) -> str:
        return self.child.name

    @property
    def pid(self) -> int:
        return self.child.pid

    @property
    def alive(self) -> bool:
        return self.child.alive

    @property
    def url(self) -> str:
        return f"http://{LOOPBACK}:{self.port}"

    def start(self) -> None:
        """Start it, also after `kill` or `stop`; returns at once."""
        self.child.start()
        self.expected_to_run = True

    def wait_ready(self, timeout: float = READY_SECONDS) -> None:
        """Returns when it is ready. Raises `NotReadyError` with the end of its log."""
        if self.port is not None:
            self.child.wait_until(lambda: answers_ok(f"{self.url}/health/ready"), timeout)

    def stop(self, timeout: float = 30.0) -> None:
        """Send SIGTERM, and SIGKILL after `timeout` seconds."""
        self.expected_to_run = False
        self.child.stop(timeout)

    def kill(self) -> None:
        """Send SIGKILL, as when a machine fails; returns when it has ended."""
        self.expected_to_run = False
        self.child.kill()

    def restart(self) -> None:
        """Stop it if it runs, start it, wait until it is ready."""
        self.stop()
        self.start()
        self.wait_ready()


class Supervisor:
    """Starts processes with a log each, and stops them in reverse order at the end of its block."""

    def __init__(self, logs: Path = LOGS) -> None:
        self.logs = logs
        self.processes: list[ServiceProcess] = []

    def start(
        self, name: str, arguments: Sequence[str | Path], env: Mapping[str, str] | None = None, port: int | None = None
    ) -> ServiceProcess:
        """Start `python *arguments` from the repository root with `env` added to the parent's environment; returns at
        once.
        """
        log = self.logs / f"{name}.log"
        log.unlink(missing_ok=True)
        paths = {"PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1", "HTTP_HOST": LOOPBACK}
        environment = paths if port is None else {**paths, "HTTP_PORT": str(port)}
        child = ManagedProcess(name, [sys.executable, *arguments], log=log, env={**environment, **(env or {})})
        process = ServiceProcess(child, port)
        self.processes.append(process)
        process.start()
        return process

    def wait_ready(self, timeout: float = READY_SECONDS) -> None:
        """Returns when all are ready. Raises `NotReadyError` for the first that is not."""
        for process in self.processes:
            process.wait_ready(timeout)

    def check(self) -> None:
        """Raise `NotReadyError`, with the end of its log, if a process has ended unexpectedly."""
        for process in self.processes:
            if process.expected_to_run and not process.alive:
                raise process.child.ended()

    def stop(self) -> None:
        """Stop everything in reverse order. Idempotent."""
        while self.processes:
            self.processes.pop().stop()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


def answers_ok(url: str) -> bool:
    """Return true if GET of `url` answers 2xx within two seconds."""
    try:
        with urllib.request.urlopen(url, timeout=2) as answer:  # noqa: S310 - our own loopback address
            return 200 <= int(answer.status) < 300
    except (urllib.error.URLError, OSError):
        return False
