"""What a case knows of the outbound leg: the replacement, its promises and its parcels. `outbound` moves it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from enum import StrEnum
from uuid import UUID

from libs.common.events.values import Variant
from services.returns.domain.line_quantities import Counts, added
from services.returns.policy.carrier_statuses import Scan


class OutboundStatus(StrEnum):
    NONE = "none"
    ORDERED = "ordered"
    CONFIRMED = "confirmed"
    REJECTED = "rejected"
    SHIPPED = "shipped"
    DELIVERED = "delivered"
    CANCELLED = "cancelled"


WAITED_FOR = (OutboundStatus.ORDERED, OutboundStatus.CONFIRMED)
GONE = (OutboundStatus.SHIPPED, OutboundStatus.DELIVERED)


@dataclass(frozen=True, slots=True)
class Promise:
    """A ship date told to the customer. Version 0 came with the order; the warehouse's first word is version 1."""

    ship_date: date
    version: int


@dataclass(frozen=True)
class Parcel:
    """Some of the replacement in one box."""

    name: str
    counts: Counts
    expected: date
    delivered_at: datetime | None = None
    shipped_at: datetime | None = None
    carrier: str | None = None
    tracking_number: str | None = None


@dataclass(frozen=True)
class Outbound:
    """The replacement. `number` counts the orders made in this case; `slips` the promises that passed unshipped.

    `ordered` is what this replacement is to hold, `shipped` what has left in `parcels`. A replacement that holds `part`
    of what was reported has another one after it for what was short. `variants`: what is sent instead, by line.
    `early`: parcels that were delivered before their shipping was told. `heard_at`: when the warehouse last said
    something about its ship date.
    """

    status: OutboundStatus = OutboundStatus.NONE
    number: int = 0
    replacement_id: UUID | None = None
    ordered: Counts = field(default_factory=dict)
    shipped: Counts = field(default_factory=dict)
    parcels: tuple[Parcel, ...] = ()
    early: Mapping[str, datetime] = field(default_factory=dict)
    is_part: bool = False
    variant: Variant | None = None
    scan: Scan | None = None
    promises: tuple[Promise, ...] = ()
    asks: int = 0
    slips: int = 0
    expected_delivery: date | None = None
    delivered_at: datetime | None = None
    heard_at: datetime | None = None
    due_at: datetime | None = None

    @property
    def delivered(self) -> Counts:
        counts: Counts = {}
        for parcel in self.parcels:
            counts = added(counts, parcel.counts) if parcel.delivered_at else counts
        return counts
