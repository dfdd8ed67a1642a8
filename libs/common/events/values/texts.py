"""Tolerant types for text that partners type in: blanks are trimmed, absent and empty are the same.

An order must be known even where one of its fields is missing or unusual; fields are checked where they are used. Only
a value of another JSON type is refused, by its field.
"""

import unicodedata
from typing import Annotated

import idna
from babel.core import get_global
from pydantic import AfterValidator, BeforeValidator, StringConstraints, WithJsonSchema

from libs.common.events.values.base import TEXT_SCHEMA

UNKNOWN_COUNTRY = "ZZ"
"""User-assigned code of ISO 3166-1 for a country that is missing or not recognised."""

MAX_MAIL_ADDRESS = 254


def _trim(value: object) -> object:
    return value.strip() if isinstance(value, str) else "" if value is None else value


def _trim_to_none(value: object) -> object:
    return (value.strip() or None) if isinstance(value, str) else value


def country_code(value: object) -> object:
    """Return the two-letter code of a country; three-letter codes and former codes are translated."""
    if value is None:
        return UNKNOWN_COUNTRY
    if not isinstance(value, str):
        return value
    code = value.strip().upper()
    current = get_global("territory_aliases").get(code)
    if current:
        code = current[0]
    return code if len(code) == 2 and code.isascii() and code.isalpha() else UNKNOWN_COUNTRY


def mail_address(value: str | None) -> str | None:
    """Return the one written form of a mail address, with its domain in ASCII; None where it is not usable.

    Both spellings of an internationalised domain become the same, so that bounces, suppression and erasure find it.
    """
    text = unicodedata.normalize("NFC", value or "").strip()
    if "@" not in text:
        text = unicodedata.normalize("NFKC", text)
    local, _, domain = text.rpartition("@")
    if not local or not domain or any(each.isspace() or not each.isprintable() for each in text):
        return None
    if not domain.isascii():
        try:
            domain = idna.encode(domain, uts46=True).decode()
        except idna.IDNAError:
            return None
    address = f"{local}@{domain}"
    return address if len(address.encode()) <= MAX_MAIL_ADDRESS else None


Text = Annotated[str, BeforeValidator(_trim)]
"""Text without outer blanks; empty where the partner has none."""

OptionalText = Annotated[str | None, BeforeValidator(_trim_to_none)]
"""Text without outer blanks; absent where it is blank."""

CountryCode = Annotated[
    str,
    BeforeValidator(country_code),
    StringConstraints(pattern=r"^[A-Z]{2}$"),
    WithJsonSchema({"type": "string", "maxLength": 100}),
]
"""ISO 3166-1 alpha-2 code; `ZZ` where the country is not known."""

MailAddress = Annotated[
    str | None, AfterValidator(mail_address), WithJsonSchema({"anyOf": [TEXT_SCHEMA, {"type": "null"}]})
]
"""Mail address, trimmed, its domain in ASCII; absent where mail cannot be sent to it."""
