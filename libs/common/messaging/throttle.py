"""Minimum interval between iterations of a loop (micro-batching).

Each iteration costs a transaction, a request to the broker, or a wake-up of another process. With a minimum interval,
items that arrive within a few milliseconds share one iteration, while a single item is still processed at once. A fixed
delay before each iteration was rejected because a single item would pay it, too.

Measured together with `broker.ISSUE_WAIT_MS`, from report to replacement order at half the capacity of two cores, over
several runs: p99 about a quarter lower, p50 about 20 ms higher. Under overload it makes no difference, because batches
are large anyway. Measure again on more cores.
"""

import asyncio
from dataclasses import dataclass


@dataclass(slots=True)
class MinInterval:
    """Minimum of `seconds` from the start of one iteration to the start of the next."""

    seconds: float
    _next: float = 0.0

    def start(self) -> None:
        """Mark the start of an iteration."""
        self._next = asyncio.get_running_loop().time() + self.seconds

    async def wait(self) -> None:
        """Wait until the next iteration may start."""
        remaining = self._next - asyncio.get_running_loop().time()
        if remaining > 0:
            await asyncio.sleep(remaining)
