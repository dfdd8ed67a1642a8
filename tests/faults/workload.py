"""The storefront's events in a fault run: pure, drawn from the seed and the order's number alone."""

import random
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from libs.common.events import storefront
from libs.common.events.envelope import Payload
from libs.common.events.values import Address, Contact, Language, LineQuantity, Money, OrderLine, Reason

REASONS = {
    Reason.DEFECTIVE: 40,
    Reason.DAMAGED_IN_TRANSIT: 20,
    Reason.WRONG_ITEM: 10,
    Reason.MISSING_PART: 10,
    Reason.CHANGED_MIND: 20,
}
LATE_SHARE, KAFKA_SHARE, TWICE_SHARE, AGAIN_SHARE = 0.1, 0.25, 0.15, 0.05


@dataclass(frozen=True, slots=True)
class SimulatedPurchase:
    """One order and its consequences. `late` ones are promised, delayed, shipped, and never reported."""

    number: int
    quantity: int
    reason: Reason
    reported: int
    late: bool
    by_kafka: bool
    twice: bool
    again: bool

    @property
    def order_id(self) -> str:
        return f"F{self.number:06d}"

    @property
    def customer_id(self) -> str:
        return f"C{self.number:06d}"


def purchase(seed: int, number: int) -> SimulatedPurchase:
    rng = random.Random(f"{seed}:order:{number}")
    quantity = rng.choice((1, 1, 2, 3))
    return SimulatedPurchase(
        number=number,
        quantity=quantity,
        reason=rng.choices(list(REASONS), list(REASONS.values()))[0],
        reported=rng.randint(1, quantity),
        late=rng.random() < LATE_SHARE,
        by_kafka=rng.random() < KAFKA_SHARE,
        twice=rng.random() < TWICE_SHARE,
        again=rng.random() < AGAIN_SHARE,
    )


def order_events(bought: SimulatedPurchase, now: datetime, zone: ZoneInfo) -> list[tuple[str, Payload]]:
    """All events of this order before any report, in order, each with a name for its event id."""
    order, everything = bought.order_id, (LineQuantity(line_id="1", quantity=bought.quantity),)
    today = now.astimezone(zone).date()
    events: list[tuple[str, Payload]] = [("placed", _placed(bought, now, today + timedelta(days=1)))]
    if bought.late:
        day = today + timedelta(days=3)
        events.append(("moved", storefront.OrderPromiseChanged(order_id=order, promised_ship_date=day, changed_at=now)))
    events.append(("shipped", storefront.OrderShipped(order_id=order, lines=everything, shipped_at=now)))
    events.append(("delivered", storefront.OrderDelivered(order_id=order, lines=everything, delivered_at=now)))
    return events


def report_body(bought: SimulatedPurchase, quantity: int | None = None) -> dict[str, Any]:
    """The body of `POST /v1/issues`, and the payload of `issue.submitted`."""
    line: dict[str, Any] = {"line_id": "1", "quantity": quantity or bought.reported}
    if bought.reason is Reason.MISSING_PART:
        line["part"] = "蓋 / lid"
    return {
        "order_id": bought.order_id,
        "customer_id": bought.customer_id,
        "reason": bought.reason,
        "lines": [line],
    }


def _placed(bought: SimulatedPurchase, now: datetime, promised: Any) -> storefront.OrderPlaced:
    number, language = bought.number, Language.JA if bought.number % 2 else Language.EN
    name = f"架空 花子 {number:06d}" if language is Language.JA else f"Jane Nobody {number:06d}"
    line = OrderLine(
        line_id="1",
        sku=f"SKU-{number % 20}",
        name="南部鉄器 急須",
        quantity=bought.quantity,
        unit_price=Money.model_validate({"amount": "4980", "currency": "JPY"}),
        promised_ship_date=promised,
    )
    return storefront.OrderPlaced(
        order_id=bought.order_id,
        customer_id=bought.customer_id,
        placed_at=now,
        lines=(line,),
        contact=Contact(name=name, email=f"f{number:06d}@example.jp", language=language, phone=f"+81-90-{number:08d}"),
        ship_to=Address(
            name=name,
            postal_code="150-0001",
            country="JP",
            region="東京都",
            city="渋谷区",
            street=f"架空{number:06d}",
        ),
    )
