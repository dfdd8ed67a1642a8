"""The shop's corrections of orders in a fault run: pure, drawn from the seed and the order's number alone.

An order is sold, shipped and delivered as the workload says; a correction changes what was published about it at first,
or what the shop states later. Its events are a second apart, by the shop's clock.
"""

import random
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from libs.common.events import storefront
from libs.common.events.envelope import Payload
from libs.common.events.values import ContactChange, Money, RefundedLine, ShippedLine

CORRECTED_SHARE = 0.6
REMAINING_ACCOUNTS = 29
"""Number of accounts that the shop merges others into; some remain for several former ones."""


class Correction(StrEnum):
    """A correction of an order; those of the last group come while a report about it is open."""

    NONE = "none"

    MISTYPED_MAIL = "mistyped_mail"
    OLD_ADDRESS = "old_address"
    ONE_MORE = "one_more"
    ONE_LESS = "one_less"
    LINE_ADDED = "line_added"
    LINE_REMOVED = "line_removed"
    CANCELLED = "cancelled"
    GOODWILL = "goodwill"
    UNIT_REFUNDED = "unit_refunded"
    NUMBERED_LATER = "numbered_later"
    NUMBERED_EARLY = "numbered_early"
    CALLED_OFF = "called_off"
    UNIT_LEFT_BEHIND = "unit_left_behind"
    MERGED_BEFORE = "merged_before"

    MERGED_AFTER = "merged_after"
    MOVED_HOUSE = "moved_house"
    REFUNDED_AFTER = "refunded_after"


@dataclass(frozen=True, slots=True)
class NamedEvent:
    """An event, and a name from which its id is derived. `key` is that of its record, if not the customer's."""

    name: str
    payload: Payload
    key: str | None = None


def draw_correction(seed: int, number: int) -> Correction:
    rng = random.Random(f"{seed}:correction:{number}")
    if rng.random() >= CORRECTED_SHARE:
        return Correction.NONE
    return rng.choice([each for each in Correction if each != Correction.NONE])


def remaining_account(number: int) -> str:
    """The account into which that of this order is merged."""
    return f"M{number % REMAINING_ACCOUNTS:06d}"


