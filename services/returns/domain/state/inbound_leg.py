"""State of the inbound leg: the collection, and the units received and inspected."""

from collections.abc import Mapping
from dataclasses import field
from datetime import date, datetime
from enum import StrEnum
from uuid import UUID

from libs.common.decisions.fast_dataclass import dataclass
from libs.common.events.values import Condition, ReceivedLine, TimeWindow
from services.returns.domain.state.line_quantities import UnitCounts, missing
from services.returns.policy.carrier_statuses import TrackingScan


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


COLLECTION_PENDING = (InboundStatus.REQUESTED, InboundStatus.BOOKED)
MISMATCHES = (Condition.NOT_AS_REPORTED, Condition.OTHER_ITEM)


@dataclass(frozen=True)
class OtherItem:
    """Units of another article, as they were counted on one receipt."""

    receipt_id: str
    line: ReceivedLine


@dataclass(frozen=True)
class InboundLeg:
    """Return of the reported items. `number` counts the collections of the case.

    `receipt_ids` and `inspection_ids` name the counts already recorded, so that none counts twice; `receipt_marks` are
    marks of their content. `conditions` are
    inspected units by line and condition; `other_items` are received units of another article, and `others` the same
    by receipt and article, as long as they are not sent back. `chosen_window` is the customer's choice. `is_swap`: the
    driver who delivers the replacement collects the old item. `remind_at` is None until the replacement is delivered,
    and again after the last reminder.
    """

    status: InboundStatus = InboundStatus.NONE
    number: int = 0
    collection_id: UUID | None = None
    requested_units: UnitCounts = field(default_factory=dict)
    collected: UnitCounts = field(default_factory=dict)
    received: UnitCounts = field(default_factory=dict)
    inspected: UnitCounts = field(default_factory=dict)
    conditions: Mapping[str, Mapping[Condition, int]] = field(default_factory=dict)
    other_items: UnitCounts = field(default_factory=dict)
    others: tuple[OtherItem, ...] = ()
    receipt_ids: tuple[str, ...] = ()
    receipt_marks: Mapping[str, str] = field(default_factory=dict)
    inspection_ids: tuple[str, ...] = ()
    attempt: int = 0
    failed_attempts: int = 0
    requested_at: datetime | None = None
    earliest_date: date | None = None
    window_day: date | None = None
    chosen_window: TimeWindow | None = None
    is_swap: bool = False
    visit_id: UUID | None = None
    reminders: int = 0
    remind_at: datetime | None = None
    last_scan: TrackingScan | None = None
    address_version: int = 0
    """Version of the address that the courier was given."""
    due_at: datetime | None = None

    @property
    def is_pending(self) -> bool:
        return self.status in COLLECTION_PENDING

    @property
    def is_waived(self) -> bool:
        return self.status is InboundStatus.WAIVED

    @property
    def mismatched_units(self) -> UnitCounts:
        """Return inspected units that differ from the report."""
        if not self.conditions:
            return {}
        counts = {
            line: sum(by_condition.get(condition, 0) for condition in MISMATCHES)
            for line, by_condition in self.conditions.items()
        }
        return {line: count for line, count in counts.items() if count}

    @property
    def has_mismatch(self) -> bool:
        return bool(self.mismatched_units or self.other_items)

    @property
    def returned_as_reported(self) -> UnitCounts:
        """Return received units without those that inspection found to differ."""
        return missing(self.received, self.mismatched_units)
