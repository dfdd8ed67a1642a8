"""Base class and scalar types of the contract."""

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Annotated, Any

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field, StringConstraints

EARLIEST_TIME, LATEST_TIME = datetime(2000, 1, 1, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC)
EARLIEST_DAY, LATEST_DAY = date(1900, 1, 1), date(2099, 12, 31)
"""Bounds of every time and day of the contract: a year 9999 is no date, and adding days to it is an error."""


def to_utc(moment: datetime) -> datetime:
    """Return the time in UTC. Raises `ValueError` outside the bounds."""
    is_far_inside = EARLIEST_TIME.year < moment.year < LATEST_TIME.year - 1  # comparing times costs as much as all else
    if not is_far_inside and not EARLIEST_TIME <= moment < LATEST_TIME:  # before the conversion, which may overflow
        raise ValueError("not between the years 2000 and 2099; send the time at which it happened or is to happen")
    return moment.astimezone(UTC)


def _bounded(day: date) -> date:
    if not EARLIEST_DAY <= day <= LATEST_DAY:
        raise ValueError("not between the years 1900 and 2099; send a day of the calendar")
    return day


UtcTime = Annotated[AwareDatetime, AfterValidator(to_utc)]
"""Time in RFC 3339, of the years 2000 to 2099. Any offset is accepted; UTC is stored and written."""

Day = Annotated[date, AfterValidator(_bounded)]
"""Day of the calendar, of the years 1900 to 2099."""


Identifier = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=128)]
"""Id assigned by a partner (order, customer, line, SKU): opaque text of 1 to 128 characters."""


Currency = Annotated[str, StringConstraints(pattern=r"^[A-Z]{3}$")]
"""ISO 4217 alphabetic code."""


Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
"""SHA-256 in lower-case hexadecimal: the name of a photo."""


Quantity = Annotated[int, Field(ge=1, le=10_000)]
"""Number of units of one order line."""


MAX_TEXT_LENGTH = 10_000
"""Characters of any text of the contract that has no narrower bound: a record stays far below what Kafka takes."""


TEXT_SCHEMA: dict[str, Any] = {"type": "string", "maxLength": MAX_TEXT_LENGTH}
"""JSON Schema of a text, for types whose validator pydantic cannot describe."""


class Value(BaseModel):
    """Base of all values of the contract: frozen; unknown fields are ignored, so that new producers do not break old
    readers.
    """

    model_config = ConfigDict(
        frozen=True, extra="ignore", use_attribute_docstrings=True, str_max_length=MAX_TEXT_LENGTH
    )


class Money(Value):
    """Amount of money, such as `{"amount": "1234.00", "currency": "JPY"}`."""

    amount: Annotated[Decimal, Field(max_digits=16, decimal_places=4, allow_inf_nan=False)]
    """Decimal number as text."""
    currency: Currency
    """ISO 4217 code."""
