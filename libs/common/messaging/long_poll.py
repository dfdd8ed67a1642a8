"""Long polling for FastStream's batch subscribers.

FastStream 0.7 sleeps `batch_timeout_ms` after every poll that returned no record, so that a system at rest adds up to
that time to each hop (from a report to its replacement order: p50 92 ms with the pause, 15 ms without). Here the poll
itself waits: aiokafka wakes it as soon as a record arrives. Look again when `BatchSubscriber.get_msg` no longer sleeps.

A reader whose records nobody waits for gathers them while they keep coming: a turn costs a transaction, however few
records it has. The first record after a pause is handled at once.
"""

import asyncio
from collections.abc import Sequence
from typing import Any

POLL_MS = 1_000
"""Bounds how long a subscriber that stops waits for its last poll."""

GATHER_SECONDS = 0.05
"""Minimum time between the starts of two turns of a reader that gathers."""

GATHER_POLL_MS = 15
"""Wait for the records that the broker has gathered: aiokafka fetches them once the prefetched ones are taken."""


def poll_without_pause(subscriber: Any, *, gather: bool) -> None:
    """Replace the polling of a FastStream batch subscriber; call before the broker starts."""
    next_turn = 0.0

    async def get_msg(consumer: Any) -> tuple[Any, ...]:
        nonlocal next_turn
        loop = asyncio.get_running_loop()
        while subscriber.running:
            pause = next_turn - loop.time() if gather else 0.0
            if pause > 0:
                await asyncio.sleep(pause)
            polled = _flat(await consumer.getmany(timeout_ms=POLL_MS, max_records=subscriber.max_records))
            if polled and pause > 0:
                polled += _flat(await consumer.getmany(timeout_ms=GATHER_POLL_MS, max_records=subscriber.max_records))
            if polled:
                next_turn = loop.time() + GATHER_SECONDS
                return tuple(polled)
        return ()

    subscriber.get_msg = get_msg


def _flat(polled: dict[Any, Sequence[Any]]) -> list[Any]:
    return [record for records in polled.values() for record in records]
