"""A bell between tasks of one process: rung after COMMIT, heard by the relay at once, with a slow poll behind it."""

import asyncio
from contextlib import suppress


class WakeSignal:
    def __init__(self) -> None:
        self._rung = asyncio.Event()

    def __call__(self) -> None:
        self._rung.set()

    async def wait(self, seconds: float) -> None:
        """Until it rings, or so long at most."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):  # wait_for can swallow a cancellation that comes with the ring
                await self._rung.wait()
        self._rung.clear()
