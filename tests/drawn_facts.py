"""Facts of the contract with ids, days and amounts from small pools, so that facts of a history are about each other.

Facts about orders say the same whenever they are drawn: the lines of an order follow from the time of the statement,
the units of a parcel from its number. A history can therefore hold them repeated, late, in any order and from two
systems, and what the shop stated last is known without the services.
"""

from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any, TypeAlias
from uuid import UUID

from hypothesis import strategies as st
from pydantic import AwareDatetime

from libs.common.decisions.ids import derived_id
from libs.common.events.customers import CustomerErasureRequested
from libs.common.events.envelope import Payload
from libs.common.events.issues import IssueAccepted
from libs.common.events.storefront import (
    CustomerMerged,
    OrderCancelled,
    OrderChanged,
    OrderDelivered,
    OrderPlaced,
    OrderRefunded,
    OrderShipped,
    ShipmentChanged,
)
from libs.common.events.values import (
    Address,
    Component,
    Contact,
    IssueLine,
    LineQuantity,
    Money,
    MovedLine,
    OrderLine,
    Reason,
    RefundedLine,
    Remedy,
    ShippedLine,
)
from libs.common.events.warehouse import ItemReceived
from tests.contracts.building import ModelBuilder

Facts: TypeAlias = Mapping[type[Payload], st.SearchStrategy[Any]]
"""Strategies of a history by the type that each draws."""

START = datetime(2026, 3, 9, tzinfo=UTC)
"""Nine o'clock on a Monday in the shop."""

CUSTOMERS = {"O-1": "C-1", "O-2": "C-2", "O-3": "C-3"}
ERASED = "C-9"
"""Customer of `O-9`, the only one who is erased: what is erased is no longer known by anybody."""

ISSUES = tuple(derived_id("issue", number) for number in (1, 2, 3))
ORDER_OF = dict(zip(ISSUES, ("O-1", "O-1", "O-2"), strict=True))
LINES = ("1", "2", "3")
"""Line 2 is a kit of two parts, line 3 a voucher, which nobody ships."""

orders = st.sampled_from(["O-1", "O-1", "O-2", "O-3"])
issues = st.sampled_from([ISSUES[0], ISSUES[0], ISSUES[1], ISSUES[2]])
line_ids = st.sampled_from(["1", "1", "2", "3", "9"])
hours = st.integers(0, 12)
numbers = st.integers(1, 3)
moments = st.integers(0, 24 * 12).map(lambda hour: START + timedelta(hours=hour))
days = st.integers(-1, 20).map(lambda number: date(2026, 3, 9) + timedelta(days=number))
_DERIVED = ("replacement", "collection", "refund", "choice", "decision")


def yen(amount: int | str) -> Money:
    return Money(amount=Decimal(amount), currency="JPY")


# --- the shop ---------------------------------------------------------------------------------------------------------


def order_line(line_id: str, quantity: int) -> OrderLine:
    parts = tuple(Component(sku=f"PART-{letter}", name=letter) for letter in "AB") if line_id == "2" else ()
    return OrderLine(
        line_id=line_id,
        sku=f"SKU-{line_id}",
        name="急須",
        quantity=quantity,
        unit_price=yen(1000 + 100 * int(line_id)),
        components=parts,
        requires_shipping=line_id != "3",
    )


def address(hour: int) -> Address:
    return Address(name="山田花子", postal_code="150-0001", country="JP", city="渋谷区", street=f"神宮前{hour}-1")


def placed(order_id: str, hour: int) -> OrderPlaced:
    """Return the order as its shop states it at this hour: a later one is a correction, also of its address."""
    gift = Contact(name="佐藤", email="gift@example.jp") if order_id == "O-2" else None
    return OrderPlaced(
        order_id=order_id,
        customer_id=CUSTOMERS.get(order_id, ERASED),
        placed_at=START,
        updated_at=START + timedelta(hours=hour),
        lines=tuple(order_line(line_id, 1 + (hour + place) % 3) for place, line_id in enumerate(LINES)),
        contact=Contact(name="山田花子", email="hanako@example.jp"),
        recipient=gift,
        ship_to=address(hour),
    )


def changed(order_id: str, hour: int) -> OrderChanged:
    """Return a change at this hour, half an hour after a version of the order: of one line, of the address, or both."""
    line = order_line(LINES[hour % 3], hour % 4)
    return OrderChanged(
        order_id=order_id,
        customer_id=CUSTOMERS.get(order_id, ERASED),
        changed_at=START + timedelta(hours=hour, minutes=30),
        lines=(line,) if hour % 5 else (),
        ship_to=address(100 + hour) if hour % 2 or not hour % 5 else None,
    )


