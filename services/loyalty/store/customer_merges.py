"""Merged customers in loyalty: points, tier, orders and timers of the former account become those of the other.

The ledger is moved by a trigger of the owner on `account_merges`: the service itself has no right to change an entry.
"""

from dataclasses import dataclass
from datetime import datetime

from libs.common.decisions.facts import SetTimer
from libs.common.messaging import outbox
from libs.common.postgres.pool import Connection
from libs.common.privacy.customer_merges import Merge
from services.loyalty.domain.account_merges import merged_membership, settle_merged
from services.loyalty.domain.timers import MERGE, MERGED_REFUND, MERGED_REVERSAL, timer_name
from services.loyalty.ledger.entries import Membership
from services.loyalty.store.ledger import LEDGER, LedgerStore
from services.loyalty.store.records import save_records

_MOVE_LEDGER = """
    INSERT INTO account_merges (former_id, customer_id, merged_at, numbered_after)
    SELECT $1, $2, $3, coalesce((SELECT number FROM balances WHERE customer_id = $2), 0)
    WHERE EXISTS (SELECT FROM balances WHERE customer_id = $1)
       OR EXISTS (SELECT FROM refunds WHERE customer_id = $1)
       OR EXISTS (SELECT FROM experiment_exposures WHERE customer_id = $1)"""
_MOVE_ORDERS = """
    UPDATE orders SET version = version + 1, body = jsonb_set(body, '{customer_id}', to_jsonb($2::text))
    WHERE customer_id = $1"""
_MOVE_WITHHELD = "UPDATE withheld_grants SET customer_id = $2 WHERE customer_id = $1"
# The birthday that was provided last counts.
_MOVE_BIRTHDAY = """
    WITH former AS (DELETE FROM birthdays WHERE customer_id = $1 RETURNING *)
    INSERT INTO birthdays AS kept SELECT $2, month_day, provided_at FROM former
    ON CONFLICT (customer_id) DO UPDATE SET month_day = excluded.month_day, provided_at = excluded.provided_at
    WHERE coalesce(excluded.provided_at, '-infinity') > coalesce(kept.provided_at, '-infinity')"""
_MOVE_TIMERS = """
    WITH former AS (DELETE FROM timers WHERE aggregate = 'ledger' AND key = $1 RETURNING *)
    INSERT INTO timers AS kept SELECT aggregate, $2, name, due_at, trace FROM former
    ON CONFLICT (aggregate, key, name) DO UPDATE SET due_at = least(kept.due_at, excluded.due_at)"""
# Topics are consumed at different speeds: the remaining account may be named before its merge arrives. What it undid
# was the former account's then, so it is looked at again.
_REFUNDED_ORDERS = """
    SELECT DISTINCT o.key FROM orders o JOIN refunds r ON r.order_id = o.key
    WHERE o.customer_id = ANY($1) AND r.customer_id = ANY($1) AND r.customer_id <> o.customer_id ORDER BY 1"""
_REVERSED_CAUSES = """
    SELECT w.cause FROM withheld_grants w
    WHERE w.customer_id = ANY($1) AND w.code = 'reversed' AND (
        EXISTS (SELECT FROM entries e WHERE e.issue_id = w.issue_id AND e.customer_id <> w.customer_id)
        OR EXISTS (SELECT FROM withheld_grants r WHERE r.issue_id = w.issue_id AND r.customer_id <> w.customer_id))
    ORDER BY 1"""
_MEMBERSHIPS = """
    SELECT customer_id, tier, since, until, expiry_notified_until FROM memberships
    WHERE customer_id = ANY($1) ORDER BY customer_id FOR UPDATE"""
_DROP_MEMBERSHIP = "DELETE FROM memberships WHERE customer_id = $1"


@dataclass(frozen=True, slots=True)
class AccountMerges:
    """Moves a former account to the one that remains."""

    ledger: LedgerStore

    async def move(self, conn: Connection, merge: Merge, now: datetime) -> None:
        former, remaining = merge.former_id, merge.customer_id
        await self.ledger.lock(conn, [former, remaining])
        again = await _undone_by_the_other(conn, [former, remaining])
        await self._move_membership(conn, former, remaining)
        await conn.execute(_MOVE_LEDGER, former, remaining, now)
        for statement in (_MOVE_ORDERS, _MOVE_WITHHELD, _MOVE_BIRTHDAY, _MOVE_TIMERS):
            await conn.execute(statement, former, remaining, timeout=300)
        account = await self.ledger.read_account(conn, remaining, now)
        cause = f"merge:{merge.passes}:{former}"
        await save_records(conn, settle_merged(account, now, self.ledger.rules, cause))
        timers = {(remaining, name): (SetTimer(name, now), None) for name in (timer_name(MERGE, former), *again)}
        await outbox.write_effects(conn, (), LEDGER, timers)

    async def _move_membership(self, conn: Connection, former: str, remaining: str) -> None:
        rows = await conn.fetch(_MEMBERSHIPS, [former, remaining])
        found = {row["customer_id"]: Membership(**dict(row)) for row in rows}
        if former in found:
            known = found.get(remaining, Membership(remaining))
            await conn.execute(_DROP_MEMBERSHIP, former)
            await save_records(conn, [merged_membership(self.ledger.rules.award, known, found[former])])


async def _undone_by_the_other(conn: Connection, accounts: list[str]) -> list[str]:
    """Return timers for refunds and reversals under one account that concern the other, before they are one."""
    orders = await conn.fetch(_REFUNDED_ORDERS, accounts, timeout=300)
    causes = await conn.fetch(_REVERSED_CAUSES, accounts, timeout=300)
    refunds = [timer_name(MERGED_REFUND, row["key"]) for row in orders]
    return [*refunds, *(timer_name(MERGED_REVERSAL, row["cause"]) for row in causes)]
