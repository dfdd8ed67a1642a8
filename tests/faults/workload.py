"""The storefront's events in a fault run: pure, drawn from the seed and the order's number alone."""

import random
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any
from zoneinfo import ZoneInfo

from libs.common.events import storefront
from libs.common.events.carrier import ParcelFound
from libs.common.events.envelope import Payload
from libs.common.events.values import (
    Address,
    Component,
    Contact,
    Language,
    LineQuantity,
    Money,
    OrderLine,
    Reason,
    ShippedLine,
)
from tests.faults.boxes import early_box
from tests.faults.corrections import (
    Correction,
    NamedEvent,
    OrderCorrection,
    draw_correction,
    remaining_account,
)
from tests.faults.payment_answers import chargeback, chargeback_won

REASONS = {
    Reason.DEFECTIVE: 40,
    Reason.DAMAGED_IN_TRANSIT: 20,
    Reason.WRONG_ITEM: 10,
    Reason.MISSING_PART: 10,
    Reason.CHANGED_MIND: 20,
}
UNIT_PRICE = Money.model_validate({"amount": "4980", "currency": "JPY"})
KIT = (Component(sku="POT", name="鉄瓶"), Component(sku="CUP", name="湯呑", quantity=2))
LATE_SHARE, KAFKA_SHARE, TWICE_SHARE, AGAIN_SHARE = 0.1, 0.25, 0.15, 0.05
WITHDRAWN_SHARE, KIT_SHARE, PHOTO_SHARE = 0.08, 0.12, 0.05
BURST_EVERY, BURST_SECONDS = 60.0, 4.0
LOST_SHARE, FOUND_SHARE, ASKED_SHARE = 0.06, 0.6, 0.5
FAULTY_LOT, FAULTY_SKU = "LOT-FAULTY", "SKU-FAULTY"
FAULTY_FIRST, FAULTY_EACH = 8, 15
"""The first orders of a run are of a faulty lot, and one in so many later ones: staff warn the buyers of that lot."""

EARLY_BOX_SHARE, SHARED_BOX_SHARE = 0.04, 0.3
CHARGEBACK_SHARE, EARLY_SHARE, WON_SHARE = 0.08, 0.4, 0.5


class LostParcel(StrEnum):
    """A parcel that is reported as lost; some are found by the courier, or delivered later after all."""

    NONE = "none"
    GONE = "gone"
    FOUND = "found"
    DELIVERED_LATER = "delivered_later"


class Chargeback(StrEnum):
    """A payment that the customer's bank takes back, before or after the report; the shop wins some of them."""

    NONE = "none"
    BEFORE_REPORT = "before_report"
    AFTER_REPORT = "after_report"
    WON = "won"


@dataclass(frozen=True, slots=True)
class SimulatedPurchase:
    """One order and its consequences. `late` ones are promised, delayed, shipped, and never reported.

    A cancelled order is never reported either. `is_renamed` reports name the account that remains after a merge.
    An `early_box` was sent back before the report; a `shared_box` holds units of two reports.
    An `asked` customer of a late order decides about it before it ships. Of a `faulty` lot, some buyers never report.
    A `kit` has components; some reports of it are about one of them. A `withdrawn` report is taken back soon.
    """

    number: int
    quantity: int
    reason: Reason
    reported: int
    late: bool
    by_kafka: bool
    twice: bool
    again: bool
    correction: Correction = Correction.NONE
    is_renamed: bool = False
    early_box: bool = False
    shared_box: bool = False
    chargeback: Chargeback = Chargeback.NONE
    withdrawn: bool = False
    kit: bool = False
    photographed: bool = False
    lost: LostParcel = LostParcel.NONE
    asked: bool = False
    faulty: bool = False

    @property
    def is_reported(self) -> bool:
        is_silent_buyer = self.faulty and self.number % 2 == 1
        return not self.late and not is_silent_buyer and self.correction != Correction.CANCELLED

    @property
    def order_id(self) -> str:
        return f"F{self.number:06d}"

    @property
    def customer_id(self) -> str:
        return f"C{self.number:06d}"

    @property
    def reporting_account(self) -> str:
        is_merged = self.correction == Correction.MERGED_BEFORE
        return remaining_account(self.number) if is_merged and self.is_renamed else self.customer_id