def parcel(number: int) -> tuple[LineQuantity, ...]:
    units = {"1": 1} if number == 1 else {"1": 1, "2": 1} if number == 2 else {"2": 2}
    return tuple(LineQuantity(line_id=line_id, quantity=count) for line_id, count in units.items())


def shipped(order_id: str, number: int, named: bool = True) -> OrderShipped:
    """Return a shipment as the shop's own system reports it, or as one that knows no shipment ids."""
    lines = tuple(ShippedLine(line_id=each.line_id, quantity=each.quantity) for each in parcel(number))
    at = START + timedelta(hours=24 + number)
    return OrderShipped(order_id=order_id, shipment_id=f"P-{number}" if named else None, lines=lines, shipped_at=at)


def delivered(order_id: str, number: int, named: bool = True) -> OrderDelivered:
    lines = tuple(MovedLine(line_id=each.line_id, quantity=each.quantity) for each in parcel(number))
    at = START + timedelta(hours=48 + number)
    return OrderDelivered(order_id=order_id, shipment_id=f"P-{number}" if named else None, lines=lines, delivered_at=at)


def shipment_changed(order_id: str, number: int, hour: int) -> ShipmentChanged:
    """Return a change of a parcel: its tracking number, its units or its end, by the hour."""
    lines = (ShippedLine(line_id="1", quantity=1),) if hour % 4 == 1 else None
    return ShipmentChanged(
        order_id=order_id,
        shipment_id=f"P-{number}",
        changed_at=START + timedelta(hours=30 + hour),
        tracking_number=f"4000{number}" if hour % 2 == 0 else None,
        lines=lines,
        called_off=hour % 4 == 3,
    )


def cancelled(order_id: str, line_id: str | None) -> OrderCancelled:
    line_ids = (line_id,) if line_id else ()
    return OrderCancelled(order_id=order_id, line_ids=line_ids, cancelled_at=START + timedelta(hours=20))


def refunded(order_id: str, number: int) -> OrderRefunded:
    """Return a refund of the shop: of a unit, of a unit at less than its price, or of no line."""
    line = RefundedLine(line_id="1", quantity=1, amount=yen(300) if number == 2 else None)
    return OrderRefunded(
        order_id=order_id,
        refund_id=f"R-{order_id}-{number}",
        refunded_at=START + timedelta(hours=60 + number),
        lines=() if number == 3 else (line,),
        amount=yen(500) if number == 3 else yen(300 if number == 2 else 1100),
    )


def merged(former: str, remaining: str) -> CustomerMerged:
    return CustomerMerged(customer_id=remaining, merged_customer_id=former, merged_at=START + timedelta(hours=70))


customers = st.sampled_from(["C-1", "C-2", "C-3", "C-4"])

SHOP: Facts = {
    OrderPlaced: st.one_of(st.builds(placed, orders, st.just(0)), st.builds(placed, st.just("O-9") | orders, hours)),
    OrderChanged: st.builds(changed, orders, hours),
    OrderShipped: st.builds(shipped, orders, numbers, st.booleans()),
    ShipmentChanged: st.builds(shipment_changed, orders, numbers, hours),
    OrderDelivered: st.builds(delivered, orders, numbers, st.booleans()),
    OrderCancelled: st.builds(cancelled, orders, st.sampled_from(["1", "2", "3", None])),
    OrderRefunded: st.builds(refunded, orders, numbers),
    CustomerMerged: st.builds(merged, customers, customers),
    CustomerErasureRequested: st.builds(
        CustomerErasureRequested,
        customer_id=st.just(ERASED),
        erasure_id=st.just(UUID(int=99)),
        requested_at=moments,
    ),
}

ONE_ORDER: Facts = {
    OrderPlaced: st.builds(placed, st.just("O-1"), hours),
    OrderChanged: st.builds(changed, st.just("O-1"), hours),
    OrderDelivered: st.builds(delivered, st.just("O-1"), st.sampled_from([1, 1, 2]), st.booleans()),
    OrderRefunded: st.builds(refunded, st.just("O-1"), numbers),
    CustomerMerged: st.builds(merged, st.just("C-1"), st.sampled_from(["C-2", "C-4"])),
}
"""Facts about one order, so that most histories repeat a delivery and correct a line and an address twice."""

