"""All four services hold the same of an order, whatever its shop sends repeated, late, reordered and from two sources.

Lines are as the shop stated them last by its own time, and each delivery counts once (invariants 14 and 18).
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from libs.common.decisions.shipments import quantity_of
from libs.common.events.payment import PaymentChargedBack
from libs.common.events.registry import AnyEvent, event_class
from libs.common.events.storefront import (
    OrderChanged,
    OrderDelivered,
    OrderPlaced,
    OrderRefunded,
    OrderShipped,
    ShipmentChanged,
    StorefrontOrderEvent,
)
from libs.common.events.values import Contact, LineQuantity, Money, OrderLine, RefundedLine, ShippedLine
from services.delivery_notify.domain import decide as notify
from services.intake.domain import decide as intake
from services.loyalty.domain import decide as loyalty
from services.loyalty.domain.orders import PurchasedOrder
from services.returns.domain.ledger_decisions import decide_ledger
from services.returns.domain.state.order_ledger import OrderLedger
from tests.delivery_notify.conversation_driver import RULES as NOTIFY_RULES
from tests.examples import examples
from tests.intake.event_builders import RULES as INTAKE_RULES

START = datetime(2027, 3, 1, tzinfo=UTC)
NOW = START + timedelta(days=60)
IDS: dict[str, Any] = {"order_id": "O-1", "customer_id": "C-1"}
LINES = ("1", "2", "3")
Payload = StorefrontOrderEvent | PaymentChargedBack


def at(hour: int) -> datetime:
    return START + timedelta(hours=hour)


def line(line_id: str, quantity: int) -> OrderLine:
    price = Money(amount=Decimal(1000), currency="JPY")
    return OrderLine(line_id=line_id, sku=f"SKU-{line_id}", name="cup", quantity=quantity, unit_price=price)


def units(quantities: Mapping[str, int]) -> tuple[ShippedLine, ...]:
    return tuple(ShippedLine(line_id=line_id, quantity=count) for line_id, count in quantities.items())


def placed(quantities: Mapping[str, int], hour: int) -> OrderPlaced:
    lines = tuple(line(line_id, count) for line_id, count in quantities.items())
    contact = Contact(name="Sato Hana", email="hana@example.jp")
    return OrderPlaced(**IDS, placed_at=START, updated_at=at(hour), lines=lines, contact=contact)


def changed(quantities: Mapping[str, int], hour: int) -> OrderChanged:
    return OrderChanged(
        **IDS, changed_at=at(hour), lines=tuple(line(each, count) for each, count in quantities.items())
    )


def delivery(number: int, quantities: Mapping[str, int]) -> list[Payload]:
    """A shipment and its delivery, as the shop's own system and as one without shipment ids report it."""
    name, moved = f"P-{number}", units(quantities)
    arrived = tuple(LineQuantity(line_id=each.line_id, quantity=each.quantity) for each in moved)
    shipped = OrderShipped(order_id="O-1", shipment_id=name, lines=moved, shipped_at=at(100 + number))
    there = OrderDelivered(order_id="O-1", shipment_id=name, lines=arrived, delivered_at=at(150 + number))
    numbered = ShipmentChanged(order_id="O-1", shipment_id=name, changed_at=at(120 + number), tracking_number="4000")
    return [shipped, there, numbered, there.model_copy(update={"shipment_id": None})]


def paid_back(number: int) -> list[Payload]:
    price = Money(amount=Decimal(1000), currency="JPY")
    lines = (RefundedLine(line_id="1", quantity=1, amount=price),)
    by_shop = OrderRefunded(order_id="O-1", refund_id=f"R-{number}", refunded_at=at(200 + number), lines=lines)
    taken = {"order_id": "O-1", "transaction_id": f"CB-{number}", "amount": price, "charged_back_at": at(210)}
    return [by_shop, PaymentChargedBack(**taken)]


quantities = st.dictionaries(st.sampled_from(LINES), st.integers(0, 4), min_size=1)
bought = st.dictionaries(st.sampled_from(LINES), st.integers(1, 4), min_size=1)
parcels = st.dictionaries(st.sampled_from(LINES), st.integers(1, 2), min_size=1)


@st.composite
def shops(draw: st.DrawFn) -> list[Payload]:
    """Facts of one order, each once: versions and changes at different times, parcels and payments back."""
    hours = draw(st.permutations(range(1, 9)))
    facts: list[Payload] = [placed(draw(bought), 0)]
    facts += [placed(draw(bought), hours.pop()) for _ in range(draw(st.integers(0, 2)))]
    facts += [changed(draw(quantities), hours.pop()) for _ in range(draw(st.integers(0, 4)))]
    for number in range(draw(st.integers(0, 3))):
        facts += delivery(number, draw(parcels))
    for number in range(draw(st.integers(0, 2))):
        facts += paid_back(number)
    return facts