@dataclass(frozen=True, slots=True)
class OrderCorrection:
    """One order with its correction. `placed` is the order as it is shipped, `quantity` the units of its line."""

    correction: Correction
    placed: storefront.OrderPlaced
    now: datetime

    @property
    def order_id(self) -> str:
        return self.placed.order_id

    def apply(self, events: Mapping[str, Payload]) -> list[NamedEvent]:
        """The events of the order before any report, with the correction among them."""
        change = _CHANGES.get(self.correction)
        if change is None:
            return _named(events)
        return list(change(self, dict(events)))

    def later_events(self) -> list[NamedEvent]:
        """Corrections that come while a report is open."""
        match self.correction:
            case Correction.MERGED_AFTER:
                return [self._merged()]
            case Correction.MOVED_HOUSE:
                return [NamedEvent("moved-house", self._changed(ship_to=self._address("転居町")))]
            case Correction.REFUNDED_AFTER:
                return [self._refunded("refunded", "customer_called")]
            case _:
                return []

    def mistyped_mail(self, events: dict[str, Payload]) -> Iterator[NamedEvent]:
        contact = self.placed.contact
        yield self._first(contact=contact.model_copy(update={"email": f"x{contact.email}"}))
        yield NamedEvent("contact", self._changed(contact=ContactChange(email=contact.email)))
        yield from _named(events, but="placed")

    def old_address(self, events: dict[str, Payload]) -> Iterator[NamedEvent]:
        yield self._first(ship_to=self._address("旧町"))
        yield NamedEvent("readdressed", self._changed(ship_to=self.placed.ship_to))
        yield from _named(events, but="placed")

    def other_quantity(self, events: dict[str, Payload]) -> Iterator[NamedEvent]:
        """Placed with one unit less, or with one more, which is paid back."""
        line = self.placed.lines[0]
        is_lowered = self.correction == Correction.ONE_LESS or line.quantity == 1
        yield self._first(lines=(line.with_quantity(line.quantity + (1 if is_lowered else -1)),))
        yield NamedEvent("lines", self._changed(lines=(line,)))
        if is_lowered:
            yield self._refunded("edit-refunded", "order_edited")
        yield from _named(events, but="placed")

    def other_lines(self, events: dict[str, Payload]) -> Iterator[NamedEvent]:
        """A second line is added, or taken out again and paid back."""
        second = self.placed.lines[0].model_copy(update={"line_id": "2", "sku": "SKU-2", "quantity": 1})
        if self.correction == Correction.LINE_REMOVED:
            yield self._first(lines=(*self.placed.lines, second))
            yield NamedEvent("lines", self._changed(lines=(second.with_quantity(0),)))
            yield self._refunded("edit-refunded", "order_edited", line_id="2")
            yield from _named(events, but="placed")
            return
        units = (ShippedLine(line_id="2", quantity=1),)
        more = {"order_id": self.order_id, "lines": units}
        yield from _named(events)
        yield NamedEvent("lines", self._changed(lines=(second,)))
        yield NamedEvent("shipped-2", storefront.OrderShipped(**more, shipped_at=self._after(4)))
        yield NamedEvent("delivered-2", storefront.OrderDelivered(**more, delivered_at=self._after(5)))

    def cancelled(self, events: dict[str, Payload]) -> Iterator[NamedEvent]:
        cancelled = {"order_id": self.order_id, "cancelled_at": self._after(1), "cause": "customer"}
        yield from _named({"placed": events["placed"]})
        yield NamedEvent("cancelled", storefront.OrderCancelled(**cancelled))
        yield self._refunded("cancel-refunded", "order_cancelled", quantity=self.placed.lines[0].quantity)

    def paid_back(self, events: dict[str, Payload]) -> Iterator[NamedEvent]:
        """The shop pays back the price of one unit, or a tenth of it as goodwill."""
        yield from _named(events)
        if self.correction == Correction.UNIT_REFUNDED:
            yield self._refunded("refunded", "customer_called")
            return
        tenth = Money(amount=self.placed.lines[0].unit_price.amount / 10, currency="JPY")
        goodwill = {"order_id": self.order_id, "refund_id": f"goodwill-{self.order_id}", "refunded_at": self._after(4)}
        yield NamedEvent("goodwill", storefront.OrderRefunded(**goodwill, amount=tenth, cause="goodwill"))

    def numbered(self, events: dict[str, Payload]) -> Iterator[NamedEvent]:
        """The tracking number comes after its shipment, or arrives before it."""
        number = {"carrier": "Fault Express", "tracking_number": f"T-{self.order_id}"}
        change = NamedEvent("numbered", self._shipment_changed(**number))
        for event in self._in_parcel(events, "1"):
            is_shipment = event.name == "shipped"
            yield from [change] if is_shipment and self.correction == Correction.NUMBERED_EARLY else []
            yield event
            yield from [change] if is_shipment and self.correction == Correction.NUMBERED_LATER else []

    def left_behind(self, events: dict[str, Payload]) -> Iterator[NamedEvent]:
        """A parcel did not leave, or left with one unit less; a second one follows with what stayed behind."""
        rest = self.placed.lines[0].quantity - 1 if self.correction == Correction.UNIT_LEFT_BEHIND else 0
        in_first = (ShippedLine(line_id="1", quantity=rest),) if rest else None
        for event in self._in_parcel(events, "2"):
            if event.name == "shipped":
                yield NamedEvent("shipped-first", _copy(event.payload, shipment_id=self._parcel("1")))
                change = self._shipment_changed(lines=in_first, called_off=not rest, cause="left_behind")
                yield NamedEvent("left-behind", change)
            if rest and event.name == "delivered":
                yield NamedEvent("delivered-first", _copy(event.payload, shipment_id=self._parcel("1"), lines=in_first))
            if rest and event.name in ("shipped", "delivered"):
                second = _copy(event.payload, lines=(ShippedLine(line_id="1", quantity=1),))
                event = NamedEvent(event.name, second)  # noqa: PLW2901
            yield event

    def merged_before(self, events: dict[str, Payload]) -> Iterator[NamedEvent]:
        yield from _named(events)
        yield self._merged()

    def _first(self, **version: Any) -> NamedEvent:
        """The order as it was placed, before its correction."""
        return NamedEvent("placed", self.placed.model_copy(update=version))

    def _changed(self, **parts: Any) -> storefront.OrderChanged:
        ids = {"order_id": self.order_id, "customer_id": self.placed.customer_id}
        return storefront.OrderChanged(**ids, changed_at=self._after(1), **parts)

    def _refunded(self, name: str, cause: str, line_id: str = "1", quantity: int = 1) -> NamedEvent:
        """The price of units, paid back by the shop."""
        price = self.placed.lines[0].unit_price
        amount = price.model_copy(update={"amount": price.amount * quantity})
        refund = storefront.OrderRefunded(
            order_id=self.order_id,
            refund_id=f"{name}-{self.order_id}",
            refunded_at=self._after(4),
            lines=(RefundedLine(line_id=line_id, quantity=quantity, amount=amount),),
            amount=amount,
            cause=cause,
        )
        return NamedEvent(name, refund)

    def _merged(self) -> NamedEvent:
        former = self.placed.customer_id
        remaining = remaining_account(int(former[1:]))
        merged = storefront.CustomerMerged(customer_id=remaining, merged_customer_id=former, merged_at=self._after(4))
        return NamedEvent("merged", merged, key=merged.key)

    def _shipment_changed(self, **parts: Any) -> storefront.ShipmentChanged:
        ids = {"order_id": self.order_id, "shipment_id": self._parcel("1")}
        return storefront.ShipmentChanged(**ids, changed_at=self._after(3), **parts)

    def _in_parcel(self, events: Mapping[str, Payload], number: str) -> Iterator[NamedEvent]:
        """The same events, the shipment and its delivery with a name of their parcel."""
        for event in _named(events):
            is_moved = event.name in ("shipped", "delivered")
            payload = _copy(event.payload, shipment_id=self._parcel(number)) if is_moved else event.payload
            yield NamedEvent(event.name, payload)

    def _parcel(self, number: str) -> str:
        return f"P-{self.order_id}-{number}"

    def _address(self, street: str) -> Any:
        address = self.placed.ship_to
        assert address, "every order of a fault run has an address"
        return address.model_copy(update={"street": f"{street}{address.street}"})

    def _after(self, seconds: int) -> datetime:
        return self.now + timedelta(seconds=seconds)


