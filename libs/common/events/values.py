"""Values that events are made of: money, places, people, order lines.

All are frozen; unknown fields are ignored, so that a newer producer never breaks an older reader.
"""

from datetime import UTC, date, datetime
from decimal import Decimal
from enum import StrEnum
from typing import Annotated

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field, StringConstraints


def _to_utc(moment: datetime) -> datetime:
    return moment.astimezone(UTC)


UtcTime = Annotated[AwareDatetime, AfterValidator(_to_utc)]
"""A moment. Any offset is read; UTC is kept and written (RFC 3339)."""

Identifier = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=128)]
"""An id given by a partner (order, customer, line, SKU): opaque text of 1 to 128 characters."""

Currency = Annotated[str, StringConstraints(pattern=r"^[A-Z]{3}$")]
"""ISO 4217 alphabetic code."""

Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
"""The hash of some content in small hexadecimal: the name of a photo."""

Quantity = Annotated[int, Field(ge=1, le=10_000)]
"""Pieces of one order line."""


class Value(BaseModel):
    """Base of everything that crosses a border: frozen, lenient to fields it does not know."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class Money(Value):
    """An amount as decimal text with its currency, e.g. ``{"amount": "1234.00", "currency": "JPY"}``."""

    amount: Annotated[Decimal, Field(max_digits=16, decimal_places=4, allow_inf_nan=False)]
    currency: Currency


class Address(Value):
    """A postal address. Personal data: only on topics that move goods (design invariant 12)."""

    name: str
    postal_code: str
    country: Annotated[str, StringConstraints(pattern=r"^[A-Z]{2}$")]
    region: str | None = None
    city: str
    street: str
    building: str | None = None
    phone: str | None = None


class Language(StrEnum):
    JA = "ja"
    EN = "en"


class Contact(Value):
    """How to reach a customer. Personal data, like `Address`."""

    name: str
    email: Annotated[str, StringConstraints(pattern=r"^[^@\s]+@[^@\s]+$", max_length=254)]
    language: Language = Language.JA
    phone: str | None = None


class Reason(StrEnum):
    """What is wrong, in the customer's words (design section 2)."""

    DEFECTIVE = "defective"
    DAMAGED_IN_TRANSIT = "damaged_in_transit"
    MISSING_PART = "missing_part"
    MISSING_ITEM = "missing_item"
    WRONG_ITEM = "wrong_item"
    LOST_IN_TRANSIT = "lost_in_transit"
    CHANGED_MIND = "changed_mind"


class Remedy(StrEnum):
    REPLACEMENT = "replacement"
    PART_SHIPMENT = "part_shipment"
    REFUND = "refund"


class Fault(StrEnum):
    MERCHANT = "merchant"
    CARRIER = "carrier"
    CUSTOMER = "customer"


class Condition(StrEnum):
    """What the warehouse found on inspection of a returned unit."""

    SELLABLE = "sellable"
    REPAIRABLE = "repairable"
    SCRAP = "scrap"
    NOT_AS_REPORTED = "not_as_reported"
    OTHER_ITEM = "other_item"


class Choice(StrEnum):
    """What a customer can answer when a date cannot be kept or an item is out of stock."""

    WAIT = "wait"
    CHANGE = "change"
    CANCEL = "cancel"
    REFUND = "refund"


class StaffAction(StrEnum):
    """What the shop's people may decide about an issue."""

    ACCEPT = "accept"
    REJECT = "reject"
    CHOOSE_REMEDY = "choose_remedy"
    WAIVE_COLLECTION = "waive_collection"
    REOPEN = "reopen"
    CANCEL = "cancel"
    APPROVE_REVIEW = "approve_review"
    REFUSE_REVIEW = "refuse_review"


class Variant(Value):
    """Another item that could be sent instead: the same thing in another colour, size or make."""

    sku: Identifier
    name: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200)]


class OrderLine(Value):
    """One line of an order as it was placed.

    Promises are definite days in the shop's zone. `ship_by` is the moment of the promised ship date by which the parcel
    has to be with the carrier, where the shop knows one (the last pickup); else the shop's usual cutoff counts.
    """

    line_id: Identifier
    sku: Identifier
    name: str
    quantity: Quantity
    unit_price: Money
    product_group: str | None = None
    preorder: bool = False
    promised_ship_date: date | None = None
    ship_by: UtcTime | None = None
    promised_delivery_date: date | None = None


class Prepayment(Value):
    """What was paid before anything was sent: all of it, with postage, and when it was received."""

    amount: Money
    received_at: UtcTime


class LineQuantity(Value):
    """Some pieces of one order line."""

    line_id: Identifier
    quantity: Quantity


class ShippedLine(LineQuantity):
    """Some pieces of one order line that left, and of which production lot they are, where the warehouse knows.

    A plain `LineQuantity` is taken for one too: pieces of an unknown lot.
    """

    model_config = ConfigDict(from_attributes=True)

    lot: Identifier | None = None


class ReportedLine(LineQuantity):
    """Some pieces of one order line that a customer reports; `part` names the missing part, if any.

    `arrived` is what came instead, where the wrong item came and somebody knows what it is.
    """

    part: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200)] | None = None
    received_instead: Variant | None = None


class IssueLine(ReportedLine):
    """A reported line with what the order said about it, so that nobody has to call back.

    `lot` is the lot of the reported pieces, None where it is not known or they are of several.
    """

    sku: Identifier
    name: str
    unit_price: Money
    product_group: str | None = None
    lot: Identifier | None = None


class CollectedLine(IssueLine):
    """What the courier is to fetch. `instead_of`: the item that was ordered, where another one was sent.

    `sku` and `name` are then those of what was sent; where nobody knows what it is, those of what was ordered.
    """

    model_config = ConfigDict(frozen=True, extra="ignore", from_attributes=True)

    instead_of: Identifier | None = None


class ReceivedLine(LineQuantity):
    """Some pieces that came back for one line; `sku` and `serials` are what stands on them, where the gate reads it."""

    model_config = ConfigDict(frozen=True, extra="ignore", from_attributes=True)

    sku: Identifier | None = None
    serials: tuple[Identifier, ...] = ()


class InspectedLine(ReceivedLine):
    """Some pieces of one line, all found in the same condition."""

    condition: Condition
    note: Annotated[str, StringConstraints(max_length=400)] | None = None


class TimeWindow(Value):
    """A courier's appointment: the day in the shop's time zone and the hours, local, from and to."""

    day: date
    from_hour: Annotated[int, Field(ge=0, le=23)] = 9
    to_hour: Annotated[int, Field(ge=1, le=24)] = 21


class RawStatus(Value):
    """What a carrier or a tracking service said in its own words; kept as it came, whatever we make of it.

    `source` names whose words these are (`easypost`, `aftership`, `yamato`), `detail` is the finer code beside it.
    """

    source: Annotated[str, StringConstraints(min_length=1, max_length=40)]
    code: Annotated[str, StringConstraints(min_length=1, max_length=100)]
    detail: Annotated[str, StringConstraints(max_length=200)] | None = None
