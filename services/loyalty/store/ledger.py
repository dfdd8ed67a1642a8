"""All SQL that decides and writes: the ledger of customers and the orders, as the shell drives them.

A batch costs one statement per table however many events it holds, and tables that its events do not concern are not
asked. What must hold is in the constraints of `migrations/`; here nothing is checked before it is written.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from datetime import datetime, timedelta
from functools import cache
from operator import attrgetter
from typing import Any

import asyncpg
from pydantic import TypeAdapter

from libs.common.decisions.facts import Facts, Record
from libs.common.decisions.fast_replace import replace
from libs.common.events.issues import IssueEvent
from libs.common.events.registry import AnyEvent
from libs.common.events.storefront import StorefrontOrderEvent
from libs.common.postgres.pool import ConflictError, Connection
from libs.common.postgres.state_table import StateTable
from services.loyalty.domain import decide as domain
from services.loyalty.domain import orders
from services.loyalty.domain.birthdays import NOT_AGAIN_FOR
from services.loyalty.domain.birthdays import TIMER as BIRTHDAY
from services.loyalty.domain.commands import LedgerCommand
from services.loyalty.domain.decision_context import Terms
from services.loyalty.domain.orders import BirthdayTold, HandOver, Order
from services.loyalty.domain.purchases import timer_of
from services.loyalty.ledger.accounts import Account, Entry, Exposure, Membership, Refund, Withheld
from services.loyalty.store.account_loader import Asked, account_of, asked_by

LEDGER = "ledger"

# A customer without a balance has no row to lock. Two transactions could then each miss what the other writes: a refund
# finds no points to take back while the points are being granted for a purchase that no refund is known of.
_LOCK_NEW = """
    SELECT pg_advisory_xact_lock(place) FROM (
        SELECT hashtextextended('balance of ' || customer_id, 0) AS place FROM unnest($1::text[]) AS asked (customer_id)
        WHERE NOT EXISTS (SELECT FROM balances b WHERE b.customer_id = asked.customer_id) ORDER BY place) AS new"""
_LOCK = "SELECT * FROM balances WHERE customer_id = ANY($1) ORDER BY customer_id FOR UPDATE"
# Not joined to the balances: while that statement waits for a lock, it goes on seeing the tiers of before.
_MEMBERS = "SELECT * FROM members WHERE customer_id = ANY($1)"
# What may matter: lots with points to move, those of the period that limits and tiers look at, those asked for by name.
# `LATERAL` with its limit finds the grant of each lot by its id; a join read all entries there ever were, each time.
_LOTS = """
    SELECT l.*, e.cause, e.what, e.expires_on, e.counts_for_tier, e.issue_id, e.order_id, e.points AS granted, e.inputs
    FROM lots l CROSS JOIN LATERAL (SELECT * FROM entries WHERE entry_id = l.lot_id LIMIT 1) AS e
    WHERE l.customer_id = ANY($1) AND (
        l.granted_at > $2 OR l.pending > 0 OR l.available > 0 OR l.reserved > 0 OR e.issue_id = ANY($3)
        OR e.order_id = ANY($4)
        OR l.lot_id = ANY (ARRAY(SELECT lot_id FROM entries WHERE cause = ANY($5) AND kind = 'reserve')))
    ORDER BY l.granted_at, e.number"""
_WITHHELD = "SELECT * FROM withheld WHERE issue_id = ANY($1)"
_REDEMPTIONS = """
    SELECT customer_id, cause, kind, lot_id, points, order_id, due_at FROM entries
    WHERE cause = ANY($1) AND kind IN ('reserve', 'release', 'redeem', 'return') ORDER BY number"""
_PURCHASES = """
    SELECT key AS order_id, customer_id, body ->> 'kept' AS amount, body ->> 'currency' AS currency
    FROM orders WHERE key = ANY($1)"""
_REFUNDS = "SELECT * FROM refunds WHERE order_id = ANY($1)"
_ADJUSTMENTS = "SELECT DISTINCT customer_id, cause FROM entries WHERE customer_id = ANY($1) AND cause = ANY($2)"
_BIRTHDAYS = "SELECT customer_id, month_day FROM birthdays WHERE customer_id = ANY($1)"

_ENTER = """
    INSERT INTO entries (entry_id, customer_id, number, kind, cause, lot_id, from_account, to_account, points, at, text,
                         issue_id, order_id, note, staff, due_at, what, rule, rule_version, legal_basis,
                         counts_for_tier, expires_on, inputs)
    SELECT * FROM unnest($1::uuid[], $2::text[], $3::bigint[], $4::text[], $5::text[], $6::uuid[], $7::text[],
                         $8::text[], $9::bigint[], $10::timestamptz[], $11::text[], $12::uuid[], $13::text[],
                         $14::text[], $15::text[], $16::timestamptz[], $17::text[], $18::text[], $19::text[],
                         $20::text[], $21::boolean[], $22::date[], $23::jsonb[])"""
_WITHHOLD = """
    INSERT INTO withheld (cause, customer_id, issue_id, code, at, order_id, points, review_by, inputs, staff, note)
    SELECT * FROM unnest($1::text[], $2::text[], $3::uuid[], $4::text[], $5::timestamptz[], $6::text[], $7::bigint[],
                         $8::timestamptz[], $9::jsonb[], $10::text[], $11::text[])
    ON CONFLICT (cause) DO UPDATE
    SET code = excluded.code, review_by = excluded.review_by, staff = excluded.staff, note = excluded.note"""
_BECOME = """
    INSERT INTO members (customer_id, tier, since, until, told_until)
    SELECT * FROM unnest($1::text[], $2::text[], $3::timestamptz[], $4::timestamptz[], $5::date[])
    ON CONFLICT (customer_id) DO UPDATE
    SET tier = excluded.tier, since = excluded.since, until = excluded.until, told_until = excluded.told_until"""
_REFUND = """
    INSERT INTO refunds (refund_id, customer_id, order_id, amount, currency, at)
    SELECT * FROM unnest($1::uuid[], $2::text[], $3::text[], $4::numeric[], $5::text[], $6::timestamptz[])"""
_EXPOSE = """
    INSERT INTO exposures (customer_id, experiment, arm, at)
    SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::timestamptz[])
    ON CONFLICT DO NOTHING"""
_WAKE = f"""
    INSERT INTO timers (aggregate, key, name, due_at)
    SELECT '{LEDGER}', * FROM unnest($1::text[], $2::text[], $3::timestamptz[])
    ON CONFLICT (aggregate, key, name) DO UPDATE SET due_at = excluded.due_at"""  # noqa: S608
_BORN = """
    INSERT INTO birthdays (customer_id, month_day, told_at)
    SELECT * FROM unnest($1::text[], $2::text[], $3::timestamptz[])
    ON CONFLICT (customer_id) DO UPDATE SET month_day = excluded.month_day, told_at = excluded.told_at"""

RACES = ("entries_do_not_fork", "balances_pkey", "lots_pkey")
"""Where two entries of a customer would meet if the locks did not keep them apart."""


@dataclass(frozen=True, slots=True)
class Ledger:
    """The accounts of all customers, keyed by customer."""

    terms: Terms
    name: str = LEDGER

    def key_of(self, event: AnyEvent) -> str | None:
        return event.data.customer_id if isinstance(event.data, IssueEvent | LedgerCommand) else None

    async def load(self, conn: Connection, keys: Sequence[str], events: Sequence[AnyEvent]) -> dict[str, Account]:
        """The locked balances of these customers, and what the ledger says of the things that these events name.

        The ledger is read after the lock was got, so that it shows what whoever held the lock before has written. Who
        has no balance yet is locked by name, and before any row is, so that no two transactions wait for each other.
        """
        asked = asked_by(events)
        await conn.execute(_LOCK_NEW, keys)
        standing = {row["customer_id"]: row for row in await conn.fetch(_LOCK, sorted(keys))}
        found = await self._read(conn, sorted(keys), asked, newest=max(event.time for event in events))
        return {key: account_of(key, standing.get(key), found[key]) for key in keys}

    async def _read(
        self, conn: Connection, keys: list[str], asked: Asked, newest: datetime
    ) -> dict[str, dict[str, list[asyncpg.Record]]]:
        """customer -> what -> rows; tables that nobody asks about are not read."""
        begin, causes = newest - self._window(), sorted(asked.redemptions)
        issues, order_ids = sorted(asked.issues), sorted(asked.orders)
        queries: dict[str, tuple[Any, ...]] = {
            "lots": (_LOTS, keys, begin, issues, order_ids, causes),
            "members": (_MEMBERS, keys),
        }
        if issues:
            queries["withheld"] = (_WITHHELD, issues)
        if causes:
            queries["redemptions"] = (_REDEMPTIONS, causes)
        if order_ids:
            queries |= {"purchases": (_PURCHASES, order_ids), "refunds": (_REFUNDS, order_ids)}
        if asked.adjustments:
            queries["adjustments"] = (_ADJUSTMENTS, keys, sorted(asked.adjustments))
        if asked.birthdays:
            queries["birthdays"] = (_BIRTHDAYS, sorted(asked.birthdays))
        found: dict[str, dict[str, list[asyncpg.Record]]] = defaultdict(lambda: defaultdict(list))
        for what, (query, *values) in queries.items():
            for row in await conn.fetch(query, *values):
                found[row["customer_id"]][what].append(row)
        return found

    def _window(self) -> timedelta:
        """How far back limits, tiers and birthdays look."""
        rules = self.terms.rules
        limits = rules.limits.days if rules.limits else 0
        tiers = 2 * rules.tier_days if rules.tiers else 0
        return max(timedelta(days=max(limits, tiers) + 1), NOT_AGAIN_FOR)

    def decide(self, state: Account | None, event: AnyEvent, now: datetime) -> tuple[Account, Facts]:
        account = state or Account(self.key_of(event) or event.subject or "")
        return domain.decide(self.terms, account, event, now)

    async def save(self, conn: Connection, changed: Mapping[str, Account], records: Sequence[Record]) -> None:
        """Append to the ledger; lots and balances follow by themselves."""
        await _append(conn, [record for record in records if isinstance(record, Entry)])
        for query, rows in (
            (_WITHHOLD, _last(each for each in records if isinstance(each, Withheld))),
            (_BECOME, _last(each for each in records if isinstance(each, Membership))),
            (_REFUND, [each for each in records if isinstance(each, Refund)]),
            (_EXPOSE, _last(each for each in records if isinstance(each, Exposure))),
        ):
            if rows:
                await conn.execute(query, *_columns(rows))


ORDER: TypeAdapter[Order] = TypeAdapter(Order)


@dataclass
class Orders:
    """What was bought, keyed by order. What an order earns is told to its customer's ledger by a timer due at once.

    Chosen over an event of our own on Kafka, which would cost a round trip through the broker and could come late;
    this way the change and the word of it are one commit, and nothing falls out of the ledger's timers.
    """

    name: str = "orders"
    _table: StateTable[Order] = field(default_factory=lambda: StateTable("orders", ORDER))

    def key_of(self, event: AnyEvent) -> str | None:
        return event.data.order_id if isinstance(event.data, StorefrontOrderEvent) else None

    async def load(self, conn: Connection, keys: Sequence[str], events: Sequence[AnyEvent]) -> dict[str, "Kept"]:
        found = await self._table.load(conn, keys)
        return {key: Kept(order, version) for key, (version, order) in found.items()}

    def decide(self, state: "Kept | None", event: AnyEvent, now: datetime) -> tuple["Kept", Facts]:
        kept = state or Kept(Order(self.key_of(event) or ""), 0)
        after, facts = orders.decide(kept.order, event, now)
        return (kept if after is kept.order else replace(kept, order=after)), facts

    async def save(self, conn: Connection, changed: Mapping[str, "Kept"], records: Sequence[Record]) -> None:
        await self._table.save(conn, {key: (kept.version, kept.order) for key, kept in changed.items()})
        born = {each.customer_id: each for each in records if isinstance(each, BirthdayTold)}
        if born:
            rows = sorted((each.customer_id, each.month_day, each.given_at) for each in born.values())
            await conn.execute(_BORN, *zip(*rows, strict=True))
        await _wake(conn, [*born.values(), *(each for each in records if isinstance(each, HandOver))])


@dataclass(frozen=True, slots=True)
class Kept:
    """An order, and the version under which it was loaded."""

    order: Order
    version: int


async def _wake(conn: Connection, told: Sequence[HandOver | BirthdayTold]) -> None:
    """Timers of the ledger, by customer and name; of one name the last counts."""
    due = {(each.customer_id, _timer(each)): each.at for each in told}
    if due:
        await conn.execute(_WAKE, *zip(*((key, name, at) for (key, name), at in sorted(due.items())), strict=True))


def _timer(told: HandOver | BirthdayTold) -> str:
    return timer_of(told.order_id, told.version) if isinstance(told, HandOver) else BIRTHDAY + told.month_day


async def _append(conn: Connection, entries: Sequence[Entry]) -> None:
    if not entries:
        return
    try:
        await conn.execute(_ENTER, *_columns(entries))
    except asyncpg.UniqueViolationError as error:
        # A cause that was granted to another customer is no race: it would fail for ever, and is for ops to see.
        if error.constraint_name in RACES:
            raise ConflictError("entries: another transaction made the same customer's entry first") from error
        raise


def _last(rows: Iterable[Any]) -> list[Any]:
    """The last record of each cause or customer, since a statement can write a row only once."""
    return list({getattr(row, "cause", row.customer_id): row for row in rows}.values())


def _columns(rows: Sequence[Any]) -> list[tuple[Any, ...]]:
    return list(zip(*map(_values(rows[0].__class__), rows), strict=True))


@cache
def _values(record: type[Any]) -> Callable[[Any], tuple[Any, ...]]:
    """All fields of a record; `astuple` would copy every value."""
    return attrgetter(*(one.name for one in fields(record)))


def sums_of(row: Mapping[str, Any] | None) -> dict[str, int]:
    """The accounts of a row of `balances` or `lots`."""
    places = ("issued", "pending", "available", "reserved", "spent", "expired", "debt")
    return {place: row[place] if row else 0 for place in places}


async def unbalanced(conn: Connection) -> list[str]:
    """Customers whose balance is not the sum of their entries: always none (invariant 10)."""
    return [row["customer_id"] for row in await conn.fetch(_UNBALANCED)]


_UNBALANCED = """
    WITH moves AS (
        SELECT customer_id, from_account AS account, -points AS points FROM entries
        UNION ALL SELECT customer_id, to_account, points FROM entries
    ), ledger AS (
        SELECT customer_id, account, sum(points) AS points FROM moves GROUP BY customer_id, account
    ), books AS (
        SELECT b.customer_id, v.account, v.points FROM balances b CROSS JOIN LATERAL (VALUES
            ('issued', b.issued), ('pending', b.pending), ('available', b.available), ('reserved', b.reserved),
            ('spent', b.spent), ('expired', b.expired), ('debt', b.debt)) AS v (account, points)
    )
    SELECT DISTINCT customer_id FROM ledger FULL JOIN books USING (customer_id, account)
    WHERE coalesce(ledger.points, 0) <> coalesce(books.points, 0)"""
