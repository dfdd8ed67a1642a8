"""Redemption routes in the running app on a real Postgres."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest

from libs.common.decisions.clock import SharedClock
from libs.common.messaging.decision_runner import Incoming
from services.loyalty.app import create_app
from services.loyalty.settings import LoyaltySettings
from services.loyalty.store.ledger import LedgerStore
from tests.loyalty.histories import CUSTOMER, LEDGER_RULES, NOON, hold_ended, resolved
from tests.running import OPS, STOREFRONT, Live, eventually, running

HERE = f"/v1/customers/{CUSTOMER}/redemptions"


@pytest.fixture
def clock(tmp_path: Path) -> SharedClock:
    return SharedClock.create(tmp_path / "clock", NOON, speed=1)


@pytest.fixture
async def live(database: Callable[[str], Awaitable[str]], clock: SharedClock, tmp_path: Path) -> AsyncIterator[Live]:
    """A customer with 549 points to spend."""
    url = await database("loyalty")
    async with running(create_app, LoyaltySettings, database=url, clock_file=tmp_path / "clock") as live:
        async with live.service.pool.acquire() as conn, conn.transaction():
            history = [Incoming(resolved()), Incoming(hold_ended())]
            await live.service.decisions.apply(conn, LedgerStore(LEDGER_RULES), history)
        yield live


async def post(live: Live, path: str, body: Any = None, key: str | None = None) -> httpx.Response:
    headers = {**STOREFRONT, "Idempotency-Key": key or str(uuid4())}
    return await live.client.post(path, json=body, headers=headers)


async def reserve(live: Live, points: int = 500, key: str | None = None) -> httpx.Response:
    return await post(live, HERE, {"order_id": "A-7", "points": points}, key)


async def balance(live: Live) -> tuple[int, int, int]:
    points = (await live.client.get(f"/v1/customers/{CUSTOMER}/balance", headers=STOREFRONT)).json()
    return points["available"], points["reserved"], points["spent"]


async def test_points_are_reserved_and_committed(live: Live) -> None:
    answer = await reserve(live)
    reserved = answer.json()
    assert (answer.status_code, reserved["points"], reserved["state"]) == (201, 500, "reserved")
    assert await balance(live) == (49, 500, 0)
    done = await post(live, f"{HERE}/{reserved['redemption_id']}/commit")
    assert (done.status_code, done.json()["state"]) == (200, "committed")
    assert await balance(live) == (49, 0, 500)


async def test_points_are_released_and_given_back(live: Live) -> None:
    first = (await reserve(live)).json()["redemption_id"]
    assert (await post(live, f"{HERE}/{first}/release")).json()["state"] == "released"
    second = (await reserve(live)).json()["redemption_id"]
    await post(live, f"{HERE}/{second}/commit")
    assert (await post(live, f"{HERE}/{second}/return")).json()["state"] == "returned"
    assert await balance(live) == (549, 0, 0)


async def test_a_redemption_can_be_looked_at(live: Live) -> None:
    made = (await reserve(live)).json()
    shown = await live.client.get(f"{HERE}/{made['redemption_id']}", headers=STOREFRONT)
    assert shown.json() == made
    assert (await live.client.get(f"{HERE}/{uuid4()}", headers=STOREFRONT)).status_code == 404


async def test_the_same_call_again_reserves_once(live: Live) -> None:
    first, again = await reserve(live, key="checkout 7"), await reserve(live, key="checkout 7")
    assert (first.json(), again.headers.get("Idempotent-Replayed")) == (again.json(), "true")
    assert await balance(live) == (49, 500, 0)


async def test_a_repeated_commit_under_another_key_succeeds(live: Live) -> None:
    made = (await reserve(live)).json()["redemption_id"]
    answers = [await post(live, f"{HERE}/{made}/commit") for _ in range(2)]
    assert [(answer.status_code, answer.json()["state"]) for answer in answers] == [(200, "committed")] * 2


@pytest.mark.parametrize(
    ("transitions", "status", "code"),
    [
        (["release", "commit"], 409, "already_released"),
        (["commit", "release"], 409, "already_committed"),
        (["return"], 409, "already_reserved"),
        (["commit", "return", "commit"], 409, "already_returned"),
    ],
)
async def test_an_impossible_transition_is_refused_with_the_remedy(
    live: Live, transitions: list[str], status: int, code: str
) -> None:
    made = (await reserve(live)).json()["redemption_id"]
    answers = [await post(live, f"{HERE}/{made}/{transition}") for transition in transitions]
    assert (answers[-1].status_code, answers[-1].json()["code"]) == (status, code)


@pytest.mark.parametrize(
    ("body", "status", "named"),
    [
        ({"order_id": "A-7", "points": 550}, 409, "points"),
        ({"order_id": "A-7", "points": 0}, 422, "points"),
        ({"order_id": "A-7", "points": -5}, 422, "points"),
        ({"order_id": "A-7", "points": "many"}, 422, "points"),
        ({"order_id": "", "points": 5}, 422, "order_id"),
        ({"points": 5}, 422, "order_id"),
        ({"order_id": "A-7", "points": 5, "pionts": 5}, 422, "pionts"),
    ],
)
async def test_an_invalid_reservation_is_refused_by_the_name_of_its_field(
    live: Live, body: Any, status: int, named: str
) -> None:
    answer = await post(live, HERE, body)
    assert (answer.status_code, answer.json()["detail"].partition(":")[0]) == (status, named)
    assert await balance(live) == (549, 0, 0)


async def test_a_call_without_an_idempotency_key_is_refused(live: Live) -> None:
    answer = await live.client.post(HERE, json={"order_id": "A-7", "points": 5}, headers=STOREFRONT)
    assert (answer.status_code, answer.json()["code"]) == (400, "idempotency_key_missing")


@pytest.mark.parametrize(("headers", "status"), [({}, 401), (OPS, 403)])
async def test_only_the_storefront_spends(live: Live, headers: dict[str, str], status: int) -> None:
    answer = await live.client.post(
        HERE, json={"order_id": "A", "points": 5}, headers={**headers, "Idempotency-Key": "k"}
    )
    assert answer.status_code == status


async def test_one_customer_cannot_touch_the_points_of_another(live: Live) -> None:
    made = (await reserve(live)).json()["redemption_id"]
    elsewhere = f"/v1/customers/C-other/redemptions/{made}"
    assert (await post(live, f"{elsewhere}/commit")).status_code == 404
    assert (await live.client.get(elsewhere, headers=STOREFRONT)).status_code == 404


async def test_a_reservation_runs_out_by_itself(live: Live, clock: SharedClock) -> None:
    made = (await reserve(live)).json()["redemption_id"]
    clock.set_speed(timedelta(hours=1).total_seconds())

    async def back() -> bool:
        return await balance(live) == (549, 0, 0)

    await eventually(back, "the points are back")
    shown = await live.client.get(f"{HERE}/{made}", headers=STOREFRONT)
    assert shown.json()["state"] == "released"


async def test_forty_checkouts_at_once_spend_no_more_than_there_is(live: Live) -> None:
    """Some calls share a transaction, others do not; 549 points cover five reservations of 100."""
    answers = await asyncio.gather(*(reserve(live, 100) for _ in range(40)))
    made = [answer.json()["redemption_id"] for answer in answers if answer.status_code == 201]
    assert [answer.status_code for answer in answers].count(409) == 35
    ends = [
        post(live, f"{HERE}/{redemption_id}/{transition}")
        for redemption_id in made
        for transition in ("commit", "release")
    ]
    outcomes = [answer.status_code for answer in await asyncio.gather(*ends)]
    assert sorted(outcomes) == [200] * 5 + [409] * 5
    available, reserved, spent = await balance(live)
    assert (available + spent, reserved) == (549, 0)