def arrivals(per_second: float, burst: float) -> Iterator[float]:
    """Seconds from the beginning of each order, without end: `burst` times as many for a while of each minute."""
    at = 0.0
    while True:
        yield at
        at += 1 / (per_second * (burst if at % BURST_EVERY >= BURST_EVERY - BURST_SECONDS else 1))


def purchase(seed: int, number: int) -> SimulatedPurchase:
    rng, boxes = random.Random(f"{seed}:order:{number}"), random.Random(f"{seed}:boxes:{number}")
    wishes = random.Random(f"{seed}:wishes:{number}")
    quantity = rng.choice((1, 1, 2, 3))
    reason = rng.choices(list(REASONS), list(REASONS.values()))[0]
    reported = rng.randint(1, quantity)
    faulty = number < FAULTY_FIRST or number % FAULTY_EACH == 0
    lost = LostParcel.NONE if faulty else _draw_lost(random.Random(f"{seed}:lost:{number}"))
    late = rng.random() < LATE_SHARE and not faulty and lost == LostParcel.NONE
    asked = late and wishes.random() < ASKED_SHARE
    is_special = faulty or asked or lost != LostParcel.NONE
    if lost != LostParcel.NONE:
        reason, reported = Reason.LOST_IN_TRANSIT, quantity
    elif faulty:
        reason = Reason.DEFECTIVE
    return SimulatedPurchase(
        number=number,
        quantity=quantity,
        reason=reason,
        reported=reported,
        late=late,
        by_kafka=rng.random() < KAFKA_SHARE,
        twice=rng.random() < TWICE_SHARE,
        again=rng.random() < AGAIN_SHARE,
        correction=Correction.NONE if is_special else draw_correction(seed, number),
        is_renamed=number % 2 == 0,
        early_box=boxes.random() < EARLY_BOX_SHARE and reason not in (Reason.MISSING_PART, Reason.LOST_IN_TRANSIT),
        shared_box=boxes.random() < SHARED_BOX_SHARE and reported < quantity,
        chargeback=_draw_chargeback(random.Random(f"{seed}:chargeback:{number}")),
        withdrawn=wishes.random() < WITHDRAWN_SHARE,
        kit=wishes.random() < KIT_SHARE,
        photographed=wishes.random() < PHOTO_SHARE,
        lost=lost,
        asked=asked,
        faulty=faulty,
    )


def _draw_lost(rng: random.Random) -> LostParcel:
    if rng.random() >= LOST_SHARE:
        return LostParcel.NONE
    return rng.choice((LostParcel.FOUND, LostParcel.DELIVERED_LATER)) if rng.random() < FOUND_SHARE else LostParcel.GONE


def _draw_chargeback(rng: random.Random) -> Chargeback:
    if rng.random() >= CHARGEBACK_SHARE:
        return Chargeback.NONE
    return rng.choice([each for each in Chargeback if each != Chargeback.NONE])


def order_events(bought: SimulatedPurchase, now: datetime, zone: ZoneInfo) -> list[NamedEvent]:
    """All events of this order before any report, in order, a second apart."""
    order, lot = bought.order_id, FAULTY_LOT if bought.faulty else None
    everything = (ShippedLine(line_id="1", quantity=bought.quantity, lot=lot),)
    moved, shipped, delivered = (now + timedelta(seconds=seconds) for seconds in (1, 2, 3))
    today = now.astimezone(zone).date()
    placed = _placed(bought, now, today + timedelta(days=1))
    events: dict[str, Payload] = {"placed": placed}
    if bought.late:
        late = today + timedelta(days=3)
        events["moved"] = storefront.OrderPromiseChanged(order_id=order, promised_ship_date=late, changed_at=moved)
    if not bought.asked:
        events["shipped"] = storefront.OrderShipped(order_id=order, lines=everything, shipped_at=shipped)
    if not bought.asked and bought.lost == LostParcel.NONE:
        events["delivered"] = storefront.OrderDelivered(order_id=order, lines=everything, delivered_at=delivered)
    return OrderCorrection(bought.correction, placed, now).apply(events)


