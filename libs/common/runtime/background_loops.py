"""Background loops of a service: started together, restarted on failure, cancelled at shutdown."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from libs.common.postgres.pool import strip_row_values

log = logging.getLogger(__name__)

Loop = Callable[[], Awaitable[None]]

RESTART_SECONDS = 1.0


class BackgroundLoops:
    """Loops by name. Each runs in a task of its own until `cancel`."""

    def __init__(self) -> None:
        self._loops: dict[str, Loop] = {}
        self.tasks: dict[str, asyncio.Task[None]] = {}

    def add(self, name: str, loop: Loop) -> None:
        self._loops[name] = loop

    def start(self) -> None:
        self.tasks = {
            name: asyncio.create_task(_keep_running(name, loop), name=name) for name, loop in self._loops.items()
        }

    def ended(self) -> list[str]:
        """Return the loops that no longer run; none should end before shutdown."""
        return [name for name, task in self.tasks.items() if task.done()]

    async def cancel(self) -> None:
        await cancel(list(self.tasks.values()))


async def _keep_running(name: str, loop: Loop) -> None:
    while True:
        try:
            await loop()
        except Exception as error:
            strip_row_values(error)
            log.exception("failed background loop=%s; restarting", name)
        await asyncio.sleep(RESTART_SECONDS)


async def cancel(tasks: Sequence[asyncio.Task[Any]]) -> None:
    """Cancel tasks until all have ended: Python 3.11 can lose a cancellation in a connection that just failed."""
    while pending := [task for task in tasks if not task.done()]:
        for task in pending:
            task.cancel()
        await asyncio.wait(pending, timeout=1)
