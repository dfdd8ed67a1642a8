"""Carrier statuses: one vocabulary for carriers and tracking services, mapped by `carrier_statuses.toml`.

Codes are compared in NFKC, because Japanese pages mix full and half width, without regard to case, and without the
arrows that tracking pages put before them.

Statuses have a rank, because a clock does not decide alone: carriers write minutes, and a depot reports late. A newer
scan counts; of one moment the higher rank counts; and what is final counts whenever it was not known.
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
    DELIVERED_NEARBY = "delivered_nearby"
    ATTEMPT_FAILED = "attempt_failed"
    DELAYED = "delayed"
    RETURNING = "returning"
    RETURNED = "returned"
    LOST = "lost"
    DAMAGED = "damaged"
    REFUSED = "refused"
    CANCELLED = "cancelled"
    UNKNOWN = "unknown"


_RANKS = {
    CarrierStatus.UNKNOWN: 0,
    CarrierStatus.ANNOUNCED: 1,
    CarrierStatus.ACCEPTED: 2,
    CarrierStatus.IN_TRANSIT: 3,
    CarrierStatus.DELAYED: 3,
    CarrierStatus.OUT_FOR_DELIVERY: 4,
    CarrierStatus.WAITING_FOR_PICKUP: 4,
    CarrierStatus.ATTEMPT_FAILED: 4,
    CarrierStatus.LOST: 5,
    CarrierStatus.DAMAGED: 5,
    CarrierStatus.CANCELLED: 5,
    CarrierStatus.REFUSED: 6,
    CarrierStatus.RETURNING: 6,
    CarrierStatus.DELIVERED: 7,
    CarrierStatus.DELIVERED_NEARBY: 7,
    CarrierStatus.RETURNED: 8,
}
_FINAL_RANK, _END_RANK = 5, 7

TURNED_BACK = (CarrierStatus.REFUSED, CarrierStatus.RETURNING, CarrierStatus.RETURNED)
"""Statuses after which a parcel moves to its sender: `delivered` then means at the door of the sender."""

ARRIVED = (CarrierStatus.DELIVERED, CarrierStatus.DELIVERED_NEARBY)


@dataclass(frozen=True, slots=True)
class TrackingScan:
    """Last scan of a parcel: our status and the carrier's raw status."""

    status: str
    raw: RawStatus
    at: datetime


def supersedes(scan: TrackingScan, last: TrackingScan | None) -> bool:
    """Return whether a scan adds to the last one of its parcel: newer, higher at the same time, or final."""
    if last is None:
        return True
    rank, known = _RANKS[CarrierStatus(scan.status)], _RANKS[CarrierStatus(last.status)]
    if rank >= _FINAL_RANK and rank > known:
        return True
    if known >= _END_RANK and rank < _FINAL_RANK:
        return False
    return scan.at > last.at or (scan.at == last.at and rank > known)


StatusTable = Mapping[str, Mapping[str, CarrierStatus]]
_TABLE: TypeAdapter[StatusTable] = TypeAdapter(StatusTable)


@cache
def status_table() -> StatusTable:
    """Return our status by source and code. Raises `pydantic.ValidationError` naming the source and the code."""
    read = _TABLE.validate_python(tomllib.loads(TABLE_FILE.read_text(encoding="utf-8")))
    return {
        _normalize(source): {_normalize(word): status for word, status in words.items()}
        for source, words in read.items()
    }


def translate_status(raw: RawStatus) -> CarrierStatus | None:
    """Return our status for a raw one; None where the table has no entry."""
    words, code = status_table().get(_normalize(raw.source), {}), _normalize(raw.code)
    return words.get(f"{code}/{_normalize(raw.detail or '')}") or words.get(code)


def _normalize(word: str) -> str:
    return unicodedata.normalize("NFKC", word).strip(" \t\n\u3000↓⇒→▼").casefold()