def events_before_report(bought: SimulatedPurchase, now: datetime) -> list[NamedEvent]:
    """Events of other partners before the report: the count of a box that was sent back already, a chargeback."""
    events: list[NamedEvent] = []
    if bought.early_box:
        events.append(NamedEvent("early-box", early_box(bought.order_id, bought.reported, now)))
    if bought.chargeback == Chargeback.BEFORE_REPORT:
        events.append(NamedEvent("charged-back", chargeback(bought.order_id, _total(bought), now)))
    return events


def later_events(bought: SimulatedPurchase, now: datetime, zone: ZoneInfo) -> list[NamedEvent]:
    """Events about this order that the shop and the payment provider publish while a report is open."""
    placed = _placed(bought, now, now.astimezone(zone).date())
    events = OrderCorrection(bought.correction, placed, now).later_events()
    if bought.lost == LostParcel.DELIVERED_LATER:
        everything = (LineQuantity(line_id="1", quantity=bought.quantity),)
        arrived = storefront.OrderDelivered(order_id=bought.order_id, lines=everything, delivered_at=now)
        events.append(NamedEvent("delivered", arrived))
    if bought.chargeback in (Chargeback.AFTER_REPORT, Chargeback.WON):
        events.append(NamedEvent("charged-back", chargeback(bought.order_id, _total(bought), now)))
    if bought.chargeback == Chargeback.WON:
        events.append(NamedEvent("won", chargeback_won(bought.order_id, _total(bought), now)))
    return events


def parcel_found(bought: SimulatedPurchase, issue_id: str, now: datetime) -> list[NamedEvent]:
    """The courier finds the lost parcel of this issue: the customer has it."""
    if bought.lost != LostParcel.FOUND or not issue_id:
        return []
    found = ParcelFound.model_validate({"issue_id": issue_id, "with_customer": True, "found_at": now})
    return [NamedEvent("found", found, key=bought.customer_id)]


def _total(bought: SimulatedPurchase) -> Money:
    return Money(amount=UNIT_PRICE.amount * bought.quantity, currency=UNIT_PRICE.currency)


def report_body(bought: SimulatedPurchase, quantity: int | None = None) -> dict[str, Any]:
    """The body of `POST /v1/issues`, and the payload of `issue.submitted`."""
    line: dict[str, Any] = {"line_id": "1", "quantity": quantity or bought.reported}
    if bought.kit and bought.reason in (Reason.MISSING_PART, Reason.DEFECTIVE):
        line["parts"] = [{"sku": KIT[bought.number % 2].sku, "quantity": 1}]
    elif bought.reason == Reason.MISSING_PART:
        line["part"] = "蓋 / lid"
    return {
        "order_id": bought.order_id,
        "customer_id": bought.reporting_account,
        "reason": bought.reason,
        "lines": [line],
    }


def _placed(bought: SimulatedPurchase, now: datetime, promised: Any) -> storefront.OrderPlaced:
    number, language = bought.number, Language.JA if bought.number % 2 else Language.EN
    name = f"架空 花子 {number:06d}" if language is Language.JA else f"Jane Nobody {number:06d}"
    line = OrderLine(
        line_id="1",
        sku=FAULTY_SKU if bought.faulty else f"SKU-{number % 20}",
        name="南部鉄器 急須",
        quantity=bought.quantity,
        unit_price=UNIT_PRICE,
        promised_ship_date=promised,
        components=KIT if bought.kit else (),
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
