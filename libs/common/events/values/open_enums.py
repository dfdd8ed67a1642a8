"""Enumerations that older readers pass on or count: a value that a newer writer added is kept as it is.

Without this, one new kind of notice would make a dead letter of every notice of that kind at each service that is not
deployed yet. Only fields by which no reader decides are open; a reader cannot act on a value that it does not know.
Writing is strict: code can only state members.
"""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from functools import partial
from typing import Any

from pydantic import GetCoreSchemaHandler, ValidationError
from pydantic_core import CoreSchema, core_schema

MAX_LENGTH = 100
"""Characters of a value that is not known here."""


@dataclass(frozen=True)
class Open:
    """Annotation of a field with a string enumeration, such as `Annotated[NoticeKind, Open()]`."""

    def __get_pydantic_core_schema__(self, source: type[StrEnum], handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.with_info_wrap_validator_function(partial(_read, source), handler(source))


def unknown_value(enumeration: type[StrEnum], text: str) -> StrEnum:
    """Return a value of the enumeration that is none of its members; it is equal to its text, as members are."""
    value = str.__new__(enumeration, text)
    value._name_ = value._value_ = text
    return value


def _read(
    enumeration: type[StrEnum], value: Any, handler: Callable[[Any], Any], info: core_schema.ValidationInfo
) -> Any:
    try:
        return handler(value)
    except ValidationError:
        if info.mode != "json" or not isinstance(value, str) or not 0 < len(value) <= MAX_LENGTH:
            raise
        return unknown_value(enumeration, value)