DELIVERED_ORDER: st.SearchStrategy[list[Any]] = st.sampled_from(
    [[], [placed("O-1", 0)], [placed("O-1", 0), delivered("O-1", 1)], [placed("O-1", 0), delivered("O-1", 1)]]
)
"""Beginnings of a history."""

# --- everybody else ---------------------------------------------------------------------------------------------------

_BY_NAME = {
    "order_id": orders,
    "customer_id": customers,
    "issue_id": issues,
    "line_id": line_ids,
    "line_ids": st.lists(line_ids, max_size=2, unique=True).map(tuple),
    "sku": st.sampled_from(["SKU-1", "SKU-1", "SKU-2", "PART-A", "SKU-9"]),
    "shipment_id": numbers.map(lambda number: f"P-{number}"),
    "quantity": st.integers(1, 2),
    "currency": st.just("JPY"),
    "country": st.just("JP"),
    "market": st.sampled_from(["JP", "US", "DE"]),
    "amount": st.sampled_from([0, 300, 1000, 1100, 2200, 9000]).map(yen),
    "Money.amount": st.sampled_from([0, 300, 1000, 1100, 2200]).map(Decimal),
    "transaction_id": numbers.map(lambda number: f"T-{number}"),
    "attempt": st.integers(1, 2),
    "version": st.integers(1, 4),
    "resolution": st.integers(1, 2),
    "CountedLine.issue_id": st.none() | issues,
    "CountedLine.order_id": st.none() | orders,
    "CountedLine.replacement_id": st.none() | issues.map(lambda issue: derived_id("replacement", issue, 1)),
    "ReceivedLine.line_id": line_ids,
    **{f"{kind}_id": numbers.map(lambda number: UUID(int=number)) for kind in _DERIVED},
}
_BY_TYPE = {
    str: st.sampled_from(["a", "b"]),
    AwareDatetime: moments,
    date: days,
    UUID: numbers.map(lambda number: UUID(int=100 + number)),
    Decimal: st.sampled_from([Decimal(0), Decimal(1000)]),
}
_BUILDER = ModelBuilder(_BY_NAME, _BY_TYPE, most=3)


def any_fact(payload: type[Payload]) -> st.SearchStrategy[Any]:
    """Return facts of a type as their author may write them, about the orders and issues of the history."""
    return _BUILDER.models(payload).map(_about_one_thing)


def any_facts(payloads: Iterable[type[Payload]]) -> Facts:
    return {payload: any_fact(payload) for payload in payloads}


def _about_one_thing(fact: Payload) -> Payload:
    """Return the fact with the order and the customer of its issue, and with ids as returns derives them."""
    issue_id = getattr(fact, "issue_id", None)
    order_id = ORDER_OF.get(issue_id) if issue_id else getattr(fact, "order_id", None)
    names: dict[str, Any] = {"order_id": order_id, "customer_id": CUSTOMERS.get(order_id or "")}
    changes = {name: value for name, value in names.items() if value and getattr(fact, name, None)}
    for kind in _DERIVED:
        number = getattr(fact, f"{kind}_id", None)
        if isinstance(number, UUID) and number.int < 100:
            changes[f"{kind}_id"] = derived_id(kind, issue_id or order_id, number.int)
    if isinstance(fact, ItemReceived) and fact.receipt_id:  # a gate never gives one id to two boxes
        content = fact.model_dump_json(exclude={"receipt_id"})
        changes["receipt_id"] = f"gate-{derived_id('receipt', content)}"
    return fact.model_copy(update=changes)


def accepted(issue_id: UUID, reason: Reason, remedy: Remedy | None, quantity: int) -> IssueAccepted:
    """Return an acceptance of one or two lines of the order, at their prices."""
    line_ids = {ISSUES[0]: ["1", "2"], ISSUES[1]: ["2"]}.get(issue_id, ["1", "3"])
    lines = [order_line(line_id, quantity) for line_id in line_ids]
    order_id = ORDER_OF[issue_id]
    return IssueAccepted(
        issue_id=issue_id,
        order_id=order_id,
        customer_id=CUSTOMERS[order_id],
        reason=reason,
        requested_remedy=remedy,
        lines=tuple(
            IssueLine(
                line_id=each.line_id,
                sku=each.sku,
                name=each.name,
                quantity=quantity,
                unit_price=each.unit_price,
                components=each.components,
                requires_shipping=each.requires_shipping,
            )
            for each in lines
        ),
        reported_at=START + timedelta(hours=50),
        accepted_at=START + timedelta(hours=50),
    )
