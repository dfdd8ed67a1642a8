"""Base class and scalar types of the contract."""

from datetime import UTC, datetime
from decimal import Decimal
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