def _named(events: Mapping[str, Payload], but: str = "") -> list[NamedEvent]:
    return [NamedEvent(name, payload) for name, payload in events.items() if name != but]


def _copy(payload: Payload, **fields: Any) -> Payload:
    return payload.model_copy(update=fields)


_CHANGES: Mapping[Correction, Callable[[OrderCorrection, dict[str, Payload]], Iterator[NamedEvent]]] = {
    Correction.MISTYPED_MAIL: OrderCorrection.mistyped_mail,
    Correction.OLD_ADDRESS: OrderCorrection.old_address,
    Correction.ONE_MORE: OrderCorrection.other_quantity,
    Correction.ONE_LESS: OrderCorrection.other_quantity,
    Correction.LINE_ADDED: OrderCorrection.other_lines,
    Correction.LINE_REMOVED: OrderCorrection.other_lines,
    Correction.CANCELLED: OrderCorrection.cancelled,
    Correction.GOODWILL: OrderCorrection.paid_back,
    Correction.UNIT_REFUNDED: OrderCorrection.paid_back,
    Correction.NUMBERED_LATER: OrderCorrection.numbered,
    Correction.NUMBERED_EARLY: OrderCorrection.numbered,
    Correction.CALLED_OFF: OrderCorrection.left_behind,
    Correction.UNIT_LEFT_BEHIND: OrderCorrection.left_behind,
    Correction.MERGED_BEFORE: OrderCorrection.merged_before,
}
