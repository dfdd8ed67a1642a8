"""Order lines, and units of them: shipped, reported, collected, received, inspected."""

from decimal import ROUND_HALF_UP, ROUND_UP, Decimal
from typing import Annotated, Self
from uuid import UUID

from pydantic import (
    ConfigDict,
    Field,
    StringConstraints,
    ValidatorFunctionWrapHandler,
    WithJsonSchema,
    WrapValidator,
    model_validator,
)

from libs.common.events.values.base import Day, Identifier, Money, Quantity, UtcTime, Value
from libs.common.events.values.codes import Condition
from libs.common.events.values.money import round_up
from libs.common.events.values.texts import OptionalText, Text

MAX_QUANTITY = 10_000
"""Highest number of units of one order line."""


class Variant(Value):
    """Alternative item: the same product in another colour, size or make."""

    sku: Identifier
    """Item."""
    name: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200)]
    """Name for the customer."""


class _Measured(int):
    """One piece, with the length or weight that the shop stated as its quantity."""

    measure: Decimal


def _whole_units(value: object, validate: ValidatorFunctionWrapHandler) -> object:
    """Return whole units: 2.0 is 2; what is sold by length or weight (1.5) is one piece."""
    if not isinstance(value, float) or not 0 < value <= MAX_QUANTITY:
        return validate(value)
    if value == int(value):
        return validate(int(value))
    piece = _Measured(1)
    piece.measure = Decimal(str(value)).quantize(Decimal("0.0001"), ROUND_UP)
    return piece


_NUMBER = WithJsonSchema({"type": "number", "minimum": 0, "maximum": MAX_QUANTITY})

OrderedQuantity = Annotated[int, Field(ge=0, le=MAX_QUANTITY), WrapValidator(_whole_units), _NUMBER]
"""Number of units; 0 for a line that was removed. A fraction (1.5 m) is one piece of that measure."""


class Component(Value):
    """Part of a kit, or of one unit of a line."""

    sku: Identifier
    """Item of the part."""
    name: Text = ""
    """Name for the customer."""
    quantity: Quantity = 1
    """Number of these parts in one unit of the line."""
    unit_price: Money | None = None
    """Price of one part, if the shop sells it by itself; default: an equal share of the price of the unit."""


class PartQuantity(Value):
    """Parts of reported units: of a kit or another line with `components`."""

    sku: Identifier
    """Item of the part, as in `components` of the order line."""
    quantity: Quantity = 1
    """Number of parts, over all reported units of the line."""


def _times(price: Money, measure: Decimal) -> Money:
    amount = (price.amount * measure).quantize(Decimal("0.0001"), ROUND_HALF_UP).normalize()
    return price.model_copy(update={"amount": Decimal(f"{amount:f}")})


class OrderLine(Value):
    """One line of an order, as it was placed."""

    line_id: Identifier
    """Order line."""
    sku: Identifier
    """Item."""
    name: Text
    """Name for the customer."""
    quantity: OrderedQuantity
    """Number of units; what is sold by length or weight is one piece of that measure."""
    unit_price: Money
    """Price per unit, paid unless `paid_amount` names another amount for the line."""
    list_price: Money | None = None
    """Price per unit before any discount, if known."""
    paid_amount: Money | None = None
    """Amount paid for all units of the line, after discounts and with tax; default: `unit_price` for each unit."""
    measure: Annotated[Decimal, Field(max_digits=16, decimal_places=4, allow_inf_nan=False)] | None = None
    """Length or weight of the piece, where the line is sold by it; read from a fractional `quantity`."""
    product_group: str | None = None
    """Product group, if any."""
    warehouse: OptionalText = None
    """Warehouse that ships the line, if known; its days and hours are in the calendar file."""
    components: tuple[Component, ...] = ()
    """Parts of one unit: the contents of a kit, or parts that can be sent by themselves."""
    requires_shipping: bool = True
    """False for virtual goods, such as a voucher or a download: nothing of them is shipped or collected."""
    preorder: bool = False
    """True if the item is produced after the order."""
    promised_ship_date: Day | None = None
    """Promised ship date, in the shop's time zone."""
    ship_by: UtcTime | None = None
    """Time on that date by which the carrier must have the parcel; default: the shop's cutoff time."""
    promised_delivery_date: Day | None = None
    """Promised delivery date, in the shop's time zone."""

    @model_validator(mode="after")
    def _one_piece(self) -> Self:
        """Turn a fractional quantity into one piece with the price of its measure."""
        measure = getattr(self.quantity, "measure", None)
        if measure is not None:
            price = _times(self.unit_price, measure)
            list_price = _times(self.list_price, measure) if self.list_price else None
            # the model is frozen
            self.__dict__.update(quantity=1, measure=measure, unit_price=price, list_price=list_price)
        return self

    def with_quantity(self, quantity: int) -> Self:
        """Return the line with another number of units, at the price that was paid for each."""
        paid = self.paid_amount
        if paid is not None and self.quantity > 0:
            share = (paid.amount * quantity / self.quantity).quantize(Decimal("0.0001")).normalize()
            paid = paid.model_copy(update={"amount": Decimal(f"{share:f}")})
        return self.model_copy(update={"quantity": quantity, "paid_amount": paid})

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
        currency = self.paid_amount.currency
        return Money(amount=round_up(self.paid_amount.amount / self.quantity, currency), currency=currency)


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


class MovedLine(LineQuantity):
    """Units of one order line that moved; a line may be named several times, its quantities then count together."""

    model_config = ConfigDict(from_attributes=True)

    quantity: Annotated[int, Field(ge=0, le=MAX_QUANTITY), WrapValidator(_whole_units), _NUMBER]
    """Number of units; what is sold by length or weight is one piece."""


class ShippedLine(MovedLine):
    """Shipped units of one order line. A plain `LineQuantity` is accepted: units of an unknown lot."""

    model_config = ConfigDict(from_attributes=True)

    lot: Identifier | None = None
    """Production lot, if known."""


class RefundedLine(LineQuantity):
    """Units of one order line whose price the shop paid back."""

    amount: Money | None = None
    """Amount paid back for these units; default: what was paid for them."""


class ReportedLine(LineQuantity):
    """Units of one order line that a customer reports."""

    part: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200)] | None = None
    """Missing part, for `missing_part`."""
    parts: Annotated[tuple[PartQuantity, ...], Field(max_length=100)] = ()
    """Missing or broken parts by item, where the order line names its components: only they are sent."""
    received_instead: Variant | None = None
    """Item that arrived instead, for `wrong_item`, if known."""


class IssueLine(ReportedLine):
    """Reported units with their order data."""

    sku: Identifier
    """Ordered item."""
    name: str
    """Name for the customer."""
    unit_price: Money
    """Price paid per unit; where only parts of the units are reported, the part of the price that falls on them."""
    product_group: str | None = None
    """Product group, if any."""
    warehouse: OptionalText = None
    """Warehouse that ships the line, if known; its days and hours are in the calendar file."""
    components: tuple[Component, ...] = ()
    """Parts of one unit, as the order named them."""
    requires_shipping: bool = True
    """False for virtual goods: nothing of them is shipped or collected."""
    lot: Identifier | None = None
    """Production lot; absent if unknown or if the units are of several."""

    @property
    def is_of_parts(self) -> bool:
        """Return whether only parts of the units are reported: the units themselves stay with the customer."""
        return bool(self.parts and self.components)


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
