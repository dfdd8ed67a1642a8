"""Server-sent events that make open pages of the desk reload after a change.

One loop per process polls, only while pages are subscribed. It compares a sequence's last value, which costs the same
for any number of rows and covers changes by all processes of intake.
"""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

from libs.common.runtime.service import Service
from services.intake.desk.sessions import StaffSessions
from services.intake.store.desk import change_token

POLL_SECONDS = 1.0
SESSION_CHECK_SECONDS = 15.0
"""Interval at which a subscriber's session is checked; an ended session ends the stream."""


@dataclass
class ChangeStream:
    service: Service
    sessions: StaffSessions
    version: str = ""
    _subscribers: int = 0
    _changed: asyncio.Event = field(default_factory=asyncio.Event)
    _has_subscribers: asyncio.Event = field(default_factory=asyncio.Event)

    async def run(self) -> None:
        """Poll for changes while pages are subscribed; cancelled at shutdown."""
        while True:
            await self._has_subscribers.wait()
            async with self.service.pool.acquire() as conn:
                version = await change_token(conn)
            if version != self.version:
                self.version = version
                self._changed.set()
                self._changed = asyncio.Event()
            await asyncio.sleep(POLL_SECONDS)

    async def subscribe(self, token: str | None) -> AsyncIterator[dict[str, str]]:
        """Yield an event per change until the session ends."""
        self._subscribers += 1
        self._has_subscribers.set()
        seen = self.version
        try:
            yield {"event": "hello", "data": ""}
            # Not active: a desk left open must still sign its user out.
            while await self.sessions.find(token, active=False):
                if await self._wait_for_change(SESSION_CHECK_SECONDS, seen):
                    seen = self.version
                    yield {"event": "changed", "data": ""}
        finally:
            self._subscribers -= 1
            if not self._subscribers:
                self._has_subscribers.clear()

    async def _wait_for_change(self, seconds: float, seen: str) -> bool:
        """Wait for a version other than `seen`; a change between two waits sets an event that nobody awaits."""
        try:
            async with asyncio.timeout(seconds):
                while self.version == seen:
                    await self._changed.wait()
                return True
        except TimeoutError:
            return False
