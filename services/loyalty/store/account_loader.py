"""From rows to an account, and from events to what of the ledger they need."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import TypeAlias
from uuid import UUID

import asyncpg

from libs.common.decisions.facts import TimerFired
from libs.common.events.issues import IssueEvent, IssueRefunded
from libs.common.events.loyalty import GrantKind
from libs.common.events.registry import AnyEvent
from services.loyalty.domain.commands import AdjustAsked, RedemptionCommand, ReserveAsked, ReviewAnswered
from services.loyalty.domain.purchases import order_of
from services.loyalty.domain.redemptions import cause_of as redemption_cause
from services.loyalty.ledger.accounts import (
    Account,
    Lot,
    Membership,
    Purchase,
    Purse,
    Redemption,
    RedemptionState,
    Refund,
    Withheld,
    adjustment_cause,
    issue_of,
)

Row: TypeAlias = asyncpg.Record


@dataclass(slots=True)
class Asked:
    """What a batch of events names: issues, orders, causes of redemptions and adjustments, customers whose birthday it
    may be."""

    issues: set[UUID] = field(default_factory=set)
    orders: set[str] = field(default_factory=set)
    redemptions: set[str] = field(default_factory=set)
    birthdays: set[str] = field(default_factory=set)
    adjustments: set[str] = field(default_factory=set)


def asked_by(events: Sequence[AnyEvent]) -> Asked:
    asked = Asked()
    for event in events:
        match event.data:
            case IssueRefunded(order_id=order_id):
                asked.orders.add(order_id)
            case IssueEvent(issue_id=issue_id):
                asked.issues.add(issue_id)
            case ReviewAnswered(cause=cause):
                asked.issues.add(issue_of(cause))
            case ReserveAsked(redemption_id=redemption_id) | RedemptionCommand(redemption_id=redemption_id):
                asked.redemptions.add(redemption_cause(redemption_id))
            case AdjustAsked(adjustment_id=adjustment_id):
                asked.adjustments.add(adjustment_cause(adjustment_id))
            case TimerFired(name=name):
                _by_timer(asked, name, event.subject or "")
    return asked


def _by_timer(asked: Asked, name: str, customer_id: str) -> None:
    word, _, rest = name.partition(":")
    if word in ("vest", "review") and rest.startswith("issue:"):
        asked.issues.add(issue_of(rest))
    elif word == "vest":
        asked.orders.add(order_of(rest))
    elif word == "purchase":
        asked.orders.add(rest.partition(":")[2])
    elif word == "release":
        asked.redemptions.add(redemption_cause(UUID(rest)))
    elif word == "birthday":
        asked.birthdays.add(customer_id)


def account_of(customer_id: str, row: Row | None, found: Mapping[str, Sequence[Row]]) -> Account:
    return Account(
        customer_id,
        row["number"] if row else 0,
        _purse(row) if row else Purse(),
        {lot["cause"]: _lot(lot) for lot in found.get("lots", ())},
        {each["cause"]: Withheld(**dict(each)) for each in found.get("withheld", ())},
        next((Membership(**dict(each)) for each in found.get("members", ())), None),
        {each["order_id"]: _purchase(each) for each in found.get("purchases", ())},
        {each["refund_id"]: Refund(**dict(each)) for each in found.get("refunds", ())},
        _redemptions(found.get("redemptions", ())),
        next((each["month_day"] for each in found.get("birthdays", ())), None),
        frozenset(UUID(each["cause"].partition(":")[2]) for each in found.get("adjustments", ())),
    )


def _purse(row: Row) -> Purse:
    return Purse(
        row["issued"], row["pending"], row["available"], row["reserved"], row["spent"], row["expired"], row["debt"]
    )


def _lot(row: Row) -> Lot:
    return Lot(
        row["lot_id"],
        row["cause"],
        GrantKind(row["what"]),
        _purse(row),
        row["granted_at"],
        row["expires_on"],
        row["counts_for_tier"],
        row["issue_id"],
        row["order_id"],
        row["granted"],
        json.loads(row["inputs"]),
    )


def _purchase(row: Row) -> Purchase:
    return Purchase(row["order_id"], Decimal(row["amount"]), row["currency"])


def _redemptions(rows: Sequence[Row]) -> dict[UUID, Redemption]:
    """The state of a redemption is the last that the ledger says of it."""
    causes = dict.fromkeys(row["cause"] for row in rows)
    return {
        one.redemption_id: one for cause in causes for one in [redemption_of([r for r in rows if r["cause"] == cause])]
    }


STATES = {
    "reserve": RedemptionState.RESERVED,
    "release": RedemptionState.RELEASED,
    "redeem": RedemptionState.COMMITTED,
    "return": RedemptionState.RETURNED,
}


def redemption_of(rows: Sequence[Row]) -> Redemption:
    """One redemption, out of all of its entries in their order."""
    reserved = [row for row in rows if row["kind"] == "reserve"]
    first = reserved[0]
    return Redemption(
        UUID(first["cause"].partition(":")[2]),
        first["order_id"],
        STATES[rows[-1]["kind"]],
        {row["lot_id"]: row["points"] for row in reserved},
        first["due_at"],
    )
