"""Order lines of a conversation, each with its tracked ship promise and delivery promise."""

from dataclasses import dataclass
from datetime import date, datetime


@dataclass(frozen=True)
class TrackedPromise:
    """The newest promised day of an order line and the updates sent about it. Without a `day` nothing was promised.

    `promised_at` is when the shop or carrier stated the day, `changed_at` when it took effect, `policy_dated_at` when a
    date was last set by our policy or the customer. `notify_at` is when an overdue notice is due, `breaks_at` when the
    promise is broken. `renewals` counts dates set by our policy, `slips` promised days that moved later. `first_day` is
    the day from which the law counts; it may be statutory.

    `last_announced_date` and `last_announced_version` name the promise that this one replaces for the customer; an
    earlier version is skipped if its notice was still unsent. `ship_version` of a delivery date is the version of the
    ship date that moved it. `unannounced`: the notice about this promise was withdrawn because the line had left.
    """

    day: date | None = None
    version: int = 0
    promised_at: datetime | None = None
    changed_at: datetime | None = None
    policy_dated_at: datetime | None = None
    notify_at: datetime | None = None
    breaks_at: datetime | None = None
    updates_sent: int = 0
    renewals: int = 0
    slips: int = 0
    first_day: date | None = None
    last_announced_date: date | None = None
    last_announced_version: int = 0
    ship_version: int = 0
    unannounced: bool = False

    @property
    def owed_day(self) -> date | None:
        """The newest promised day, or the statutory day if none was promised."""
        return self.day or self.first_day


@dataclass(frozen=True)
class Line:
    """One order line: quantities, preorder stage, ship and delivery promise.

    `accepted_open_wait`: the customer agreed to wait without a date. `consent_lapses_at`: silence cancels then.
    `stated_at` is the time of the statement that set name and quantity. `warehouse` ships the line, `carrier` took
    its newest parcel, if known.
    """

    line_id: str
    name: str
    quantity: int
    preorder: bool = False
    shipped: int = 0
    delivered: int = 0
    cancelled: bool = False
    cancel_requested: bool = False
    stage: str | None = None
    stage_detail: str | None = None
    stage_changed_at: datetime | None = None
    announced_stage: str | None = None
    accepted_open_wait: bool = False
    consent_lapses_at: datetime | None = None
    shipping: TrackedPromise = TrackedPromise()
    delivery: TrackedPromise = TrackedPromise()
    stated_at: datetime | None = None
    requires_shipping: bool = True
    warehouse: str | None = None
    product_group: str | None = None
    carrier: str | None = None

    @property
    def open(self) -> bool:
        """Not cancelled, and some quantity is still to be shipped."""
        return not self.cancelled and self.shipped < self.quantity

    @property
    def awaiting_shipment(self) -> bool:
        """Open, without a cancellation request."""
        return self.open and not self.cancel_requested

    @property
    def awaiting_delivery(self) -> bool:
        """Some quantity is still to be delivered, without a cancellation or a request for it."""
        return not self.cancelled and not self.cancel_requested and self.delivered < self.quantity
