"""What a case knows of the inbound leg: what is fetched, and what was counted. `inbound` and `receipts` move it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from enum import StrEnum
from uuid import UUID

from libs.common.events.values import Condition, TimeWindow
from services.returns.domain.line_quantities import Counts, missing
from services.returns.policy.carrier_statuses import Scan


class InboundStatus(StrEnum):
    NONE = "none"
    REQUESTED = "requested"
    BOOKED = "booked"
    FAILED = "failed"
    COLLECTED = "collected"
    RECEIVED = "received"
    INSPECTED = "inspected"
    WAIVED = "waived"
    CANCELLED = "cancelled"


MISMATCHES = (Condition.NOT_AS_REPORTED, Condition.OTHER_ITEM)


@dataclass(frozen=True)
class Inbound:
    """What comes back. `receipts` and `inspections`: the names of the counts taken, so that none counts twice.

    `conditions` are the inspected units by line and what was found; `foreign` what came back and was something else.
    `picked` is the window that the customer chose; `swap`: the driver who brings the replacement takes it along.
    `remind_at` is when the customer is reminded next; None before the replacement is there, and when that is over.
    """

    status: InboundStatus = InboundStatus.NONE
    number: int = 0
    collection_id: UUID | None = None
    asked: Counts = field(default_factory=dict)
    collected: Counts = field(default_factory=dict)
    received: Counts = field(default_factory=dict)
    inspected: Counts = field(default_factory=dict)
    conditions: Mapping[str, Mapping[Condition, int]] = field(default_factory=dict)
    foreign: Counts = field(default_factory=dict)
    receipts: tuple[str, ...] = ()
    inspections: tuple[str, ...] = ()
    attempt: int = 0
    failures: int = 0
    requested_at: datetime | None = None
    earliest: date | None = None
    window_day: date | None = None
    picked: TimeWindow | None = None
    swap: bool = False
    visit_id: UUID | None = None
    reminders: int = 0
    remind_at: datetime | None = None
    scan: Scan | None = None
    due_at: datetime | None = None

    @property
    def is_coming(self) -> bool:
        return self.status in (InboundStatus.REQUESTED, InboundStatus.BOOKED)

    @property
    def is_waived(self) -> bool:
        return self.status is InboundStatus.WAIVED

    @property
    def mismatched(self) -> Counts:
        """Inspected units that were not what the customer had said."""
        if not self.conditions:
            return {}
        found = {line: sum(seen.get(one, 0) for one in MISMATCHES) for line, seen in self.conditions.items()}
        return {line: count for line, count in found.items() if count}

    @property
    def has_mismatch(self) -> bool:
        return bool(self.mismatched or self.foreign)

    @property
    def as_reported(self) -> Counts:
        """What came back and is what it should be, as far as anybody looked."""
        return missing(self.received, self.mismatched)
