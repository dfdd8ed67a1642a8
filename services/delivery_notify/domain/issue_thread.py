"""Issue threads of a conversation: the notices about one issue of an order."""

from datetime import date, datetime
from enum import StrEnum
from uuid import UUID

from libs.common.decisions.fast_dataclass import dataclass
from libs.common.decisions.fast_replace import replace
from libs.common.events.values import Reason, Remedy, Reporter, TimeWindow


@dataclass(frozen=True, slots=True)
class ReportedItem:
    """A reported item under the name that the customer knows; `is_part`: a component of the line's units."""

    line_id: str
    name: str
    quantity: int
    is_part: bool = False


@dataclass(frozen=True)
class ReplacementShipment:
    """Shipment of a replacement: its newest announced date with its version (0: when it was ordered).

    `confirmed_version` is the version of the newest event: one that confirms the announced date is no new promise.
    `superseded_version` is the version of the date that was announced before. `times_unshipped` counts how often it was
    announced as shipped and did not leave. While `date_known_by` is set no date is announced, and `ship_date` is the
    one asked of the warehouse: the customer is given a date by that day, the `date_number`-th such day, from 0.
    """

    replacement_id: UUID
    ship_date: date
    version: int = 0
    confirmed_version: int = 0
    superseded_version: int = 0
    shipped: bool = False
    shipped_at: datetime | None = None
    carrier: str | None = None
    times_unshipped: int = 0
    date_known_by: date | None = None
    date_number: int = 0
    missed_day: date | None = None
    """The day before `date_known_by` by which the date was to follow, if there was one."""
    remedy: Remedy | None = None

    @property
    def is_undated(self) -> bool:
        """Return whether the customer waits for its first ship date."""
        return self.date_known_by is not None and not self.shipped


class PendingNotice(StrEnum):
    """Notice that a thread sends if no event comes before `notify_at`."""

    PLAN = "plan"  # acceptance without a remedy
    SHIP_DATE = "ship_date"  # the day by which the ship date of a replacement follows
    NEXT_UPDATE = "next_update"  # an announced update
    RECEIPT = "receipt"  # receipt of the item without a refund
    POINTS = "points"  # points for an issue of which no event is known yet


@dataclass(frozen=True)
class ApologyPoints:
    """Points granted for an issue (0 if withheld), usable between two days; `announced` once a notice contains them."""

    entry_id: UUID | None = None
    points: int = 0
    usable_from: date | None = None
    usable_until: date | None = None
    announced: bool = False


@dataclass(frozen=True, slots=True)
class Appointment:
    """The newest announced appointment of a collection; `number` counts those of the issue, from 1."""

    collection_id: UUID
    attempt: int
    window: TimeWindow
    number: int = 1


@dataclass(frozen=True, slots=True)
class WindowRequest:
    """A collection that the customer asked about, until its appointment is announced.

    `window` was chosen by the customer at `requested_at`; None once it is known that the courier does not come then.
    `answer_by` is the deadline of the appointment; `reminders` counts those that passed.
    """

    requested_at: datetime
    answer_by: datetime
    window: TimeWindow | None = None
    reminders: int = 0


@dataclass(frozen=True)
class IssueThread:
    """Notices about one issue. `pending` is due at `notify_at`; `missed_visits` counts failed collections.

    `next_update_by` is the day that the answer to the report named for the next update.
    """

    issue_id: UUID
    customer_id: str
    reason: Reason | None = None
    items: tuple[ReportedItem, ...] = ()
    answered: bool = False
    replacement: ReplacementShipment | None = None
    past_replacements: tuple[UUID, ...] = ()
    refunded_at: datetime | None = None
    pending: PendingNotice | None = None
    notify_at: datetime | None = None
    received_at: datetime | None = None
    resolution: int = 0
    closed_by: str | None = None
    updates_sent: int = 0
    missed_visits: int = 0
    apology: ApologyPoints | None = None
    appointment: Appointment | None = None
    window_request: WindowRequest | None = None
    next_update_by: date | None = None
    reported_by: Reporter = Reporter.CUSTOMER


def mark_answered(thread: IssueThread) -> IssueThread:
    """Return the thread after a notice with news: nothing is pending, and updates are counted from the start."""
    return replace(thread, answered=True, pending=None, notify_at=None, updates_sent=0)


def await_update(thread: IssueThread, at: datetime) -> IssueThread:
    """Return the thread with an update announced for this time."""
    return replace(thread, pending=PendingNotice.NEXT_UPDATE, notify_at=at)
