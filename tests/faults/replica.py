"""One process of a service, with its own adjustable clock."""

import socket
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

import psutil

from deploy.demo.clock_driver import AdjustableClock
from deploy.local.ports import LOOPBACK, kept_port
from deploy.local.processes import ServiceProcess, Supervisor, answers_ok
from deploy.local.service_environment import service_command


@dataclass
class Replica:
    """`process` is started and stopped by the nemesis; `skew` is the error of its clock.

    `path` is its path at the process, where several services share one.
    """

    service: str
    process: ServiceProcess
    clock: AdjustableClock
    skew: timedelta = field(default_factory=timedelta)
    path: str = ""

    @property
    def url(self) -> str:
        return self.process.url + self.path

    @property
    def alive(self) -> bool:
        return self.process.alive

    def is_listening(self) -> bool:
        """Return true if its port is open: it has started, and joins Kafka once that is available."""
        with suppress(OSError), socket.create_connection((LOOPBACK, self.process.port), 1):
            return True
        return False

    def has_joined(self) -> bool:
        """Return true if it has all its partitions; waits up to two seconds for the answer."""
        return answers_ok(f"{self.url}/health/started")

    def start(self, step: str = "") -> None:
        """Start it; with `step` it dies at that failpoint."""
        if step:
            self.process.child.env["FAILPOINT"] = step
        else:
            self.process.child.env.pop("FAILPOINT", None)
        self.process.start()

    def set_time(self, now: datetime, speed: float) -> None:
        """Set its clock to this time plus its skew."""
        self.clock.set_time(now + self.skew, speed)


def make_replica(
    supervisor: Supervisor,
    service: str,
    number: int,
    env: Mapping[str, str],
    clock_file: Path,
    now: datetime,
    arguments: tuple[str, ...] | None = None,
) -> Replica:
    """Start a process of this service; returns at once."""
    clock = AdjustableClock.create(clock_file, now, 1)
    assert isinstance(clock, AdjustableClock), "create() makes the class it is called on"
    command = arguments or service_command(service)
    own = {**env, "CLOCK_FILE": str(clock_file)}
    process = supervisor.start(f"{service}-{number}", command, own, kept_port())
    return Replica(service, process, clock)


def limit_memory(pid: int, more: int) -> None:
    """Let a running process use only this many bytes of address space more than it has."""
    process = psutil.Process(pid)
    process.rlimit(psutil.RLIMIT_AS, (process.memory_info().vms + more, psutil.RLIM_INFINITY))
