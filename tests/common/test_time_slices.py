"""A batch lets requests, the relay and other tasks run between its decisions."""

import asyncio
from typing import Any

import pytest

from libs.common.messaging import time_slices
from libs.common.messaging.consumer import Consumer
from tests.common import sample_service
from tests.common.records import record
from tests.common.test_consumer import cancelled
from tests.running import Live


@pytest.mark.parametrize(("seconds", "expected"), [(-1.0, 20), (1e9, 1)])
async def test_other_tasks_run_whenever_a_slice_of_decisions_is_over(
    seconds: float, expected: int, offline: Live, monkeypatch: pytest.MonkeyPatch
) -> None:
    turns, seen = 0, set[int]()

    async def count_turns() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    def decide(self: Any, state: Any, event: Any, now: Any) -> Any:
        seen.add(turns)
        return sample_service.decide(state, event, now)

    monkeypatch.setattr(time_slices, "SLICE_SECONDS", seconds)
    monkeypatch.setattr(sample_service.Tallies, "decide", decide)
    service = offline.service
    consumer = Consumer(service.decisions, service.pool, service.subscriptions, service.wake_relay)
    counting = asyncio.create_task(count_turns())
    await consumer.handle([record(n, str(n), cancelled(str(n), "one")[2]) for n in range(20)])
    counting.cancel()
    assert len(seen) == expected
