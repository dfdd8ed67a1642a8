"""In-process signals: to the relay after COMMIT, and to loops that wait for work. Polling is the fallback."""

import asyncio
from collections.abc import Callable
from contextlib import suppress


class WakeSignal:
    def __init__(self) -> None:
        self._event = asyncio.Event()
        self._followers: list[Callable[[], None]] = []

    def __call__(self) -> None:
        self._event.set()
        for follower in self._followers:
            follower()

    def follow(self, follower: Callable[[], None]) -> None:
        """Call this function at every signal, too."""
        if follower not in self._followers:
            self._followers.append(follower)

    async def wait(self, seconds: float) -> None:
        """Wait for the signal, at most `seconds`, and reset it."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):  # wait_for can lose a cancellation that arrives with the event
                await self._event.wait()
        self._event.clear()
