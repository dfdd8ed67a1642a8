"""How close upon each other the turns of a loop may come.

A loop that turns for every single thing that arrives spends most of its time on turning: a transaction, a request to
the broker, a wake-up of the next process. With a pace, what arrives within a few milliseconds is taken together, and a
thing that comes alone is still taken at once. Chosen over a fixed wait in front of each turn, which a lone thing would
pay too, and over turning as fast as it goes: at half of what two cores carry that took twice the CPU for each issue,
and the queues for the CPU made everybody wait longer than the pace does.
"""

import asyncio
from dataclasses import dataclass


@dataclass(slots=True)
class Pace:
    """`least` seconds from the begin of one turn to the begin of the next."""

    least: float
    _next: float = 0.0

    def begin(self) -> None:
        """A turn begins now."""
        self._next = asyncio.get_running_loop().time() + self.least

    async def keep(self) -> None:
        """Returns when the next turn may begin: at once where the last one is long over."""
        rest = self._next - asyncio.get_running_loop().time()
        if rest > 0:
            await asyncio.sleep(rest)
