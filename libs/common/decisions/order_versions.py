"""Versions of an order: what the shop corrected later counts, what it sends a second time does not.

`order.placed` may come again: as a correction, or because a history is sent again under new event ids. With
`updated_at` the shop's own time decides. Without it, equal content is a repetition, and other content is a correction
as of the event's time. The first `order.placed` counts as of the order itself, so that an `order.changed` that
overtakes it is not undone. Newest means by the shop's time, never by arrival.
"""

import hashlib
from dataclasses import dataclass
from datetime import datetime

from libs.common.events.registry import AnyEvent
from libs.common.events.storefront import OrderPlaced

_LINES = frozenset({"lines", "market", "customer_id"})
_PERSONAL = frozenset({"contact", "ship_to", "recipient"})


@dataclass(frozen=True, slots=True)
class PlacedVersion:
    """Identity of one `order.placed`: `digest` of the content, time as the first and as a later statement."""

    digest: str
    first_at: datetime
    again_at: datetime

    def changed_at(self, known_digest: str | None) -> datetime | None:
        """Return the time as of which this statement counts; None where it repeats the one before."""
        if known_digest is None:
            return self.first_at
        return None if known_digest == self.digest else self.again_at


def version_of(event: AnyEvent, placed: OrderPlaced) -> PlacedVersion:
    """Return the version by lines and market, which hold no personal data."""
    return _version(event, placed, _LINES)


def personal_version_of(event: AnyEvent, placed: OrderPlaced) -> PlacedVersion:
    """Return the version by contact and address; its digest belongs in tables of personal data only."""
    return _version(event, placed, _PERSONAL)


def _version(event: AnyEvent, placed: OrderPlaced, fields: frozenset[str]) -> PlacedVersion:
    content = placed.model_dump_json(include=set(fields), exclude_none=True)
    digest = hashlib.sha256(f"{placed.updated_at or ''} {content}".encode()).hexdigest()
    return PlacedVersion(digest, placed.updated_at or placed.placed_at, placed.updated_at or event.time)
