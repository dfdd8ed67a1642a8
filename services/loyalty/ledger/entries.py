"""Rows of the points ledger, in double entry.

Every grant is a lot. An entry moves points of one lot from one account to another, so no entry can create or lose
points. `issued` is the shop's account (points granted, as a negative number); all others belong to the customer.
Spent points that were not due become `debt`, below zero, until later points pay for them.
"""

import json
from collections.abc import Mapping
from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum
from uuid import UUID

from libs.common.decisions.facts import Record
from libs.common.decisions.fast_dataclass import dataclass
from libs.common.events.loyalty import GrantKind, LegalBasis


class LedgerAccount(StrEnum):
    """An account of the shop (`issued`) or of the customer."""

    ISSUED = "issued"
    PENDING = "pending"
    AVAILABLE = "available"
    RESERVED = "reserved"
    SPENT = "spent"
    EXPIRED = "expired"
    DEBT = "debt"


class EntryKind(StrEnum):
    """Type of a movement; the migration lists the accounts that each may move points between."""

    GRANT = "grant"
    VEST = "vest"
    SETTLE = "settle"
    REVERSE = "reverse"
    RESERVE = "reserve"
    RELEASE = "release"
    REDEEM = "redeem"
    RETURN = "return"
    EXPIRE = "expire"
    ADJUST = "adjust"


@dataclass(frozen=True, slots=True)
class Entry(Record):
    """One movement of points of one lot; the fields from `grant_kind` on are set for grants only."""

    entry_id: UUID
    customer_id: str
    number: int
    kind: EntryKind
    cause: str
    lot_id: UUID
    from_account: LedgerAccount
    to_account: LedgerAccount
    points: int
    at: datetime
    text: str
    issue_id: UUID | None = None
    order_id: str | None = None
    note: str | None = None
    staff: str | None = None
    due_at: datetime | None = None
    grant_kind: GrantKind | None = None
    rule: str | None = None
    rule_version: str | None = None
    legal_basis: LegalBasis | None = None
    counts_for_tier: bool | None = None
    expires_on: date | None = None
    inputs: str | None = None


@dataclass(frozen=True, slots=True)
class WithheldGrant(Record):
    """A cause (one resolution, or a whole issue) that earns no points, unless an open review is approved."""

    cause: str
    customer_id: str
    issue_id: UUID
    code: str
    at: datetime
    order_id: str | None = None
    points: int = 0
    review_by: datetime | None = None
    inputs: str | None = None
    staff: str | None = None
    note: str | None = None

    @property
    def in_review(self) -> bool:
        return self.review_by is not None


@dataclass(frozen=True, slots=True)
class OrderRefund(Record):
    """Money paid back to a customer for an order, by line; an amount below zero came back to the shop.

    Of an order that points alone paid for it is the value of goods whose points go back.

    `refund_id` is the id of one payment: a refund in parts has several. `is_lost`: the units never arrived.
    """

    refund_id: UUID
    customer_id: str
    order_id: str
    amount: Decimal
    currency: str
    at: datetime
    line_amounts: str = "{}"
    is_lost: bool = False

    @property
    def lines(self) -> Mapping[str, Decimal]:
        """Return the amounts by order line, empty if the refund names none."""
        return {line_id: Decimal(amount) for line_id, amount in json.loads(self.line_amounts).items()}


@dataclass(frozen=True, slots=True)
class ExperimentExposure(Record):
    """First time that a customer's issue earned points while the holdout was on: the follow-up starts here."""

    customer_id: str
    experiment: str
    arm: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Membership(Record):
    """A customer's tier, and the last day of expiry that was announced to them."""

    customer_id: str
    tier: str = ""
    since: datetime | None = None
    until: datetime | None = None
    expiry_notified_until: date | None = None
