"""Points accounts of all customers: loads and locks them, and saves decisions.

A batch costs one statement per table, however many events it holds; tables that its events do not refer to are not
read. Invariants are constraints in `migrations/`, not checks here.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, TypeAlias

import asyncpg

from libs.common.decisions.facts import Facts, Record
from libs.common.events.issues import IssueEvent
from libs.common.events.registry import AnyEvent
from libs.common.postgres.pool import Connection
from services.loyalty.domain.birthdays import MIN_INTERVAL
from services.loyalty.domain.commands import LedgerCommand
from services.loyalty.domain.decide import decide
from services.loyalty.domain.ledger_rules import LedgerRules
from services.loyalty.ledger.accounts import PointsAccount
from services.loyalty.store.account_loader import BatchReferences, account_of, references_of
from services.loyalty.store.records import save_records

LEDGER = "ledger"

# A customer without a balance has no row to lock. Two transactions could then each miss the other's writes: a refund
# finds no points to reverse while the points are being granted for a purchase without a known refund.
_LOCK_NEW_CUSTOMERS = """
    SELECT pg_advisory_xact_lock(lock_key) FROM (
        SELECT hashtextextended('balance of ' || customer_id, 0) AS lock_key
        FROM unnest($1::text[]) AS requested (customer_id)
        WHERE NOT EXISTS (SELECT FROM balances b WHERE b.customer_id = requested.customer_id)
        ORDER BY lock_key) AS new"""
_LOCK_BALANCES = "SELECT * FROM balances WHERE customer_id = ANY($1) ORDER BY customer_id FOR UPDATE"
# Not joined to balances: a statement that waits for a lock keeps its old snapshot of the other tables.
# Columns by name: the release before a migration runs on with the columns that it adds.
_MEMBERSHIPS = """
    SELECT customer_id, tier, since, until, expiry_notified_until FROM memberships WHERE customer_id = ANY($1)"""
# Lots with points to move, lots of the period of limits and tiers, and lots that the events refer to. `LATERAL` with
# `LIMIT` finds the grant of each lot by its id; a join read all entries.
_LOTS = """
    SELECT l.*, e.cause, e.grant_kind, e.expires_on, e.counts_for_tier, e.issue_id, e.order_id, e.points AS granted,
        e.inputs
    FROM lots l CROSS JOIN LATERAL (SELECT * FROM entries WHERE entry_id = l.lot_id LIMIT 1) AS e
    WHERE l.customer_id = ANY($1) AND (
        l.granted_at > $2 OR l.pending > 0 OR l.available > 0 OR l.reserved > 0 OR e.issue_id = ANY($3)
        OR e.order_id = ANY($4)
        OR l.lot_id = ANY (ARRAY(SELECT lot_id FROM entries WHERE cause = ANY($5) AND kind = 'reserve')))
    ORDER BY l.granted_at, e.number"""
_WITHHELD = """
    SELECT cause, customer_id, issue_id, code, at, order_id, points, review_by, inputs, staff, note
    FROM withheld_grants WHERE issue_id = ANY($1)"""
_SPENDING = """
    SELECT DISTINCT cause FROM entries
    WHERE kind IN ('reserve', 'return') AND order_id = ANY (
        $1::text[] || ARRAY(SELECT order_id FROM entries WHERE cause = ANY($2) AND kind = 'reserve'))"""
_REDEMPTIONS = """
    SELECT customer_id, cause, kind, lot_id, points, order_id, due_at FROM entries
    WHERE cause = ANY($1) AND kind IN ('reserve', 'release', 'redeem', 'return') ORDER BY number"""
_PURCHASES = """
    SELECT key AS order_id, customer_id, body ->> 'kept_amount' AS amount, body ->> 'currency' AS currency,
           body ->> 'kept_lines' AS lines, body ->> 'spent_points' AS spent_points,
           body ->> 'spent_value' AS spent_value, body ->> 'goods_amount' AS goods_amount
    FROM orders WHERE key = ANY($1)"""
_REFUNDS = """
    SELECT refund_id, customer_id, order_id, amount, currency, at, line_amounts, is_lost
    FROM refunds WHERE order_id = ANY($1)"""
_ADJUSTMENTS = "SELECT DISTINCT customer_id, cause FROM entries WHERE customer_id = ANY($1) AND cause = ANY($2)"
_BIRTHDAYS = "SELECT customer_id, month_day FROM birthdays WHERE customer_id = ANY($1)"

RowsByCustomer: TypeAlias = Mapping[str, Mapping[str, list[asyncpg.Record]]]


@dataclass(frozen=True, slots=True)
class LedgerStore:
    """Aggregate of points accounts, keyed by customer."""

    rules: LedgerRules
    name: str = LEDGER
    is_read_model = False

    def key_of(self, event: AnyEvent) -> str | None:
        return event.data.customer_id if isinstance(event.data, IssueEvent | LedgerCommand) else None

    async def load(self, conn: Connection, keys: Sequence[str], events: Sequence[AnyEvent]) -> dict[str, PointsAccount]:
        """Lock these customers and load the rows that the events refer to.

        Rows are read after the lock is held, so that they include the previous holder's writes. Customers without a
        balance are locked by name first, so that no two transactions wait for each other.
        """
        references = references_of(events)
        balances = await self.lock(conn, keys)
        if references.orders or references.redemptions:
            spending = await conn.fetch(_SPENDING, list(references.orders), list(references.redemptions))
            references.redemptions.update(row["cause"] for row in spending)
        rows = await self._read(conn, sorted(keys), references, newest=max(event.time for event in events))
        return {key: account_of(key, balances.get(key), rows[key]) for key in keys}

    async def lock(self, conn: Connection, keys: Sequence[str]) -> Mapping[str, asyncpg.Record]:
        """Lock these customers, and return the balances of those that have any."""
        await conn.execute(_LOCK_NEW_CUSTOMERS, keys)
        return {row["customer_id"]: row for row in await conn.fetch(_LOCK_BALANCES, sorted(keys))}

    async def read_account(
        self, conn: Connection, customer_id: str, now: datetime, references: BatchReferences | None = None
    ) -> PointsAccount:
        """Return the account of a locked customer, with its lots, its membership and the rows that are referred to."""
        balances = await self.lock(conn, [customer_id])
        rows = await self._read(conn, [customer_id], references or BatchReferences(), newest=now)
        return account_of(customer_id, balances.get(customer_id), rows[customer_id])

    async def _read(
        self, conn: Connection, keys: list[str], references: BatchReferences, newest: datetime
    ) -> RowsByCustomer:
        rows: dict[str, dict[str, list[asyncpg.Record]]] = defaultdict(lambda: defaultdict(list))
        for table, (query, *values) in self._queries(keys, references, newest - self._window()).items():
            for row in await conn.fetch(query, *values):
                rows[row["customer_id"]][table].append(row)
        return rows

    def _queries(self, keys: list[str], references: BatchReferences, begin: datetime) -> dict[str, tuple[Any, ...]]:
        """Return query and values per kind of row; only those that the events refer to."""
        issues, orders = sorted(references.issues), sorted(references.orders)
        redemptions = sorted(references.redemptions)
        queries: dict[str, tuple[Any, ...]] = {
            "lots": (_LOTS, keys, begin, issues, orders, redemptions),
            "memberships": (_MEMBERSHIPS, keys),
        }
        if issues:
            queries["withheld"] = (_WITHHELD, issues)
        if redemptions:
            queries["redemptions"] = (_REDEMPTIONS, redemptions)
        if orders:
            queries |= {"purchases": (_PURCHASES, orders), "refunds": (_REFUNDS, orders)}
        if references.adjustments:
            queries["adjustments"] = (_ADJUSTMENTS, keys, sorted(references.adjustments))
        if references.birthdays:
            queries["birthdays"] = (_BIRTHDAYS, sorted(references.birthdays))
        return queries

    def _window(self) -> timedelta:
        """Return how far back limits, tiers and birthdays look."""
        rules = self.rules.award
        limits = rules.limits.days if rules.limits else 0
        tiers = 2 * rules.tier_days if rules.tiers else 0
        return max(timedelta(days=max(limits, tiers) + 1), MIN_INTERVAL)

    def decide(self, state: PointsAccount | None, event: AnyEvent, now: datetime) -> tuple[PointsAccount, Facts]:
        account = state or PointsAccount(self.key_of(event) or event.subject or "")
        return decide(account, event, now, self.rules)

    async def save(self, conn: Connection, changed: Mapping[str, PointsAccount], records: Sequence[Record]) -> None:
        await save_records(conn, records)
