"""Promise integrity by HTTP: the auditor's figures per day, of the newest audit."""

from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from typing import Any

import pytest

from services.delivery_notify.store.promise_integrity import judged_promises
from tests.conftest import MakeDatabase
from tests.delivery_notify.service import notifying
from tests.running import OPS, STOREFRONT, Live

PATH = "/v1/promises/integrity"
OUTCOMES = ("kept", "announced_before", "silent", "released", "open")


@pytest.fixture
async def live(database: MakeDatabase) -> AsyncIterator[Live]:
    async with notifying(await database("delivery_notify")) as live:
        yield live


def today(live: Live) -> str:
    return live.service.clock.now().astimezone(live.service.settings.zone).date().isoformat()


async def store(live: Live, silent: int, at: datetime, **day: Any) -> Any:
    counts = {"day": today(live), "kept": 7, "announced_before": 2, "silent": silent, "released": 1, "open": 0, **day}
    body = {"audited_at": at.isoformat(), "days": [{**counts, "made": 0}]}
    return await live.client.put(PATH, json=body, headers={**OPS, "Idempotency-Key": at.isoformat()})


async def test_the_figures_of_a_day_are_those_of_the_newest_audit(live: Live) -> None:
    now = live.service.clock.now()
    for silent, at in ((1, now), (0, now + timedelta(hours=1)), (5, now - timedelta(hours=1))):
        assert (await store(live, silent, at)).status_code == 200
    (shown,) = (await live.client.get(PATH, headers=OPS)).json()["days"]
    assert (shown["day"], shown["made"], shown["kept"], shown["silent"]) == (today(live), 10, 7, 0)


@pytest.mark.parametrize("query", ["first=2027-03-02&last=2027-03-01", "first=2020-01-01&last=2027-03-01"])
async def test_a_span_that_cannot_be_shown_is_refused_with_the_remedy(live: Live, query: str) -> None:
    answer = await live.client.get(f"{PATH}?{query}", headers=OPS)
    assert (answer.status_code, answer.json()["code"]) == (422, "span")


async def test_a_negative_count_is_refused(live: Live) -> None:
    assert (await store(live, -1, live.service.clock.now())).status_code == 422


@pytest.mark.parametrize("at", ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-12:00"])
async def test_a_time_that_no_database_can_hold_is_refused(live: Live, at: str) -> None:
    body = {"audited_at": at, "days": [{"day": today(live), **dict.fromkeys(OUTCOMES, 0)}]}
    answer = await live.client.put(PATH, json=body, headers={**OPS, "Idempotency-Key": at})
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid")


async def test_the_storefront_cannot_write_the_figures(live: Live) -> None:
    headers = {**STOREFRONT, "Idempotency-Key": "1"}
    assert (await live.client.put(PATH, json={}, headers=headers)).status_code == 403


async def test_the_metric_counts_the_promises_of_the_last_days_by_outcome(live: Live) -> None:
    now = live.service.clock.now()
    await store(live, 3, now)
    old = (now - timedelta(days=40)).date().isoformat()
    await store(live, 5, now + timedelta(hours=1), day=old)
    async with live.service.pool.acquire() as conn:
        judged = await judged_promises(conn, now)
    assert judged == {("kept",): 7, ("announced_before",): 2, ("silent",): 3, ("released",): 1, ("open",): 0}


async def test_the_metric_shows_nothing_before_the_first_audit(live: Live) -> None:
    async with live.service.pool.acquire() as conn:
        assert await judged_promises(conn, live.service.clock.now()) == {}
