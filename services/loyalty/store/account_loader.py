"""Rows to points accounts, and events to the rows that they refer to."""

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import TypeAlias
from uuid import UUID

import asyncpg
from pydantic import TypeAdapter

from libs.common.decisions.facts import TimerFired
from libs.common.events.issues import IssueEvent, IssueRefunded, IssueRefundReversed, IssueResolved
from libs.common.events.loyalty import GrantKind
from libs.common.events.registry import AnyEvent
from libs.common.events.values import Remedy
from services.loyalty.domain import timers
from services.loyalty.domain.commands import AdjustPoints, DecideReview, RedemptionCommand, ReservePoints
from services.loyalty.ledger.accounts import (
    Balances,
    PointsAccount,
    PointsLot,
    PurchaseLine,
    PurchaseValue,
    Redemption,
    RedemptionState,
)
from services.loyalty.ledger.causes import (
    adjustment_cause,
    id_of,
    issue_id_of,
    order_id_of,
    redemption_cause,
    redemption_id_of,
)
from services.loyalty.ledger.entries import EntryKind, LedgerAccount, Membership, OrderRefund, WithheldGrant

Row: TypeAlias = asyncpg.Record

_PURCHASE_LINES: TypeAdapter[dict[str, PurchaseLine]] = TypeAdapter(dict[str, PurchaseLine])


@dataclass(slots=True)
class BatchReferences:
    """Ids and causes that the events of a batch refer to; `birthdays` are customer ids."""

    issues: set[UUID] = field(default_factory=set)
    orders: set[str] = field(default_factory=set)
    redemptions: set[str] = field(default_factory=set)
    birthdays: set[str] = field(default_factory=set)
    adjustments: set[str] = field(default_factory=set)


def references_of(events: Iterable[AnyEvent]) -> BatchReferences:
    references = BatchReferences()
    for event in events:
        match event.data:
            case IssueRefunded(order_id=order_id) | IssueRefundReversed(order_id=order_id):
                references.orders.add(order_id)
            case IssueResolved(issue_id=issue_id, order_id=order_id, remedy=Remedy.REFUND):
                references.issues.add(issue_id)
                references.orders.add(order_id)
            case IssueEvent(issue_id=issue_id):
                references.issues.add(issue_id)
            case DecideReview(cause=cause):
                references.issues.add(issue_id_of(cause))
            case ReservePoints(redemption_id=redemption_id) | RedemptionCommand(redemption_id=redemption_id):
                references.redemptions.add(redemption_cause(redemption_id))
            case AdjustPoints(adjustment_id=adjustment_id):
                references.adjustments.add(adjustment_cause(adjustment_id))
            case TimerFired(name=name):
                _add_timer(references, name, event.subject or "")
    return references


def _add_timer(references: BatchReferences, name: str, customer_id: str) -> None:
    kind, key = timers.split_timer_name(name)
    if kind in (timers.VEST, timers.REVIEW, timers.MERGED_REVERSAL) and key.startswith("issue:"):
        references.issues.add(issue_id_of(key))
    elif kind == timers.VEST:
        references.orders.add(order_id_of(key))
    elif kind == timers.PURCHASE:
        references.orders.add(timers.purchase_order_id(key))
    elif kind == timers.MERGED_REFUND:
        references.orders.add(key)
    elif kind == timers.RESERVATION:
        references.redemptions.add(redemption_cause(UUID(key)))
    elif kind == timers.BIRTHDAY:
        references.birthdays.add(customer_id)


def account_of(customer_id: str, row: Row | None, rows: Mapping[str, Sequence[Row]]) -> PointsAccount:
    """Build an account from its row of `balances` (None if it has no entries) and further rows by kind."""
    return PointsAccount(
        customer_id,
        row["number"] if row else 0,
        Balances(**balances_of(row)),
        {lot["cause"]: _lot(lot) for lot in rows.get("lots", ())},
        {withheld["cause"]: WithheldGrant(**dict(withheld)) for withheld in rows.get("withheld", ())},
        next((Membership(**dict(membership)) for membership in rows.get("memberships", ())), None),
        {purchase["order_id"]: _purchase(purchase) for purchase in rows.get("purchases", ())},
        {refund["refund_id"]: OrderRefund(**dict(refund)) for refund in rows.get("refunds", ())},
        _redemptions(rows.get("redemptions", ())),
        next((birthday["month_day"] for birthday in rows.get("birthdays", ())), None),
        frozenset(id_of(adjustment["cause"]) for adjustment in rows.get("adjustments", ())),
    )


def balances_of(row: Row | None) -> dict[str, int]:
    """Return points per account of a row of `balances` or `lots`; zero for no row."""
    return {account.value: row[account] if row else 0 for account in LedgerAccount}


def _lot(row: Row) -> PointsLot:
    return PointsLot(
        row["lot_id"],
        row["cause"],
        GrantKind(row["grant_kind"]),
        Balances(**balances_of(row)),
        row["granted_at"],
        row["expires_on"],
        row["counts_for_tier"],
        row["issue_id"],
        row["order_id"],
        row["granted"],
        json.loads(row["inputs"]),
    )


def _purchase(row: Row) -> PurchaseValue:
    lines = _PURCHASE_LINES.validate_json(row["lines"] or "{}")
    return PurchaseValue(
        row["order_id"],
        Decimal(row["amount"]),
        row["currency"],
        lines,
        int(row["spent_points"] or 0),
        Decimal(row["spent_value"] or 0),
        Decimal(row["goods_amount"] or 0),
    )


def _redemptions(rows: Sequence[Row]) -> dict[UUID, Redemption]:
    by_id: dict[UUID, list[Row]] = {}
    for row in rows:
        by_id.setdefault(redemption_id_of(row["cause"]), []).append(row)
    redemptions = map(redemption_of, by_id.values())
    return {redemption.redemption_id: redemption for redemption in redemptions}


STATES = {
    EntryKind.RESERVE: RedemptionState.RESERVED,
    EntryKind.RELEASE: RedemptionState.RELEASED,
    EntryKind.REDEEM: RedemptionState.COMMITTED,
    EntryKind.RETURN: RedemptionState.RETURNED,
}


def redemption_of(rows: Sequence[Row]) -> Redemption:
    """Build a redemption from all of its entries in order; the last entry determines its state.

    As long as only a part was returned, it stays committed.
    """
    reserved = [row for row in rows if row["kind"] == EntryKind.RESERVE]
    first, returned = reserved[0], Counter[UUID]()
    for row in rows:
        if row["kind"] == EntryKind.RETURN:
            returned[row["lot_id"]] += row["points"]
    parts = {row["lot_id"]: row["points"] for row in reserved}
    is_part = bool(returned) and sum(returned.values()) < sum(parts.values())
    state = RedemptionState.COMMITTED if is_part else STATES[EntryKind(rows[-1]["kind"])]
    return Redemption(id_of(first["cause"]), first["order_id"], state, parts, first["due_at"], returned)
