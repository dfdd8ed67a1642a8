"""A delivery counts once in every service, however often and by whom it is reported, also without an inbox.

Each event is given to the aggregates themselves, as it arrives once the inbox was swept of its id.
"""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from libs.common.events.registry import AnyEvent
from libs.common.events.storefront import OrderDelivered, OrderPlaced, OrderShipped, StorefrontOrderEvent
from libs.common.events.values import LineQuantity, Money, OrderLine, ShippedLine
from services.intake.app import create_app as create_intake
from services.intake.settings import IntakeSettings
from services.loyalty.app import create_app as create_loyalty
from services.loyalty.settings import LoyaltySettings
from services.loyalty.store import queries
from services.returns.app import create_app as create_returns
from services.returns.settings import ReturnsSettings
from tests.conftest import MakeDatabase
from tests.delivery_notify.service import notifying
from tests.intake.service_calls import report
from tests.journey.backbone import ADDRESS, CONTACT
from tests.running import Live, eventually, running

NOW = datetime.now(UTC).replace(microsecond=0)
PAYLOADS: tuple[StorefrontOrderEvent, ...] = (
    OrderPlaced(
        order_id="F1",
        customer_id="C-F1",
        placed_at=NOW - timedelta(days=2),
        lines=(
            OrderLine(
                line_id="1",
                sku="K",
                name="急須",
                quantity=4,
                unit_price=Money(amount=Decimal(10000), currency="JPY"),
                promised_ship_date=(NOW + timedelta(days=5)).date(),
            ),
        ),
        contact=CONTACT,
        ship_to=ADDRESS,
    ),
    OrderShipped(order_id="F1", lines=(ShippedLine(line_id="1", quantity=2),), shipped_at=NOW - timedelta(days=1)),
    OrderDelivered(order_id="F1", lines=(LineQuantity(line_id="1", quantity=2),), delivered_at=NOW),
)


@dataclass(frozen=True)
class Shop:
    intake: Live
    loyalty: Live
    notify: Live
    returns: Live

    async def report_history(self, source: str, prefix: str) -> None:
        """Give the whole history to every service, from one source, under ids of its own."""
        for number, payload in enumerate(PAYLOADS):
            for live, aggregate in (
                (self.intake, "orders"),
                (self.loyalty, "orders"),
                (self.notify, "conversations"),
                (self.returns, "order_snapshots"),
            ):
                event: AnyEvent = live.service.event(payload, id=f"{prefix}-{number}", source=source)
                await live.service.execute(live.service.aggregates[aggregate], event)


@pytest.fixture
async def shop(database: MakeDatabase, tmp_path: Path) -> AsyncIterator[Shop]:
    async with AsyncExitStack() as stack:
        enter = stack.enter_async_context
        evidence: dict[str, Any] = {"evidence_dir": tmp_path / "evidence"}
        shop = Shop(
            await enter(running(create_intake, IntakeSettings, database=await database("intake"), **evidence)),
            await enter(running(create_loyalty, LoyaltySettings, database=await database("loyalty"))),
            await enter(notifying(await database("delivery_notify"))),
            await enter(running(create_returns, ReturnsSettings, database=await database("returns"))),
        )
        await shop.report_history("/my-shop", "first")
        yield shop


REPEATS = {
    "the same ids after a sweep": ("/my-shop", "first"),
    "new ids after an export": ("/my-shop", "again"),
    "another source": ("/other-hook", "other"),
}
repeated = pytest.mark.parametrize("name", REPEATS)


@repeated
async def test_points_are_granted_for_what_was_delivered_once(shop: Shop, name: str) -> None:
    await eventually(lambda: _has_points(shop), "the delivery earned its points")
    await shop.report_history(*REPEATS[name])
    timers = "SELECT count(*) FROM timers WHERE name LIKE 'purchase:%'"
    await eventually(lambda: _is_zero(shop.loyalty, timers), "no purchase waits to be reconciled")
    assert await _has_points(shop)


async def _has_points(shop: Shop) -> bool:
    async with shop.loyalty.service.pool.acquire() as conn:
        found = await queries.balance_of(conn, "C-F1")
    return found["pending"] + found["available"] == 200


async def _is_zero(live: Live, query: str) -> bool:
    return bool(await live.service.pool.fetchval(query) == 0)


@repeated
async def test_undelivered_units_cannot_be_reported(shop: Shop, name: str) -> None:
    await shop.report_history(*REPEATS[name])
    body: dict[str, Any] = {"order_id": "F1", "customer_id": "C-F1", "reason": "defective"}
    answer = await report(shop.intake, {**body, "lines": [{"line_id": "1", "quantity": 3}]})
    assert (answer.status_code, answer.json()["code"]) == (422, "not_delivered")


@repeated
async def test_the_promise_of_the_other_units_stays_open(shop: Shop, name: str) -> None:
    await shop.report_history(*REPEATS[name])
    overdue = "SELECT count(*) FROM timers WHERE aggregate = 'conversations' AND key = 'F1' AND name = 'overdue'"
    assert await shop.notify.service.pool.fetchval(overdue) == 1


@repeated
async def test_returns_counts_two_delivered_units(shop: Shop, name: str) -> None:
    await shop.report_history(*REPEATS[name])
    body = await shop.returns.service.pool.fetchval("SELECT body -> 'deliveries' FROM order_ledgers WHERE key = 'F1'")
    assert body.count('"quantity": 2') == 1
