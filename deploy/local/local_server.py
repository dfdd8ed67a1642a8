"""Control of a server process of this machine: a broker or a database that is stopped, killed, frozen and restarted."""

from abc import ABC, abstractmethod
from typing import ClassVar

from deploy.local.command_line import CommandError
from deploy.local.managed_process import ManagedProcess


class ExternalServerError(CommandError):
    """An external server cannot be controlled; the message names the variable that selected it."""


class LocalServer(ABC):
    """A running server; a restart keeps its address. `process` is None for the external server of `SELECTED_BY`."""

    __slots__ = ()

    SELECTED_BY: ClassVar[str]
    process: ManagedProcess | None

    @abstractmethod
    def wait_ready(self) -> None:
        """Return when it answers. Raises `NotReadyError`."""

    @property
    def own_process(self) -> ManagedProcess:
        """Raises `ExternalServerError`."""
        if self.process is None:
            raise ExternalServerError(
                f"{self.SELECTED_BY} names an external server, which is not started or stopped here"
            )
        return self.process

    @property
    def pid(self) -> int:
        return self.own_process.pid

    def pause(self) -> None:
        """Freeze it with all its processes: connections stay open and receive no answers."""
        self.own_process.pause()

    def resume(self) -> None:
        self.own_process.resume()

    def kill(self) -> None:
        """Send SIGKILL to all of its processes; returns when they have ended."""
        self.own_process.kill()

    def stop(self) -> None:
        """End it gracefully."""
        self.own_process.stop()

    def start(self) -> None:
        """Start it again on the same data after `kill` or `stop`; returns when it answers."""
        self.own_process.start()
        self.wait_ready()

    def restart(self) -> None:
        """Stop it gracefully and start it again; returns when it answers."""
        self.stop()
        self.start()
