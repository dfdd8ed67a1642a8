"""Server-sent events: every open page of the desk hears when something changed, and fetches itself again.

One loop per process looks, and only while somebody listens: the pulse is a sequence's last value, which costs the same
with a million facts as with ten and is true for all processes of intake, whichever of them took the event.
"""

import asyncio
import logging
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

from libs.common.runtime.service import Service
from services.intake.desk.sessions import Session, Sessions
from services.intake.store import desk as store

log = logging.getLogger(__name__)

POLL_SECONDS = 1.0
STAYS_SECONDS = 15.0
"""A listener is looked up again this often: a session that ended hears nothing more."""


@dataclass
class Live:
    service: Service
    sessions: Sessions
    _listeners: int = 0
    _pulse: str = ""
    _changed: asyncio.Event = field(default_factory=asyncio.Event)
    _wanted: asyncio.Event = field(default_factory=asyncio.Event)

    async def run(self) -> None:
        """Look for changes for as long as somebody listens; cancelled at shutdown."""
        while True:
            await self._wanted.wait()
            async with self.service.pool.acquire() as conn:
                pulse = await store.change_token(conn)
            if pulse != self._pulse:
                self._pulse = pulse
                self._changed.set()
                self._changed = asyncio.Event()
            await asyncio.sleep(POLL_SECONDS)

    async def listen(self, token: str | None) -> AsyncIterator[dict[str, str]]:
        """An event per change, for as long as the session lives."""
        self._listeners += 1
        self._wanted.set()
        seen = self._pulse
        try:
            yield {"event": "hello", "data": ""}
            while await self._still(token):
                if await self._change_within(STAYS_SECONDS, seen):
                    seen = self._pulse
                    yield {"event": "changed", "data": ""}
        finally:
            self._listeners -= 1
            if not self._listeners:
                self._wanted.clear()

    async def _change_within(self, seconds: float, seen: str) -> bool:
        """Compares, for what changed while this listener did something else rang for nobody."""
        try:
            async with asyncio.timeout(seconds):
                while self._pulse == seen:
                    await self._changed.wait()
                return True
        except TimeoutError:
            return False

    async def _still(self, token: str | None) -> Session | None:
        """Listening is not using: a desk that is left open alone still signs its owner out."""
        return await self.sessions.find(token, active=False)
