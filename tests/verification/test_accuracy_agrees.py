"""The accuracy of first dates that delivery_notify shows is the one that the auditor works out from the same events."""

from datetime import UTC, date, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from deploy.verification.evidence import Fact, History
from deploy.verification.promise_accuracy import measure_accuracy
from libs.common.decisions.clock import SharedClock
from libs.common.events.envelope import Payload
from libs.common.events.storefront import OrderCancelled, OrderChanged, OrderDelivered, OrderShipped
from libs.common.events.values import LineQuantity
from tests.conftest import MakeDatabase
from tests.delivery_notify.conversation_driver import CUSTOMER, ORDER, line, placed
from tests.delivery_notify.service import notifying, take
from tests.running import OPS
from tests.verification.histories import HistoryBuilder

TUESDAY, FRIDAY = date(2026, 3, 3), date(2026, 3, 6)


def hour(day: int, of_day: int = 10) -> datetime:
    return datetime(2026, 3, day, of_day, tzinfo=UTC)


ORDERED = placed(*(line(each, TUESDAY, warehouse="osaka") for each in "12345"), placed_at=hour(2))
REMOVED = line("2", TUESDAY, warehouse="osaka", quantity=0)
ADDED = line("6", FRIDAY, warehouse="nara")


def shipped(line_id: str, at: datetime, day: date | None = None) -> OrderShipped:
    lines = (LineQuantity(line_id=line_id, quantity=1),)
    return OrderShipped(
        order_id=ORDER, shipment_id=f"S-{line_id}", lines=lines, shipped_at=at, expected_delivery_date=day
    )


def delivered(line_id: str, at: datetime) -> OrderDelivered:
    lines = (LineQuantity(line_id=line_id, quantity=1),)
    return OrderDelivered(order_id=ORDER, lines=lines, delivered_at=at)


EVENTS: list[tuple[datetime, Payload]] = [
    (hour(2), ORDERED),
    (hour(2, 11), OrderChanged(order_id=ORDER, customer_id=CUSTOMER, lines=(REMOVED, ADDED), changed_at=hour(2, 11))),
    (hour(3), shipped("1", hour(3), FRIDAY)),
    (hour(3, 11), shipped("3", hour(3, 11), FRIDAY)),
    (hour(5), shipped("4", hour(5), FRIDAY)),
    (hour(5, 11), OrderCancelled(order_id=ORDER, line_ids=("5",), cancelled_at=hour(5, 11), cause="customer")),
    (hour(6), delivered("1", hour(6))),
    (hour(9), delivered("3", hour(9))),
    (hour(10), shipped("6", hour(10))),
]


@pytest.mark.parametrize("by", ["warehouse", "carrier"])
async def test_the_service_and_the_auditor_count_the_same_dates(
    database: MakeDatabase, tmp_path: Path, by: str
) -> None:
    clock = tmp_path / "clock"
    SharedClock.create(clock, hour(2), speed=1)
    async with notifying(await database("delivery_notify"), clock_file=clock) as live:
        for at, event in EVENTS:
            SharedClock.create(clock, at, speed=1)
            await take(live, event)
        SharedClock.create(clock, hour(20), speed=1)
        query = {"by": by, "since": "2026-03-01", "until": "2026-03-19"}
        answer = await live.client.get("/v1/promises/accuracy", params=query, headers=OPS)
    shown = {(each["subject"], each["name"]): (each["kept"], each["missed"]) for each in answer.json()["groups"]}
    assert shown == _audited(by)
    assert len(shown) == {"warehouse": 2, "carrier": 1}[by]


def _audited(by: str) -> dict[tuple[str, str], tuple[int, int]]:
    facts: list[Fact] = []
    for at, event in EVENTS:
        story = HistoryBuilder(facts=facts)
        hours = (at - datetime(2026, 3, 2, 1, tzinfo=UTC)).total_seconds() / 3600
        story.add("storefront.orders", event.TYPE.removesuffix(".v1"), hours, **event.model_dump(mode="json"))
    history = History(facts, ZoneInfo("Asia/Tokyo"), hour(20))
    found = [each for each in measure_accuracy(history) if each.dimension == by]
    return {(each.kind, each.name): (each.kept.part, each.kept.whole - each.kept.part) for each in found}
