"""The timer loop wakes up for a clock that is set and for a timer that is due at once; here without polling."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from deploy.demo.clock_driver import AdjustableClock
from libs.common.config.settings import ServiceSettings
from libs.common.messaging import timer_loop
from tests.common import sample_service
from tests.running import STOREFRONT, Live, eventually, running

START = datetime(2027, 3, 1, tzinfo=UTC)


@pytest.fixture
def clock(tmp_path: Path) -> AdjustableClock:
    clock = AdjustableClock.create(tmp_path / "clock", START, 0)
    assert isinstance(clock, AdjustableClock)
    return clock


@pytest.fixture
async def live(
    tally_database: str, clock: AdjustableClock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Live]:
    monkeypatch.setattr(timer_loop, "MIN_POLL_SECONDS", 600.0)
    monkeypatch.setattr(timer_loop, "MAX_POLL_SECONDS", 600.0)
    async with running(
        sample_service.create_app, ServiceSettings, database=tally_database, clock_file=tmp_path / "clock"
    ) as live:
        yield live


async def cancel(live: Live, cause: str) -> None:
    headers = {**STOREFRONT, "Idempotency-Key": cause}
    answer = await live.client.post("/cancellations", json={"order_id": "a", "cause": cause}, headers=headers)
    assert answer.status_code == 202


async def no_timer_is_left(live: Live) -> bool:
    return bool(await live.service.pool.fetchval("SELECT count(*) = 0 FROM timers"))


async def test_a_clock_set_forward_fires_what_became_due(live: Live, clock: AdjustableClock) -> None:
    await cancel(live, "set-timer")
    assert not await no_timer_is_left(live)
    clock.set_time(START + timedelta(hours=1), 0)
    await eventually(lambda: no_timer_is_left(live), "the timer has fired")


async def test_a_timer_that_is_due_when_it_is_set_fires_at_once(live: Live) -> None:
    await cancel(live, "set-due-timer")
    await eventually(lambda: no_timer_is_left(live), "the timer has fired")
