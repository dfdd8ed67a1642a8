"""State of one customer's points: balances per account, lots, redemptions, and what was withheld or refunded."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any
from uuid import UUID

from libs.common.decisions.fast_replace import replace
from libs.common.events.loyalty import GrantKind
from services.loyalty.ledger.entries import LedgerAccount, Membership, OrderRefund, WithheldGrant


@dataclass(frozen=True)
class Balances:
    """Points in each account; their sum is always zero."""

    issued: int = 0
    pending: int = 0
    available: int = 0
    reserved: int = 0
    spent: int = 0
    expired: int = 0
    debt: int = 0

    def transfer(self, source: LedgerAccount, target: LedgerAccount, points: int) -> "Balances":
        moved = {source: self.balance_of(source) - points, target: self.balance_of(target) + points}
        return replace(self, **moved)

    def balance_of(self, account: LedgerAccount) -> int:
        balance: int = getattr(self, account)
        return balance

    @property
    def net_granted(self) -> int:
        """Points granted less points reversed."""
        return -self.issued


@dataclass(frozen=True)
class PointsLot:
    """The points of one grant and the accounts they are in now. `inputs` is what the award rule was applied to."""

    lot_id: UUID
    cause: str
    kind: GrantKind
    balances: Balances
    granted_at: datetime
    expires_on: date
    counts_for_tier: bool = False
    issue_id: UUID | None = None
    order_id: str | None = None
    granted: int = 0
    inputs: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class PurchaseLine:
    """Money paid for the units of a line that were not cancelled, and for those of them that arrived."""

    paid: Decimal
    delivered: Decimal


@dataclass(frozen=True, slots=True)
class PurchaseValue:
    """Money paid for the goods of an order that were delivered and not cancelled, in total and by line.

    `spent_points` paid `spent_value` of `goods_amount`, the price of all goods of the order.
    """

    order_id: str
    amount: Decimal
    currency: str
    lines: Mapping[str, PurchaseLine] = field(default_factory=dict)
    spent_points: int = 0
    spent_value: Decimal = Decimal(0)
    goods_amount: Decimal = Decimal(0)

    @property
    def is_paid_with_points_only(self) -> bool:
        return self.spent_points > 0 and 0 < self.goods_amount <= self.spent_value

    def spent_points_of(self, refunded: Decimal) -> int:
        """Return the spent points that belong to goods for which this money was paid back; the last ones with all.

        For an order that points alone paid for, `refunded` is the value of the goods.
        """
        whole = self.goods_amount if self.is_paid_with_points_only else self.goods_amount - self.spent_value
        if not self.spent_points or whole <= 0 or refunded <= 0:
            return 0
        return int(self.spent_points * min(refunded / whole, Decimal(1)))

    def kept_after(self, refunds: Iterable[OrderRefund]) -> Decimal:
        """Return what is left after refunds.

        A refund takes from its own lines only. What was lost on the way is taken from what did not arrive first, so
        that a lost unit never costs the points of one that was kept. A refund that names no line takes from the total.
        """
        back: dict[str, Decimal] = {}
        back_delivered: dict[str, Decimal] = {}
        unnamed: dict[bool, Decimal] = {True: Decimal(0), False: Decimal(0)}
        for refund in refunds:
            unnamed[refund.is_lost] += Decimal(0) if refund.lines else refund.amount
            for line_id, amount in refund.lines.items():
                back[line_id] = back.get(line_id, Decimal(0)) + amount
                if not refund.is_lost:
                    back_delivered[line_id] = back_delivered.get(line_id, Decimal(0)) + amount
        if not self.lines:
            return max(self.amount - sum(unnamed.values()) - sum(back.values()), Decimal(0))
        kept = arriving = Decimal(0)
        for line_id, line in self.lines.items():
            left = line.paid - back.get(line_id, Decimal(0))
            kept_of_line = max(min(line.delivered - back_delivered.get(line_id, Decimal(0)), left), Decimal(0))
            kept, arriving = kept + kept_of_line, arriving + max(left - kept_of_line, Decimal(0))
        lost_of_kept = max(unnamed[True] - arriving, Decimal(0))
        return max(kept - unnamed[False] - lost_of_kept, Decimal(0))


class RedemptionState(StrEnum):
    RESERVED = "reserved"
    COMMITTED = "committed"
    RELEASED = "released"
    RETURNED = "returned"


@dataclass(frozen=True, slots=True)
class Redemption:
    """Points spent on one purchase, per lot; `returned` are those of them that refunds returned."""

    redemption_id: UUID
    order_id: str
    state: RedemptionState
    parts: Mapping[UUID, int]
    expires_at: datetime | None = None
    returned: Mapping[UUID, int] = field(default_factory=dict)

    @property
    def points(self) -> int:
        return sum(self.parts.values())

    @property
    def spent_parts(self) -> dict[UUID, int]:
        """Return the points per lot that were not returned."""
        left = {lot_id: points - self.returned.get(lot_id, 0) for lot_id, points in self.parts.items()}
        return {lot_id: points for lot_id, points in left.items() if points}


@dataclass(frozen=True)
class PointsAccount:
    """A customer's points after entry `number`, with the rows that the events of one batch refer to."""

    customer_id: str
    number: int = 0
    balances: Balances = Balances()
    lots: Mapping[str, PointsLot] = field(default_factory=dict)
    withheld: Mapping[str, WithheldGrant] = field(default_factory=dict)
    membership: Membership | None = None
    purchases: Mapping[str, PurchaseValue] = field(default_factory=dict)
    refunds: Mapping[UUID, OrderRefund] = field(default_factory=dict)
    redemptions: Mapping[UUID, Redemption] = field(default_factory=dict)
    birthday: str | None = None
    adjustments: frozenset[UUID] = frozenset()

    def current_membership(self) -> Membership:
        return self.membership or Membership(self.customer_id)

    def lots_for(self, *, issue_id: UUID | None = None, order_id: str | None = None) -> list[PointsLot]:
        """Grants of this issue, or of this order as a purchase, oldest first."""
        if issue_id:
            return [lot for lot in self.lots.values() if lot.issue_id == issue_id]
        return [lot for lot in self.lots.values() if lot.order_id == order_id and lot.kind == GrantKind.PURCHASE]

    def spendable(self) -> list[PointsLot]:
        """Lots with available points, earliest expiry first."""
        lots = [lot for lot in self.lots.values() if lot.balances.available]
        return sorted(lots, key=lambda lot: (lot.expires_on, lot.granted_at, lot.lot_id))