@st.composite
def topics(draw: st.DrawFn) -> tuple[list[Payload], list[AnyEvent]]:
    """The facts of a shop, and records of them in any order, some of them again from another source."""
    facts = draw(shops())
    again = draw(st.lists(st.sampled_from(facts), max_size=6))
    sources = [("/shop", fact) for fact in facts] + [("/other-hook", fact) for fact in again]
    shuffled = draw(st.permutations(sources))
    return facts, [record(payload, source, number) for number, (source, payload) in enumerate(shuffled)]


def record(payload: Payload, source: str, number: int) -> AnyEvent:
    return event_class(type(payload)).model_construct(
        id=f"{number}", source=source, type=payload.TYPE, subject="O-1", time=at(300 + number), data=payload
    )


@dataclass(frozen=True)
class Known:
    """Units of each line that is left in the order, and units of each line that were delivered."""

    ordered: Mapping[str, int]
    delivered: Mapping[str, int]


def of(ordered: Mapping[str, int], delivered: Mapping[str, int]) -> Known:
    """Lines without units are left out, as a service may keep or drop them."""
    return Known({each: n for each, n in ordered.items() if n}, {each: n for each, n in delivered.items() if n})


def stated(facts: Sequence[Payload]) -> Known:
    """The lines by the newest statement of each, and the deliveries of each shipment once."""
    versions = [(each.updated_at, each.lines) for each in facts if isinstance(each, OrderPlaced) and each.updated_at]
    versions += [(each.changed_at, each.lines) for each in facts if isinstance(each, OrderChanged)]
    ordered: dict[str, int] = {}
    for _, lines in sorted(versions, key=lambda version: version[0]):
        ordered |= {each.line_id: each.quantity for each in lines}
    arrived: Counter[str] = Counter()
    for fact in facts:
        if isinstance(fact, OrderDelivered) and fact.shipment_id:
            arrived.update({each.line_id: each.quantity for each in fact.lines})
    return of(ordered, arrived)


def of_intake(records: Sequence[AnyEvent]) -> Known:
    state = None
    for each in records:
        state, _ = intake.decide(state, each, NOW, INTAKE_RULES)
    assert state
    assert state.order.purchase
    lines = {each.line_id: each.quantity for each in state.order.purchase.lines}
    return of(lines, {name: quantity_of(state.order.deliveries, name) for name in LINES})


def of_returns(records: Sequence[AnyEvent]) -> Known:
    ledger = OrderLedger("O-1")
    for each in records:
        ledger, _ = decide_ledger(ledger, each, NOW)
    lines = {name: each.quantity for name, each in ledger.lines.items()}
    return of(lines, {name: ledger.delivered_units(name) for name in LINES})


def of_loyalty(records: Sequence[AnyEvent]) -> Known:
    order = PurchasedOrder("O-1")
    for each in records:
        order, _ = loyalty.decide_order(order, each, NOW)
    lines = {name: each.quantity for name, each in order.prices.items()}
    return of(lines, {name: quantity_of(order.deliveries, name) for name in LINES})


def of_delivery_notify(records: Sequence[AnyEvent]) -> Known:
    state = None
    for each in records:
        state, _ = notify.decide(state, each, NOW, NOTIFY_RULES)
    assert state
    lines = {each.line_id: each.quantity for each in state.lines if not each.cancelled}
    return of(lines, {name: quantity_of(state.deliveries, name) for name in LINES})


SERVICES = {
    "intake": of_intake,
    "returns": of_returns,
    "loyalty": of_loyalty,
    "delivery_notify": of_delivery_notify,
}


@settings(max_examples=examples(400), deadline=None)
@given(topics())
def test_every_service_holds_what_the_shop_stated_last(history: tuple[list[Payload], list[AnyEvent]]) -> None:
    facts, records = history
    expected = stated(facts)
    known = {name: read(_of_its_topics(name, records)) for name, read in SERVICES.items()}
    assert known == dict.fromkeys(SERVICES, expected)


def _of_its_topics(service: str, records: Sequence[AnyEvent]) -> list[AnyEvent]:
    """Payments are read by returns only."""
    return [each for each in records if service == "returns" or not isinstance(each.data, PaymentChargedBack)]


@settings(max_examples=examples(200), deadline=None)
@given(topics())
def test_money_that_went_back_counts_once(history: tuple[list[Payload], list[AnyEvent]]) -> None:
    facts, records = history
    refunds = {each.refund_id for each in facts if isinstance(each, OrderRefunded)}
    disputes = {each.transaction_id for each in facts if isinstance(each, PaymentChargedBack)}
    ledger, order = OrderLedger("O-1"), PurchasedOrder("O-1")
    for each in records:
        ledger, _ = decide_ledger(ledger, each, NOW)
        order, _ = loyalty.decide_order(order, each, NOW)
    assert (set(ledger.shop_refunds), set(ledger.chargebacks)) == (refunds, disputes)
    assert ledger.charged_back == 1000 * len(disputes)
    assert set(order.shop_refunds) == refunds
