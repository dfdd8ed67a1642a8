"""Carrier statuses: one vocabulary for carriers and tracking services, mapped by `carrier_statuses.toml`.

Codes are compared in NFKC, because Japanese pages mix full and half width.
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

TABLE_FILE = Path(__file__).with_name("carrier_statuses.toml")


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
class TrackingScan:
    """Last scan of a leg: our status and the carrier's raw status."""

    status: str
    raw: RawStatus
    at: datetime


StatusTable = Mapping[str, Mapping[str, CarrierStatus]]
_TABLE: TypeAdapter[StatusTable] = TypeAdapter(StatusTable)


@cache
def status_table() -> StatusTable:
    """Return our status by source and code. Raises `ValidationError` naming the source and the code."""
    read = _TABLE.validate_python(tomllib.loads(TABLE_FILE.read_text(encoding="utf-8")))
    return {source: {_normalize(word): status for word, status in words.items()} for source, words in read.items()}


def translate_status(raw: RawStatus) -> CarrierStatus | None:
    """Return our status for a raw one; None where the table has no entry."""
    words, code = status_table().get(raw.source, {}), _normalize(raw.code)
    return words.get(f"{code}/{raw.detail}") or words.get(code)


def _normalize(word: str) -> str:
    return unicodedata.normalize("NFKC", word).strip()
