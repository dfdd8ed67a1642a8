"""In-process signal to the relay after COMMIT; polling is the fallback."""

import asyncio
from contextlib import suppress


class WakeSignal:
    def __init__(self) -> None:
        self._event = asyncio.Event()

    def __call__(self) -> None:
        self._event.set()

    async def wait(self, seconds: float) -> None:
        """Wait for the signal, at most `seconds`, and reset it."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):  # wait_for can lose a cancellation that arrives with the event
                await self._event.wait()
        self._event.clear()
