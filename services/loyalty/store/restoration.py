"""Restoration of the ledger from published events: one transaction for all of them, written before the service starts.

Repeatable: an event whose entry, withheld grant or payment is there already is left out.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from libs.common.decisions.facts import Anomaly, CancelTimer, Record, SetTimer
from libs.common.events.envelope import Payload
from libs.common.events.issues import IssueRefunded, IssueRefundReversed
from libs.common.messaging import outbox
from libs.common.postgres.pool import Connection
from services.loyalty.domain.ledger_rules import LedgerRules
from services.loyalty.domain.restoration import HANDLERS, happened_at, restore
from services.loyalty.ledger.accounts import PointsAccount
from services.loyalty.ledger.causes import redemption_cause
from services.loyalty.store.account_loader import BatchReferences
from services.loyalty.store.ledger import LEDGER, LedgerStore
from services.loyalty.store.records import save_records

_IS_WRITTEN = "SELECT EXISTS (SELECT FROM entries WHERE entry_id = $1)"


@dataclass(frozen=True, slots=True)
class RestoredLedger:
    """Count of restored events, and those that could not be carried out, as text."""

    events: int
    refused: tuple[str, ...]


async def restore_ledger(conn: Connection, rules: LedgerRules, events: Sequence[Payload]) -> RestoredLedger:
    """Carry out events of loyalty, and refunds, in the order of their topics. Needs a transaction."""
    store, restored, refused = LedgerStore(rules), 0, list[str]()
    for event in _in_order(events):
        if await _is_written(conn, event):
            continue
        account = await _account(conn, store, event)
        after, facts = restore(account, event, rules)
        await save_records(conn, [fact for fact in facts if isinstance(fact, Record)])
        timers = {
            (account.customer_id, fact.name): (fact, None) for fact in facts if isinstance(fact, SetTimer | CancelTimer)
        }
        await outbox.write_effects(conn, (), LEDGER, timers)
        anomalies = [f"{fact.reason}: {fact.detail}" for fact in facts if isinstance(fact, Anomaly)]
        refused += anomalies
        restored += after is not account and not anomalies
    return RestoredLedger(restored, tuple(refused))


def _in_order(events: Sequence[Payload]) -> list[Payload]:
    """Return the events that are restored, refunds first: their points are then not counted as kept."""
    wanted = [event for event in events if type(event) in HANDLERS]
    return sorted(wanted, key=lambda event: not isinstance(event, IssueRefunded | IssueRefundReversed))


async def _is_written(conn: Connection, event: Payload) -> bool:
    entry_id: UUID | None = getattr(event, "entry_id", None)
    return entry_id is not None and bool(await conn.fetchval(_IS_WRITTEN, entry_id))


async def _account(conn: Connection, store: LedgerStore, event: Payload) -> PointsAccount:
    at: datetime = happened_at(event)
    customer_id: str = event.customer_id  # type: ignore[attr-defined]
    return await store.read_account(conn, customer_id, at, _references(event))


def _references(event: Payload) -> BatchReferences:
    """Return the rows that an event refers to. Refunds alone do not load the order: nothing is granted for it here."""
    references = BatchReferences()
    if (issue_id := getattr(event, "issue_id", None)) is not None:
        references.issues.add(issue_id)
    redemption_id = getattr(event, "redemption_id", None)
    if redemption_id is not None:
        references.redemptions.add(redemption_cause(redemption_id))
    elif (order_id := getattr(event, "order_id", None)) is not None:
        references.orders.add(order_id)
    return references
