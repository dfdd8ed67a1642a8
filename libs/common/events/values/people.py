"""Addresses and contacts. Personal data."""

from enum import StrEnum
from typing import Annotated

from pydantic import BeforeValidator, WithJsonSchema

from libs.common.events.values.base import TEXT_SCHEMA, Value
from libs.common.events.values.texts import UNKNOWN_COUNTRY, CountryCode, MailAddress, OptionalText, Text
from libs.common.locales import LOCALES, find_language


class Address(Value):
    """Postal address. Personal data: only on topics that move goods (invariant 12).

    A part that the place does not have (city or postal code in Singapore or Hong Kong) is empty.
    """

    name: Text = ""
    """Recipient."""
    postal_code: Text = ""
    country: CountryCode = UNKNOWN_COUNTRY
    """ISO 3166-1 alpha-2 code."""
    region: OptionalText = None
    """Prefecture, state or province."""
    city: Text = ""
    street: Text = ""
    building: OptionalText = None
    phone: OptionalText = None

    @property
    def is_usable(self) -> bool:
        """Return true if a parcel can be sent here: there is a street or a building."""
        return bool(self.street or self.building)


class Language(StrEnum):
    """Language of customer texts (BCP 47): each file in `libs/common/locales` is a member, named here or not."""

    _ignore_ = "_code"

    JA = "ja"
    EN = "en"
    for _code in sorted(LOCALES.keys() - {"ja", "en"}):
        vars()[_code.upper().replace("-", "_")] = _code


def language_of(tag: str) -> Language:
    """Return the language for a BCP 47 tag: Japanese for none, English for one without texts."""
    return Language(find_language(tag) or Language.EN) if tag.strip() else Language.JA


def _language(value: object) -> object:
    return language_of(value) if isinstance(value, str) and not isinstance(value, Language) else value


LanguageTag = Annotated[Language, BeforeValidator(_language), WithJsonSchema(TEXT_SCHEMA)]
"""Language by a BCP 47 tag such as `ja`, `ja-JP` or `fr`; texts are in English where they are not in that language."""


class Contact(Value):
    """Contact of a customer. Personal data, like `Address`."""

    name: Text = ""
    email: MailAddress = None
    """Mail address, if the customer gave one."""
    language: LanguageTag = Language.JA
    """Preferred language, a BCP 47 tag; texts are in English where there are none in that language."""
    phone: OptionalText = None


class ContactChange(Value):
    """Corrected fields of a contact; absent fields stay as they are. Personal data."""

    name: OptionalText = None
    email: MailAddress = None
    language: Annotated[LanguageTag | None, WithJsonSchema({"anyOf": [TEXT_SCHEMA, {"type": "null"}]})] = None
    phone: OptionalText = None
