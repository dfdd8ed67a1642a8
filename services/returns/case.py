"""A case: one accepted issue on its way to being put right.

Three legs, each with its own status and its own counted units: **outbound** (the replacement), **inbound** (what comes
back) and **money** (the refund). The headline is derived from them, never stored as a second truth, because one status
field for two movements is where such systems go wrong. Each leg carries the moment at which it must be looked at again;
the timers in the database are derived from these, so that state and timers cannot drift apart.

The plan is copied into the case when it is made: a policy that changes later does not change what was begun.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum
from typing import TypeAlias
from uuid import UUID

from libs.common.events.values import Choice, Fault, IssueLine, LineQuantity, Money, Reason, Remedy
from services.returns.policy import CollectOn, Movements, RefundOn, ShipOn

Counts: TypeAlias = dict[str, int]
"""Pieces by order line. Never changed in place."""


@dataclass(frozen=True, slots=True)
class Plan:
    remedy: Remedy
    ship_on: ShipOn
    collect_on: CollectOn
    refund_on: RefundOn
    inspect: bool

    @classmethod
    def of(cls, remedy: Remedy, moves: Movements) -> "Plan":
        return cls(remedy, moves.ship_on, moves.collect_on, moves.refund_on, moves.inspect)


class OutboundStatus(StrEnum):
    NONE = "none"
    ORDERED = "ordered"
    CONFIRMED = "confirmed"
    REJECTED = "rejected"
    SHIPPED = "shipped"
    DELIVERED = "delivered"
    CANCELLED = "cancelled"


@dataclass(frozen=True, slots=True)
class Promise:
    """A ship date told to the customer. Version 0 came with the order; the warehouse's first word is version 1."""

    ship_date: date
    version: int


@dataclass(frozen=True, slots=True)
class Outbound:
    """The replacement. `number` counts the orders made in this case; `slips` the promises that passed unshipped.

    `heard_at`: when the warehouse last said something about its ship date.
    """

    status: OutboundStatus = OutboundStatus.NONE
    number: int = 0
    replacement_id: UUID | None = None
    ordered: Counts = field(default_factory=dict)
    shipped: Counts = field(default_factory=dict)
    promises: tuple[Promise, ...] = ()
    asks: int = 0
    slips: int = 0
    expected_delivery: date | None = None
    delivered_at: datetime | None = None
    heard_at: datetime | None = None
    due_at: datetime | None = None


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


@dataclass(frozen=True, slots=True)
class Inbound:
    """What comes back. `receipts` and `inspections`: the names of the counts taken, so that none counts twice."""

    status: InboundStatus = InboundStatus.NONE
    number: int = 0
    collection_id: UUID | None = None
    asked: Counts = field(default_factory=dict)
    received: Counts = field(default_factory=dict)
    inspected: Counts = field(default_factory=dict)
    receipts: tuple[str, ...] = ()
    inspections: tuple[str, ...] = ()
    attempt: int = 0
    failures: int = 0
    requested_at: datetime | None = None
    earliest: date | None = None
    window_day: date | None = None
    due_at: datetime | None = None


class RefundStatus(StrEnum):
    REQUESTED = "requested"
    RETRYING = "retrying"
    FAILED = "failed"
    COMPLETED = "completed"
    STOPPED = "stopped"


@dataclass(frozen=True, slots=True)
class Refund:
    """One payment back. Asked for again under the same id until it is through or a human looks."""

    refund_id: UUID
    amount: Decimal
    status: RefundStatus
    attempts: int
    requested_at: datetime
    due_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class MoneyLeg:
    """What goes back to the customer. `asked` are the units already paid for, so that none is paid twice."""

    asked: Counts = field(default_factory=dict)
    refunds: tuple[Refund, ...] = ()

    @property
    def due_at(self) -> datetime | None:
        return min((refund.due_at for refund in self.refunds if refund.due_at), default=None)


@dataclass(frozen=True, slots=True)
class Question:
    """What the customer was asked. They heard `due_at`; at `wake_at` we ask why nobody answered, even by default."""

    choice_id: UUID
    options: tuple[Choice, ...]
    default: Choice
    restock_date: date | None
    due_at: datetime
    wake_at: datetime


class ReviewCause(StrEnum):
    """Why a human looks. What their yes and no do stands in `reviews`."""

    VALUE = "value"
    MIXED_CURRENCIES = "mixed_currencies"
    NO_ADDRESS = "no_address"
    WAREHOUSE_SILENT = "warehouse_silent"
    NOT_SHIPPING = "not_shipping"
    DELIVERED_UNSHIPPED = "delivered_unshipped"
    DELIVERY_OVERDUE = "delivery_overdue"
    PARCEL_EXCEPTION = "parcel_exception"
    NO_DECISION = "no_decision"
    COLLECTION_FAILED = "collection_failed"
    RECEIPT_OVERDUE = "receipt_overdue"
    UNEXPECTED_ITEM = "unexpected_item"
    INSPECTION_OVERDUE = "inspection_overdue"
    INSPECTION_MISMATCH = "inspection_mismatch"
    REFUND_FAILED = "refund_failed"
    REFUND_DIFFERS = "refund_differs"
    MOVED_AFTER_STOP = "moved_after_stop"
    STALLED = "stalled"


@dataclass(frozen=True, slots=True)
class Review:
    """Waits for a human until `due_at`, and is then told again; None: it stays open without another word."""

    cause: ReviewCause
    opened_at: datetime
    due_at: datetime | None
    reminders: int = 0


@dataclass(frozen=True, slots=True)
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
    outbound: Outbound = Outbound()
    formers: tuple[Outbound, ...] = ()
    inbound: Inbound = Inbound()
    money: MoneyLeg = MoneyLeg()
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

    def worth(self, counts: Mapping[str, int]) -> Decimal:
        prices = {line.line_id: line.unit_price.amount for line in self.lines}
        return sum((prices[line_id] * count for line_id, count in counts.items()), Decimal(0))

    def in_review(self, *causes: ReviewCause) -> bool:
        return any(review.cause in causes for review in self.reviews)

    def timers(self) -> Iterator[tuple[str, datetime]]:
        """Every moment at which this case must be looked at again."""
        for name, due_at in (
            ("address", self.address_due_at),
            ("outbound", self.outbound.due_at),
            ("inbound", self.inbound.due_at),
            ("money", self.money.due_at),
            ("choice", self.question.wake_at if self.question else None),
            ("review", min((review.due_at for review in self.reviews if review.due_at), default=None)),
        ):
            if due_at is not None:
                yield name, due_at


def counted(lines: tuple[LineQuantity, ...]) -> Counts:
    return added({}, {}, lines)


def added(counts: Counts, more: Counts, lines: tuple[LineQuantity, ...] = ()) -> Counts:
    """Both together, and the lines too."""
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
