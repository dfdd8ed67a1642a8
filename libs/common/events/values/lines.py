"""Order lines, and units of them: shipped, reported, collected, received, inspected."""

from datetime import date
from typing import Annotated
from uuid import UUID

from pydantic import ConfigDict, Field, StringConstraints

from libs.common.events.values.base import Identifier, Money, Quantity, UtcTime, Value
from libs.common.events.values.codes import Condition
from libs.common.events.values.money import payable


class Variant(Value):
    """Alternative item: the same product in another colour, size or make."""

    sku: Identifier
    """Item."""
    name: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200)]
    """Name for the customer."""


class OrderLine(Value):
    """One line of an order, as it was placed."""

    line_id: Identifier
    """Order line."""
    sku: Identifier
    """Item."""
    name: str
    """Name for the customer."""
    quantity: Quantity
    """Number of units."""
    unit_price: Money
    """Price per unit, paid unless `paid_amount` names another amount for the line."""
    list_price: Money | None = None
    """Price per unit before any discount, if known."""
    paid_amount: Money | None = None
    """Amount paid for all units of the line, after discounts and with tax; default: `unit_price` for each unit."""
    product_group: str | None = None
    """Product group, if any."""
    preorder: bool = False
    """True if the item is produced after the order."""
    promised_ship_date: date | None = None
    """Promised ship date, in the shop's time zone."""
    ship_by: UtcTime | None = None
    """Time on that date by which the carrier must have the parcel; default: the shop's cutoff time."""
    promised_delivery_date: date | None = None
    """Promised delivery date, in the shop's time zone."""

    @property
    def paid(self) -> Money:
        """Return the amount paid for all units."""
        price = self.unit_price
        return self.paid_amount or Money(amount=price.amount * self.quantity, currency=price.currency)

    @property
    def paid_unit_price(self) -> Money:
        """Return the price that was paid per unit, rounded up where the units do not share evenly."""
        if self.paid_amount is None or self.quantity < 1:
            return self.unit_price
        return payable(Money(amount=self.paid_amount.amount / self.quantity, currency=self.paid_amount.currency))


class PointsSpent(Value):
    """Points of the loyalty ledger with which a part of an order was paid."""

    points: Annotated[int, Field(ge=0, le=10**9)]
    """Number of points."""
    amount: Money
    """Part of the price that they paid; it is returned in points, never in money."""


class Prepayment(Value):
    """Payment received before delivery."""

    amount: Money
    """Total with postage."""
    received_at: UtcTime
    """Time of receipt."""


class LineQuantity(Value):
    """Units of one order line."""

    line_id: Identifier
    """Order line."""
    quantity: Quantity
    """Number of units."""


class ShippedLine(LineQuantity):
    """Shipped units of one order line. A plain `LineQuantity` is accepted: units of an unknown lot."""

    model_config = ConfigDict(from_attributes=True)

    lot: Identifier | None = None
    """Production lot, if known."""


class ReportedLine(LineQuantity):
    """Units of one order line that a customer reports."""

    part: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200)] | None = None
    """Missing part, for `missing_part`."""
    received_instead: Variant | None = None
    """Item that arrived instead, for `wrong_item`, if known."""


class IssueLine(ReportedLine):
    """Reported units with their order data."""

    sku: Identifier
    """Ordered item."""
    name: str
    """Name for the customer."""
    unit_price: Money
    """Price paid per unit."""
    product_group: str | None = None
    """Product group, if any."""
    lot: Identifier | None = None
    """Production lot; absent if unknown or if the units are of several."""


class CollectedLine(IssueLine):
    """Units to be collected;

    `sku` and `name` are those of the item that was sent, or of the ordered item if that is unknown.
    """

    model_config = ConfigDict(from_attributes=True)

    instead_of: Identifier | None = None
    """Ordered item, if another one was sent."""


class PaidLine(LineQuantity):
    """Units of one order line with the money for them."""

    amount: Money
    """Amount for these units."""


class CountedLine(Value):
    """Units counted at a gate. Everything but their number may be missing: boxes arrive without papers."""

    model_config = ConfigDict(from_attributes=True)

    quantity: Quantity
    """Number of units."""
    line_id: Identifier | None = None
    """Order line, if known."""
    sku: Identifier | None = None
    """Item read at the gate, if read."""
    serials: tuple[Identifier, ...] = ()
    """Serial numbers read at the gate."""
    issue_id: UUID | None = None
    """Issue of these units, where a box holds units of several."""
    order_id: Identifier | None = None
    """Order of these units, where a box holds units of several."""
    replacement_id: UUID | None = None
    """Replacement that these units are of, if they are known not to be the original ones."""


class ReplacementPart(Value):
    """Part of an ordered item that is sent by itself."""

    line_id: Identifier
    """Order line of the item that the part belongs to."""
    sku: Identifier | None = None
    """Item of the part, if the order names its components."""
    name: Annotated[str, StringConstraints(min_length=1, max_length=200)]
    """Name of the part."""
    quantity: Quantity
    """Number of parts."""


class ReceivedLine(LineQuantity):
    """Returned units of one order line."""

    model_config = ConfigDict(from_attributes=True)

    sku: Identifier | None = None
    """Item read at the gate, if read."""
    serials: tuple[Identifier, ...] = ()
    """Serial numbers read at the gate."""


class InspectedLine(ReceivedLine):
    """Returned units of one order line in the same condition."""

    condition: Condition
    """Result of the inspection."""
    note: Annotated[str, StringConstraints(max_length=400)] | None = None
    """Note of the inspector, if any."""
