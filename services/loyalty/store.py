"""All SQL of loyalty, and the ledger as the shell drives it.

A batch costs two reads and two writes however many events it holds. What must hold is in the constraints of
`migrations/0001_ledger.sql`; here nothing is checked before it is written.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import astuple, dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import asyncpg

from libs.common.db import ConflictError, Connection
from libs.common.decision import Facts, Record, TimerFired
from libs.common.events.issues import IssueEvent
from libs.common.events.registry import AnyEvent
from services.loyalty import domain
from services.loyalty.domain import Account, Entry, Grant, Kind, Withhold
from services.loyalty.rules import AwardRules

WITHHELD = "withheld"

_LOCK = """
    SELECT customer_id, number, pending, final FROM balances
    WHERE customer_id = ANY($1) ORDER BY customer_id FOR UPDATE"""
_SAID = f"""
    SELECT customer_id, cause, kind, pending AS points FROM entries WHERE issue_id = ANY($1)
    UNION ALL
    SELECT customer_id, cause, '{WITHHELD}', 0 FROM withheld WHERE issue_id = ANY($1)"""  # noqa: S608
_ENTER = """
    INSERT INTO entries (entry_id, customer_id, number, kind, cause, issue_id, pending, final,
                         pending_after, final_after, rule, rule_version, at)
    SELECT * FROM unnest($1::uuid[], $2::text[], $3::bigint[], $4::text[], $5::text[], $6::uuid[], $7::bigint[],
                         $8::bigint[], $9::bigint[], $10::bigint[], $11::text[], $12::text[], $13::timestamptz[])"""
_BALANCE = """
    INSERT INTO balances AS old (customer_id, number, pending, final)
    SELECT * FROM unnest($1::text[], $2::bigint[], $3::bigint[], $4::bigint[])
    ON CONFLICT (customer_id) DO UPDATE
    SET number = excluded.number, pending = excluded.pending, final = excluded.final"""
_WITHHOLD = """
    INSERT INTO withheld (cause, customer_id, issue_id, at)
    SELECT * FROM unnest($1::text[], $2::text[], $3::uuid[], $4::timestamptz[])
    ON CONFLICT DO NOTHING"""
_PAGE = """
    SELECT number, entry_id, kind, cause, issue_id, points, pending, final, pending_after, final_after,
           rule, rule_version, at
    FROM entries WHERE customer_id = $1 AND number < $2 ORDER BY number DESC LIMIT $3"""
_UNBALANCED = """
    SELECT customer_id
    FROM (SELECT customer_id, sum(pending) AS pending, sum(final) AS final FROM entries GROUP BY customer_id) AS sums
    FULL JOIN balances USING (customer_id)
    WHERE (sums.pending, sums.final) IS DISTINCT FROM (balances.pending, balances.final)"""


@dataclass(frozen=True, slots=True)
class Ledger:
    """The accounts of all customers, keyed by customer."""

    rules: AwardRules
    name: str = "ledger"

    def key_of(self, event: AnyEvent) -> str | None:
        return event.data.customer_id if isinstance(event.data, IssueEvent) else None

    async def load(self, conn: Connection, keys: Sequence[str], events: Sequence[AnyEvent]) -> dict[str, Account]:
        """The locked balances of these customers, and what the ledger says of the issues that these events name.

        The ledger is read after the lock was got, so that it shows what whoever held the lock before has written.
        """
        standing = {row["customer_id"]: row for row in await conn.fetch(_LOCK, sorted(keys))}
        said = _by_customer(await conn.fetch(_SAID, sorted(set(_issues(events)))))
        return {key: _account(key, standing.get(key), said[key]) for key in keys}

    def decide(self, state: Account | None, event: AnyEvent, now: datetime) -> tuple[Account, Facts]:
        account = state or Account(self.key_of(event) or event.subject or "")
        return domain.decide(self.rules, account, event, now)

    async def save(self, conn: Connection, changed: Mapping[str, Account], records: Sequence[Record]) -> None:
        """Append to the ledger; balances follow from the last entry of each customer."""
        entries = [record for record in records if isinstance(record, Entry)]
        if entries:
            await _append(conn, entries)
        withheld = [record for record in records if isinstance(record, Withhold)]
        if withheld:
            await conn.execute(_WITHHOLD, *_columns(withheld))


async def balance_of(conn: Connection, customer_id: str) -> tuple[int, int]:
    """Pending and final points; a customer of whom nothing is known has none."""
    row = await conn.fetchrow("SELECT pending, final FROM balances WHERE customer_id = $1", customer_id)
    return (row["pending"], row["final"]) if row else (0, 0)


async def page_of(conn: Connection, customer_id: str, before: int, limit: int) -> list[asyncpg.Record]:
    """Entries below the number `before`, newest first."""
    return await conn.fetch(_PAGE, customer_id, before, limit)


async def unbalanced(conn: Connection) -> list[str]:
    """Customers whose balance is not the sum of their entries: always none (invariant 10)."""
    return [row["customer_id"] for row in await conn.fetch(_UNBALANCED)]


async def _append(conn: Connection, entries: Sequence[Entry]) -> None:
    last = {entry.customer_id: entry for entry in entries}
    balances = [(key, entry.number, entry.pending_after, entry.final_after) for key, entry in sorted(last.items())]
    try:
        await conn.execute(_ENTER, *_columns(entries))
    except asyncpg.UniqueViolationError as error:
        # A customer's first entry has no balance to lock; two first ones at a time meet here. A cause that was
        # granted to another customer is no such race: it would fail for ever, and is for ops to see.
        if error.constraint_name in ("entries_do_not_fork", "entries_balance"):
            raise ConflictError("entries: another transaction made the same customer's entry first") from error
        raise
    await conn.execute(_BALANCE, *zip(*balances, strict=True))


def _columns(rows: Sequence[Entry] | Sequence[Withhold]) -> list[tuple[Any, ...]]:
    return list(zip(*map(astuple, rows), strict=True))


def _issues(events: Iterable[AnyEvent]) -> Iterable[UUID]:
    for event in events:
        match event.data:
            case IssueEvent(issue_id=issue_id):
                yield issue_id
            case TimerFired(name=name) if name.startswith(domain.FINALISE):
                yield domain.issue_of(name.removeprefix(domain.FINALISE))


def _by_customer(rows: Iterable[asyncpg.Record]) -> dict[str, dict[str, dict[str, int]]]:
    """customer -> cause -> kind -> change of the pending column."""
    said: dict[str, dict[str, dict[str, int]]] = defaultdict(lambda: defaultdict(dict))
    for row in rows:
        said[row["customer_id"]][row["cause"]][row["kind"]] = row["points"]
    return said


def _account(customer_id: str, row: asyncpg.Record | None, said: Mapping[str, Mapping[str, int]]) -> Account:
    number, pending, final = (row["number"], row["pending"], row["final"]) if row else (0, 0, 0)
    grants = {
        cause: Grant(kinds[Kind.GRANT], final=Kind.FINALISE in kinds, reversed=Kind.REVERSE in kinds)
        for cause, kinds in said.items()
        if Kind.GRANT in kinds
    }
    withheld = frozenset(cause for cause, kinds in said.items() if WITHHELD in kinds)
    return Account(customer_id, number, pending, final, grants, withheld)
