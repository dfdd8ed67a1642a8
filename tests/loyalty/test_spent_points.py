"""Points that were spent on what is refunded come back, in proportion, once, and on a real Postgres."""

from collections.abc import AsyncIterator
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest

from libs.common.events.registry import AnyEvent
from libs.common.events.values import Fault, Money, PointsSpent, Reason, Remedy
from services.loyalty.app import create_app
from services.loyalty.settings import LoyaltySettings
from services.loyalty.store import queries
from tests.conftest import MakeDatabase
from tests.loyalty.histories import (
    CUSTOMER,
    ORDER,
    adjust,
    commit,
    event,
    placed,
    refunded,
    reserve,
    resolved,
    return_points,
)
from tests.running import Live, running


def yen(amount: int) -> Money:
    return Money(amount=Decimal(amount), currency="JPY")


def paid_with_points(**more: Any) -> AnyEvent:
    """An order of 2,000 yen, of which 500 points paid 500 yen."""
    order = placed(amount="2000").data
    spent = PointsSpent(points=500, amount=yen(500))
    return event(order.model_copy(update={"points_spent": spent, **more}))


@pytest.fixture
async def live(database: MakeDatabase) -> AsyncIterator[Live]:
    async with running(create_app, LoyaltySettings, database=await database("loyalty")) as live:
        await take(live, paid_with_points(), aggregate="orders")
        await take(live, adjust(600), reserve(500), commit())
        yield live


async def take(live: Live, *events: AnyEvent, aggregate: str = "ledger") -> None:
    for each in events:
        await live.service.execute(live.service.aggregates[aggregate], each)


async def points(live: Live) -> tuple[int, int]:
    """Return available and spent points."""
    async with live.service.pool.acquire() as conn:
        found = await queries.balance_of(conn, CUSTOMER)
        assert await queries.unbalanced_customers(conn) == []
    return found["available"], found["spent"]


async def test_a_full_refund_returns_all_points(live: Live) -> None:
    await take(live, refunded("1500"))
    assert await points(live) == (600, 0)


async def test_a_refund_of_half_the_money_returns_half_the_points(live: Live) -> None:
    await take(live, refunded("750"))
    assert await points(live) == (350, 250)


async def test_parts_of_a_refund_return_the_whole_together(live: Live) -> None:
    await take(live, *(refunded("500", number) for number in (1, 2, 3)))
    assert await points(live) == (600, 0)


async def test_a_repeated_refund_returns_nothing_more(live: Live) -> None:
    await take(live, refunded("750"), refunded("750"))
    assert await points(live) == (350, 250)


async def test_more_money_than_was_paid_returns_no_more_points_than_were_spent(live: Live) -> None:
    await take(live, refunded("1500"), refunded("1500", 2))
    assert await points(live) == (600, 0)


async def test_a_shop_that_returns_them_itself_returns_what_is_left(live: Live) -> None:
    await take(live, refunded("750"), return_points(), return_points())
    assert await points(live) == (600, 0)


async def test_after_the_shop_returned_them_a_refund_returns_none(live: Live) -> None:
    await take(live, return_points(), refunded("1500"))
    assert await points(live) == (600, 0)


async def test_points_of_another_order_stay_spent(live: Live) -> None:
    await take(live, reserve(100, 2), commit(2), refunded("1500"))
    assert await points(live) == (500, 100)


async def test_an_order_that_was_paid_in_money_returns_no_points(database: MakeDatabase) -> None:
    async with running(create_app, LoyaltySettings, database=await database("loyalty")) as live:
        await take(live, placed(amount="2000"), aggregate="orders")
        await take(live, adjust(600), reserve(500), commit(), refunded("2000"))
        assert await points(live) == (100, 500)


async def test_a_discount_on_the_whole_order_is_no_money(database: MakeDatabase) -> None:
    async with running(create_app, LoyaltySettings, database=await database("loyalty")) as live:
        await take(live, paid_with_points(total_amount=yen(1000)), aggregate="orders")
        await take(live, adjust(600), reserve(500), commit(), refunded("500"))
        assert await points(live) == (600, 0)


@pytest.fixture
async def points_only(database: MakeDatabase) -> AsyncIterator[Live]:
    """An order of two units, paid with 500 points and no money."""
    order = placed(amount="250", quantity=2).data
    spent = PointsSpent(points=500, amount=yen(500))
    async with running(create_app, LoyaltySettings, database=await database("loyalty")) as live:
        await take(live, event(order.model_copy(update={"points_spent": spent})), aggregate="orders")
        await take(live, adjust(600), reserve(500), commit())
        yield live


def goods_refunded(amount: int, issue: int = 1, remedy: Remedy = Remedy.REFUND, resolution: int = 1) -> AnyEvent:
    outcome: dict[str, Any] = {
        "remedy": remedy,
        "value": yen(amount),
        "reason": Reason.CHANGED_MIND,
        "fault": Fault.CUSTOMER,
    }
    return event(resolved(UUID(int=issue), resolution, **outcome).data.model_copy(update={"order_id": ORDER}))


async def test_an_order_paid_with_points_only_returns_those_of_the_units_that_came_back(points_only: Live) -> None:
    await take(points_only, goods_refunded(250))
    assert await points(points_only) == (350, 250)


async def test_an_order_paid_with_points_only_returns_all_points_with_all_units(points_only: Live) -> None:
    await take(points_only, goods_refunded(250), goods_refunded(250, issue=2))
    assert await points(points_only) == (600, 0)


async def test_a_second_resolution_of_an_issue_returns_no_more_points(points_only: Live) -> None:
    await take(points_only, goods_refunded(250), goods_refunded(250, resolution=2))
    assert await points(points_only) == (350, 250)


async def test_the_resolution_of_an_order_paid_in_money_too_returns_no_points(live: Live) -> None:
    await take(live, goods_refunded(2000))
    assert await points(live) == (100, 500)


async def test_the_event_says_how_many_came_back(live: Live) -> None:
    await take(live, refunded("750"))
    rows = await live.service.pool.fetch(
        "SELECT convert_from(value, 'utf8')::jsonb AS event FROM outbox_records ORDER BY id, n"
    )
    assert any("points.released.v1" in row["event"] and '"points": 250' in row["event"] for row in rows)
