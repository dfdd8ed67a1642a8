"""What a customer's ledger is made of: lots of points, and entries that move them between accounts.

Every grant is a lot. An entry takes points of one lot out of one account and puts them into another, so no entry can
create or lose any: `issued` is the shop's own account (what it gave, as a negative number), all others are the
customer's. Points that were spent and turn out not to be due stand in `debt`, below nothing, until later ones pay.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any
from uuid import UUID

from libs.common.decisions.facts import Record
from libs.common.decisions.fast_replace import replace
from libs.common.decisions.ids import derived_id
from libs.common.events.loyalty import GrantKind, LegalBasis


class Place(StrEnum):
    """An account, of the shop (`issued`) or of the customer."""

    ISSUED = "issued"
    PENDING = "pending"
    AVAILABLE = "available"
    RESERVED = "reserved"
    SPENT = "spent"
    EXPIRED = "expired"
    DEBT = "debt"


class Kind(StrEnum):
    """What an entry does; the migration lists between which accounts each may move points."""

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


@dataclass(frozen=True)
class Purse:
    """Points in each account; together always nothing."""

    issued: int = 0
    pending: int = 0
    available: int = 0
    reserved: int = 0
    spent: int = 0
    expired: int = 0
    debt: int = 0

    def moved(self, source: Place, target: Place, points: int) -> "Purse":
        return replace(self, **{source: self.holds(source) - points, target: self.holds(target) + points})

    def holds(self, place: Place) -> int:
        held: int = getattr(self, place)
        return held

    @property
    def kept(self) -> int:
        """What was given and not taken back."""
        return -self.issued


@dataclass(frozen=True)
class Lot:
    """The points of one grant, and where they are now. `inputs` is what the rule looked at."""

    lot_id: UUID
    cause: str
    what: GrantKind
    purse: Purse
    granted_at: datetime
    expires_on: date
    counts_for_tier: bool = False
    issue_id: UUID | None = None
    order_id: str | None = None
    granted: int = 0
    inputs: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Entry(Record):
    """One movement of points of one lot; the second half is there for grants only."""

    entry_id: UUID
    customer_id: str
    number: int
    kind: Kind
    cause: str
    lot_id: UUID
    from_account: Place
    to_account: Place
    points: int
    at: datetime
    text: str
    issue_id: UUID | None = None
    order_id: str | None = None
    note: str | None = None
    staff: str | None = None
    due_at: datetime | None = None
    what: GrantKind | None = None
    rule: str | None = None
    rule_version: str | None = None
    legal_basis: LegalBasis | None = None
    counts_for_tier: bool | None = None
    expires_on: date | None = None
    inputs: str | None = None


@dataclass(frozen=True, slots=True)
class Withheld(Record):
    """Nothing is granted for this cause (one resolution, or a whole issue), unless an open review says otherwise."""

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
class Refund(Record):
    """Money that went back to a customer for an order."""

    refund_id: UUID
    customer_id: str
    order_id: str
    amount: Decimal
    currency: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Exposure(Record):
    """When a customer's issue first earned points while a share was held out: here a comparison begins."""

    customer_id: str
    experiment: str
    arm: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Purchase:
    """What of an order was delivered and not called off, in money."""

    order_id: str
    amount: Decimal
    currency: str


@dataclass(frozen=True, slots=True)
class Membership(Record):
    """A customer's tier, and up to which day of expiry they were told."""

    customer_id: str
    tier: str = ""
    since: datetime | None = None
    until: datetime | None = None
    told_until: date | None = None


class RedemptionState(StrEnum):
    RESERVED = "reserved"
    COMMITTED = "committed"
    RELEASED = "released"
    RETURNED = "returned"


@dataclass(frozen=True, slots=True)
class Redemption:
    """Points for one purchase: how many of which lot."""

    redemption_id: UUID
    order_id: str
    state: RedemptionState
    parts: Mapping[UUID, int]
    expires_at: datetime | None = None

    @property
    def points(self) -> int:
        return sum(self.parts.values())


@dataclass(frozen=True)
class Account:
    """Where a customer's ledger stands after entry `number`, and what matters of it for the events in hand."""

    customer_id: str
    number: int = 0
    purse: Purse = Purse()
    lots: Mapping[str, Lot] = field(default_factory=dict)
    withheld: Mapping[str, Withheld] = field(default_factory=dict)
    membership: Membership | None = None
    purchases: Mapping[str, Purchase] = field(default_factory=dict)
    refunds: Mapping[UUID, Refund] = field(default_factory=dict)
    redemptions: Mapping[UUID, Redemption] = field(default_factory=dict)
    birthday: str | None = None
    adjusted: frozenset[UUID] = frozenset()

    def member(self) -> Membership:
        return self.membership or Membership(self.customer_id)

    def lots_of(self, *, issue_id: UUID | None = None, order_id: str | None = None) -> list[Lot]:
        """Grants of this issue, or of this order as a purchase, in the order in which they were made."""
        if issue_id:
            return [lot for lot in self.lots.values() if lot.issue_id == issue_id]
        return [lot for lot in self.lots.values() if lot.order_id == order_id and lot.what == GrantKind.PURCHASE]

    def spendable(self) -> list[Lot]:
        """Lots with points that may be spent, those that expire first in front."""
        lots = [lot for lot in self.lots.values() if lot.purse.available]
        return sorted(lots, key=lambda lot: (lot.expires_on, lot.granted_at, lot.lot_id))


def cause_of(issue_id: UUID, resolution: int | None = None) -> str:
    """The key under which an issue earns points at most once; without a resolution it stands for the whole issue."""
    return f"issue:{issue_id}" if resolution is None else f"issue:{issue_id}:{resolution}"


def adjustment_cause(adjustment_id: UUID) -> str:
    """The key under which points are given or taken by hand, once."""
    return f"adjustment:{adjustment_id}"


def issue_of(cause: str) -> UUID:
    return UUID(cause.split(":")[1])


def lot_id_of(cause: str) -> UUID:
    """The lot of a grant, which is also the id of the entry that made it."""
    return derived_id("entry", Kind.GRANT, cause)
