"""Order lines, and units of them: shipped, reported, collected, received, inspected."""

from datetime import date
from typing import Annotated

from pydantic import ConfigDict, StringConstraints

from libs.common.events.values.base import Identifier, Money, Quantity, UtcTime, Value
from libs.common.events.values.codes import Condition


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
    """Price paid per unit."""
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
