"""A case: one accepted issue on its way to being put right.

Three legs, each with its own status and its own counted units: **outbound** (the replacement), **inbound** (what comes
back) and **money** (the refund). The headline is derived from them, never stored as a second truth, because one status
field for two movements is where such systems go wrong. Each leg carries the moment at which it must be looked at again;
the timers in the database are derived from these, so that state and timers cannot drift apart.

The plan is copied into the case when it is made, with the version of the policy it came from: a policy that changes
later does not change what was begun.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum
from typing import TypeAlias
from uuid import UUID

from libs.common.events.values import (
    Choice,
    Condition,
    Fault,
    IssueLine,
    LineQuantity,
    Money,
    RawStatus,
    Reason,
    Remedy,
    TimeWindow,
    Variant,
)
from services.returns.policy import CollectOn, Movements, RefundOn, ShipOn, Subject

Counts: TypeAlias = dict[str, int]
"""Pieces by order line. Never changed in place."""

NOTHING = Decimal(0)


@dataclass(frozen=True)
class Plan:
    remedy: Remedy
    ship_on: ShipOn
    collect_on: CollectOn
    refund_on: RefundOn
    inspect: bool

    @classmethod
    def of(cls, remedy: Remedy, moves: Movements) -> "Plan":
        return cls(remedy, moves.ship_on, moves.collect_on, moves.refund_on, moves.inspect)

    @property
    def is_at_risk(self) -> bool:
        """Whether value leaves before what it replaces is back."""
        first = self.ship_on is ShipOn.ACCEPTED or self.refund_on is RefundOn.ACCEPTED
        return first and self.collect_on is not CollectOn.NEVER


@dataclass(frozen=True, slots=True)
class Scan:
    """The last word of a carrier about a leg: what we take it for, and what they said."""

    status: str
    raw: RawStatus
    at: datetime


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


MISMATCHES = (Condition.NOT_AS_REPORTED, Condition.OTHER_ITEM)


class RefundStatus(StrEnum):
    REQUESTED = "requested"
    RETRYING = "retrying"
    FAILED = "failed"
    COMPLETED = "completed"
    STOPPED = "stopped"


@dataclass(frozen=True)
class Refund:
    """One payment back. Asked for again under the same id until it is through or a human looks."""

    refund_id: UUID
    amount: Decimal
    status: RefundStatus
    attempts: int
    requested_at: datetime
    counts: Counts = field(default_factory=dict)
    completed_at: datetime | None = None
    due_at: datetime | None = None


@dataclass(frozen=True)
class MoneyLeg:
    """What goes back to the customer. `asked` are the units already paid for, so that none is paid twice.

    `instead` are units that are paid back although the others are replaced, because they could not be sent.
    """

    asked: Counts = field(default_factory=dict)
    instead: Counts = field(default_factory=dict)
    refunds: tuple[Refund, ...] = ()

    @property
    def due_at(self) -> datetime | None:
        if not self.refunds:
            return None
        return min((refund.due_at for refund in self.refunds if refund.due_at), default=None)


@dataclass(frozen=True)
class Question:
    """What the customer was asked. They heard `due_at`; at `wake_at` we ask why nobody answered, even by default."""

    choice_id: UUID
    options: tuple[Choice, ...]
    default: Choice
    restock_date: date | None
    due_at: datetime
    wake_at: datetime
    variants: tuple[Variant, ...] = ()


class ReviewCause(StrEnum):
    """Why a human looks. What their yes and no do stands in `reviews`."""

    VALUE = "value"
    MIXED_CURRENCIES = "mixed_currencies"
    EXPOSURE = "exposure"
    MANY_REPORTS = "many_reports"
    EARLIER_MISMATCHES = "earlier_mismatches"
    SHARED_ADDRESS = "shared_address"
    NO_ADDRESS = "no_address"
    WAREHOUSE_SILENT = "warehouse_silent"
    NOT_SHIPPING = "not_shipping"
    DELIVERED_UNSHIPPED = "delivered_unshipped"
    DELIVERY_OVERDUE = "delivery_overdue"
    PARCEL_EXCEPTION = "parcel_exception"
    NO_DECISION = "no_decision"
    COLLECTION_FAILED = "collection_failed"
    NOT_COLLECTED = "not_collected"
    TURNED_UP = "turned_up"
    RECEIPT_OVERDUE = "receipt_overdue"
    UNEXPECTED_ITEM = "unexpected_item"
    INSPECTION_OVERDUE = "inspection_overdue"
    INSPECTION_MISMATCH = "inspection_mismatch"
    REFUND_FAILED = "refund_failed"
    REFUND_DIFFERS = "refund_differs"
    MOVED_AFTER_STOP = "moved_after_stop"
    STALLED = "stalled"


@dataclass(frozen=True)
class Review:
    """Waits for a human until `due_at`, and is then told again; None: it stays open without another word."""

    cause: ReviewCause
    opened_at: datetime
    due_at: datetime | None
    reminders: int = 0


BEFORE_ANYTHING = (
    ReviewCause.VALUE,
    ReviewCause.MIXED_CURRENCIES,
    ReviewCause.EXPOSURE,
    ReviewCause.MANY_REPORTS,
    ReviewCause.EARLIER_MISMATCHES,
    ReviewCause.SHARED_ADDRESS,
)
"""Reviews that hold everything back until they are decided."""


@dataclass(frozen=True, slots=True)
class Short:
    """Pieces that could not be sent with the others: ordered anew for `ship_date`, once the others have left."""

    counts: Counts
    ship_date: date | None = None
    variant: Variant | None = None
    is_decided: bool = False


# Made once: what is left out of a document because it is as usual is compared with these, and read as these. Given by a
# factory all the same, for a plain default pydantic would copy deeply each time.
NO_OUTBOUND, NO_INBOUND, NO_MONEY = Outbound(), Inbound(), MoneyLeg()


@dataclass(frozen=True)
class Case:
    issue_id: UUID
    order_id: str
    customer_id: str
    reason: Reason
    fault: Fault
    lines: tuple[IssueLine, ...]
    policy_version: str
    plan: Plan
    accepted_at: datetime
    market: str = "JP"
    wish: Remedy | None = None
    outbound: Outbound = field(default_factory=lambda: NO_OUTBOUND)
    formers: tuple[Outbound, ...] = ()
    inbound: Inbound = field(default_factory=lambda: NO_INBOUND)
    money: MoneyLeg = field(default_factory=lambda: NO_MONEY)
    short: Short | None = None
    turned_up: bool = False
    question: Question | None = None
    questions: int = 0
    reviews: tuple[Review, ...] = ()
    address_tries: int = 0
    address_due_at: datetime | None = None
    resolution: int = 0
    resolved_at: datetime | None = None
    cancelled_at: datetime | None = None

    @property
    def is_closed(self) -> bool:
        return self.resolved_at is not None or self.cancelled_at is not None

    @property
    def reported(self) -> Counts:
        return counted(self.lines)

    @property
    def currency(self) -> str:
        return self.lines[0].unit_price.currency

    @property
    def value(self) -> Money:
        """What the reported units had cost."""
        return Money(amount=self.worth(self.reported), currency=self.currency)

    @property
    def subject(self) -> Subject:
        """What the policy looks at to find the rule."""
        return Subject(self.value, self.market, {line.product_group for line in self.lines})

    @property
    def sent(self) -> Counts:
        """What is with the customer or on its way there, or was asked of the warehouse to be."""
        counts: Counts = {}
        for leg in (*self.formers, self.outbound):
            if leg.status in WAITED_FOR:
                counts = added(counts, leg.ordered)
            elif leg.status in GONE:
                counts = added(counts, leg.shipped)
        return shared(counts, self.reported) if counts else counts

    @property
    def arrived(self) -> Counts:
        """What of the reported pieces has been sent anew and is with the customer."""
        counts: Counts = {}
        for leg in (*self.formers, self.outbound):
            counts = added(counts, leg.delivered)
        return shared(counts, self.reported)

    def worth(self, counts: Mapping[str, int]) -> Decimal:
        if not counts:
            return NOTHING
        prices = {line.line_id: line.unit_price.amount for line in self.lines}
        return sum((prices[line_id] * count for line_id, count in counts.items()), NOTHING)

    def in_review(self, *causes: ReviewCause) -> bool:
        return bool(self.reviews) and any(review.cause in causes for review in self.reviews)

    def timers(self) -> dict[str, datetime]:
        """Every moment at which this case must be looked at again."""
        found: dict[str, datetime] = {}
        if self.address_due_at:
            found["address"] = self.address_due_at
        if self.outbound.due_at:
            found["outbound"] = self.outbound.due_at
        if self.inbound.due_at:
            found["inbound"] = self.inbound.due_at
        if self.inbound.remind_at:
            found["door"] = self.inbound.remind_at
        if money := self.money.due_at:
            found["money"] = money
        if self.question:
            found["choice"] = self.question.wake_at
        if self.reviews and (reviews := [review.due_at for review in self.reviews if review.due_at]):
            found["review"] = min(reviews)
        return found


def counted(lines: tuple[LineQuantity, ...]) -> Counts:
    counts = {line.line_id: line.quantity for line in lines}
    return counts if len(counts) == len(lines) else added({}, {}, lines)


def added(counts: Counts, more: Counts, lines: tuple[LineQuantity, ...] = ()) -> Counts:
    """Both together, and the lines too."""
    if not lines and not (counts and more):
        return counts or more
    total = dict(counts)
    for line_id, count in more.items():
        total[line_id] = total.get(line_id, 0) + count
    for line in lines:
        total[line.line_id] = total.get(line.line_id, 0) + line.quantity
    return total


def missing(wanted: Counts, have: Counts) -> Counts:
    """What of `wanted` is not among `have`; lines with nothing missing are left out."""
    return {line: left for line, count in wanted.items() if (left := count - have.get(line, 0)) > 0}


def shared(left: Counts, right: Counts) -> Counts:
    """What both hold: the counted units that were also reported."""
    return {line: both for line, count in left.items() if (both := min(count, right.get(line, 0))) > 0}


def as_lines(counts: Counts) -> tuple[LineQuantity, ...]:
    return tuple(LineQuantity(line_id=line_id, quantity=count) for line_id, count in counts.items())


def lines_of(case: Case, counts: Counts) -> tuple[IssueLine, ...]:
    """The reported lines with these quantities."""
    if counts == case.reported:
        return case.lines
    left, lines = dict(counts), []
    for line in case.lines:
        take = min(line.quantity, left.get(line.line_id, 0))
        if take > 0:
            left[line.line_id] -= take
            lines.append(line.model_copy(update={"quantity": take}))
    return tuple(lines)
