"""Addresses and contacts. Personal data."""

from enum import StrEnum
from typing import Annotated

from pydantic import StringConstraints

from libs.common.events.values.base import Value


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
