"""Issue threads of a conversation: one issue of an order, as far as its notices have come."""

from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum
from uuid import UUID

from libs.common.events.values import Reason


@dataclass(frozen=True, slots=True)
class Item:
    """Some pieces of something, as the customer knows it."""

    line_id: str
    name: str
    quantity: int


@dataclass(frozen=True)
class Outbound:
    """A replacement on its way: the newest date told for it, and that date's version (0: when it was ordered)."""

    replacement_id: UUID
    ship_date: date
    version: int = 0
    shipped: bool = False


class Waiting(StrEnum):
    """Why a talk about an issue is quiet for a moment: we hope to say two things in one message."""

    PLAN = "plan"  # accepted; what we do about it is decided in a moment
    NEXT_WORD = "next_word"  # we have said when we write again
    RECEIPT = "receipt"  # something came back; the refund or the end of it follows in a moment


@dataclass(frozen=True)
class Sorry:
    """What was given for an issue: so many points (none, where that was decided), and from when to when they can be
    spent; `told` once a notice has them."""

    entry_id: UUID | None = None
    points: int = 0
    usable_from: date | None = None
    usable_until: date | None = None
    told: bool = False


@dataclass(frozen=True)
class Talk:
    """The talk about one issue. `quiet_until` is the moment at which we speak if nothing else happened, `missed` counts
    the visits at which the courier met nobody."""

    issue_id: UUID
    customer_id: str
    reason: Reason | None = None
    items: tuple[Item, ...] = ()
    answered: bool = False
    outbound: Outbound | None = None
    past_outbound: tuple[UUID, ...] = ()
    refunded_at: datetime | None = None
    waiting: Waiting | None = None
    quiet_until: datetime | None = None
    received_at: datetime | None = None
    resolution: int = 0
    closed_by: str | None = None
    words: int = 0
    missed: int = 0
    sorry: Sorry | None = None
