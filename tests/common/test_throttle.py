"""Micro-batching: items in quick succession share an iteration; a single item is processed at once."""

import asyncio
import time
from typing import Any

from libs.common.messaging.rebalance import DrainingListener
from libs.common.messaging.throttle import MinInterval
from libs.common.runtime.command_batcher import CommandBatcher
from libs.common.telemetry.counters import Counters
from tests.common.test_command_batcher import cancel
from tests.running import Live

LEAST = 0.3


async def seconds_of(waiting: Any) -> float:
    begin = time.perf_counter()
    await waiting
    return time.perf_counter() - begin


async def test_a_first_turn_comes_at_once() -> None:
    assert await seconds_of(MinInterval(LEAST).wait()) < LEAST / 2


async def test_the_next_turn_begins_no_sooner_than_its_pace() -> None:
    pace = MinInterval(LEAST)
    pace.start()
    assert await seconds_of(pace.wait()) >= LEAST - 0.01


async def test_a_turn_that_took_long_enough_makes_nobody_wait() -> None:
    pace = MinInterval(0.05)
    pace.start()
    await asyncio.sleep(0.06)
    assert await seconds_of(pace.wait()) < 0.03


async def test_calls_that_follow_each_other_closely_share_a_transaction(offline: Live) -> None:
    """Of six calls the first is committed at once, and alone."""
    commands: CommandBatcher = offline.service.commands["tallies"]
    commands.interval.seconds = LEAST
    await cancel(offline, "k0", order="first")
    await asyncio.gather(*(cancel(offline, f"k{n}", order=f"later-{n}") for n in range(1, 6)))
    rows = await offline.service.pool.fetch("SELECT key, xmin::text FROM tallies")
    of_first = {row["xmin"] for row in rows if row["key"] == "first"}
    of_later = {row["xmin"] for row in rows if row["key"] != "first"}
    assert (len(rows), len(of_first), len(of_later), of_first & of_later) == (6, 1, 1, set())


async def test_a_batch_is_taken_before_its_reader_rests() -> None:
    taken: list[float] = []

    async def take(_: Any) -> None:
        taken.append(time.perf_counter())

    reader = DrainingListener("topic", take, Counters(), interval=MinInterval(LEAST))
    begin = time.perf_counter()
    await reader.handle([])
    assert taken[0] - begin < LEAST / 2
    assert time.perf_counter() - begin >= LEAST - 0.01
