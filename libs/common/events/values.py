"""Values of the contract: money, addresses, contacts, order lines."""

from datetime import UTC, date, datetime
from decimal import Decimal
from enum import StrEnum
from typing import Annotated

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field, StringConstraints


def _to_utc(moment: datetime) -> datetime:
    return moment.astimezone(UTC)


UtcTime = Annotated[AwareDatetime, AfterValidator(_to_utc)]
"""Time in RFC 3339. Any offset is accepted; UTC is stored and written."""

Identifier = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=128)]
"""Id assigned by a partner (order, customer, line, SKU): opaque text of 1 to 128 characters."""

Currency = Annotated[str, StringConstraints(pattern=r"^[A-Z]{3}$")]
"""ISO 4217 alphabetic code."""

Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
"""SHA-256 in lower-case hexadecimal: the name of a photo."""

Quantity = Annotated[int, Field(ge=1, le=10_000)]
"""Number of units of one order line."""


class Value(BaseModel):
    """Base of all values of the contract: frozen; unknown fields are ignored, so that new producers do not break old
    readers.
    """

    model_config = ConfigDict(frozen=True, extra="ignore", use_attribute_docstrings=True)


class Money(Value):
    """Amount of money, such as `{"amount": "1234.00", "currency": "JPY"}`."""

    amount: Annotated[Decimal, Field(max_digits=16, decimal_places=4, allow_inf_nan=False)]
    """Decimal number as text."""
    currency: Currency
    """ISO 4217 code."""


class Address(Value):
    """Postal address. Personal data: only on topics that move goods (invariant 12)."""

    name: str
    """Recipient."""
    postal_code: str
    country: Annotated[str, StringConstraints(pattern=r"^[A-Z]{2}$")]
    """ISO 3166-1 alpha-2 code."""
    region: str | None = None
    """Prefecture, state or province."""
    city: str
    street: str
    building: str | None = None
    phone: str | None = None


class Language(StrEnum):
    """Language of customer texts (ISO 639-1)."""

    JA = "ja"
    EN = "en"


class Contact(Value):
    """Contact of a customer. Personal data, like `Address`."""

    name: str
    email: Annotated[str, StringConstraints(pattern=r"^[^@\s]+@[^@\s]+$", max_length=254)]
    language: Language = Language.JA
    """Preferred language."""
    phone: str | None = None


class Reason(StrEnum):
    """Reason of a report."""

    DEFECTIVE = "defective"
    DAMAGED_IN_TRANSIT = "damaged_in_transit"
    MISSING_PART = "missing_part"
    MISSING_ITEM = "missing_item"
    WRONG_ITEM = "wrong_item"
    LOST_IN_TRANSIT = "lost_in_transit"
    CHANGED_MIND = "changed_mind"


class Remedy(StrEnum):
    """Remedy of an issue."""

    REPLACEMENT = "replacement"
    PART_SHIPMENT = "part_shipment"
    REFUND = "refund"


class Fault(StrEnum):
    """Party at fault."""

    MERCHANT = "merchant"
    CARRIER = "carrier"
    CUSTOMER = "customer"


class Condition(StrEnum):
    """Result of the warehouse's inspection of a returned unit."""

    SELLABLE = "sellable"
    REPAIRABLE = "repairable"
    SCRAP = "scrap"
    NOT_AS_REPORTED = "not_as_reported"
    OTHER_ITEM = "other_item"


class Choice(StrEnum):
    """Customer's answer when a date cannot be kept or an item is out of stock."""

    WAIT = "wait"
    CHANGE = "change"
    CANCEL = "cancel"
    REFUND = "refund"


class StaffAction(StrEnum):
    """Decision that staff can make about an issue."""

    ACCEPT = "accept"
    REJECT = "reject"
    CHOOSE_REMEDY = "choose_remedy"
    WAIVE_COLLECTION = "waive_collection"
    REOPEN = "reopen"
    CANCEL = "cancel"
    APPROVE_REVIEW = "approve_review"
    REFUSE_REVIEW = "refuse_review"


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


class TimeWindow(Value):
    """Time window of a courier's visit, in the shop's time zone."""

    day: date
    """Day."""
    from_hour: Annotated[int, Field(ge=0, le=23)] = 9
    """First hour, 0 to 23."""
    to_hour: Annotated[int, Field(ge=1, le=24)] = 21
    """Last hour (exclusive), 1 to 24."""


class RawStatus(Value):
    """Status of a carrier or tracking service, unchanged."""

    source: Annotated[str, StringConstraints(min_length=1, max_length=40)]
    """System that the codes belong to, such as `easypost`, `aftership` or `yamato`."""
    code: Annotated[str, StringConstraints(min_length=1, max_length=100)]
    """Status code."""
    detail: Annotated[str, StringConstraints(max_length=200)] | None = None
    """Sub-status code, if any."""
