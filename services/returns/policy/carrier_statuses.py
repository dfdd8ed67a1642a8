"""One vocabulary for what carriers and tracking services say; the table of their words is `carrier_statuses.toml`.

Japanese pages write the same word in full or half width, so words are compared in one form of both (NFKC).
"""

import tomllib
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from functools import cache
from pathlib import Path

from pydantic import TypeAdapter

from libs.common.events.values import RawStatus

TABLE = Path(__file__).with_name("carrier_statuses.toml")


class CarrierStatus(StrEnum):
    ANNOUNCED = "announced"
    ACCEPTED = "accepted"
    IN_TRANSIT = "in_transit"
    OUT_FOR_DELIVERY = "out_for_delivery"
    WAITING_FOR_PICKUP = "waiting_for_pickup"
    DELIVERED = "delivered"
    ATTEMPT_FAILED = "attempt_failed"
    DELAYED = "delayed"
    RETURNING = "returning"
    LOST = "lost"
    DAMAGED = "damaged"
    REFUSED = "refused"
    CANCELLED = "cancelled"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Scan:
    """The last word of a carrier about a leg: what we take it for, and what they said."""

    status: str
    raw: RawStatus
    at: datetime


Table = Mapping[str, Mapping[str, CarrierStatus]]
_TABLE: TypeAdapter[Table] = TypeAdapter(Table)


@cache
def table() -> Table:
    """By source, then by their words. Raises `ValidationError` that names the source and the word."""
    read = _TABLE.validate_python(tomllib.loads(TABLE.read_text(encoding="utf-8")))
    return {source: {_plain(word): status for word, status in words.items()} for source, words in read.items()}


def status_of(raw: RawStatus) -> CarrierStatus | None:
    """What this means; None where nobody has said so."""
    words, code = table().get(raw.source, {}), _plain(raw.code)
    return words.get(f"{code}/{raw.detail}") or words.get(code)


def _plain(word: str) -> str:
    return unicodedata.normalize("NFKC", word).strip()
