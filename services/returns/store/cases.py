"""All SQL of returns about cases and customers: the aggregate that the shell drives. Orders: `destinations`.

What a decision needs besides the case is joined when it is loaded, in one statement for the whole batch: the address,
which no case and no event about it carries (invariant 12), and the customer's ledger, whose row is locked as long as
their cases are. Cases of one customer in one batch share that row, so that each sees what the one before it did.

A case that this process wrote last is locked, and known again by its row (`Lately`); it is not read again.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any

from pydantic import TypeAdapter

from libs.common.decisions.facts import Facts, Record
from libs.common.decisions.fast_replace import replace
from libs.common.events.issues import IssueAccepted, IssueStaffDecided
from libs.common.events.registry import AnyEvent
from libs.common.events.values import Address
from libs.common.events.warehouse import ReplacementConfirmed, ReplacementDelayed
from libs.common.postgres.pool import ConflictError, Connection
from libs.common.postgres.state_table import Row, RowCache
from services.returns.domain import decide as domain
from services.returns.domain.case import Case
from services.returns.domain.case_status import ENDED, Headline, headline
from services.returns.domain.commands import ReopenRequested
from services.returns.domain.decision_context import Rules
from services.returns.domain.exposure import NOWHERE, Around, Customer, entered
from services.returns.domain.replacement_matching import is_reported_anew
from services.returns.store.order_snapshots import places

CASE: TypeAdapter[Case] = TypeAdapter(Case)
CUSTOMER: TypeAdapter[Customer] = TypeAdapter(Customer)

KEPT = 4096
"""Open cases that are known by heart; one that has ended is looked at by nobody."""

QUIET = frozenset((ReplacementConfirmed, ReplacementDelayed))
"""Events that move no value and call no courier: the customer's row need not be locked for them."""

_CASES = """
    SELECT c.key, c.version,
           CASE WHEN c.version = known.version AND c.xmin = known.written_by THEN NULL ELSE c.body END AS body
    FROM unnest($1::text[], $2::bigint[], $3::xid[]) AS known (key, version, written_by) JOIN cases c USING (key)
    ORDER BY c.key FOR UPDATE OF c"""
# The ledgers are locked before anything else is looked at; the cases of the batch are locked already, so that every
# transaction takes cases first and customers second.
_AROUND = """
    WITH ledgers AS (SELECT key, version, body FROM customers WHERE key = ANY($2) ORDER BY key FOR UPDATE)
    SELECT 'ledger' AS what, key, version, body::text AS body, NULL AS place FROM ledgers
    UNION ALL
    SELECT 'order', order_id, NULL, ship_to::text, place FROM destinations WHERE order_id = ANY($1)
    UNION ALL
    SELECT 'bought', customer_id, NULL, sum(value)::text, currency FROM destinations
    WHERE customer_id = ANY($3) AND delivered_at IS NOT NULL AND currency IS NOT NULL GROUP BY customer_id, currency
    UNION ALL
    SELECT 'neighbours', d.order_id, NULL, (
        SELECT count(*) FROM (
            SELECT DISTINCT n.customer_id FROM destinations n
            WHERE n.place = d.place AND n.customer_id <> d.customer_id LIMIT 20) AS others)::text, NULL
    FROM destinations d WHERE d.order_id = ANY($4) AND d.place IS NOT NULL"""
# Not `StateTable.save`: what cases are listed by is derived in code and written beside the body, in the same statement.
_SAVE = """
    WITH ledgers AS (
        INSERT INTO customers AS old (key, version, body)
        SELECT * FROM unnest($6::text[], $7::bigint[], $8::jsonb[])
        ON CONFLICT (key) DO UPDATE SET version = excluded.version, body = excluded.body
        WHERE old.version = excluded.version - 1
        RETURNING 1),
    written AS (
        INSERT INTO cases AS old (key, version, body, headline, in_review, order_id, is_open)
        SELECT *, headline <> ALL($10)
        FROM unnest($1::text[], $2::bigint[], $3::text[], $4::text[], $5::boolean[], $9::text[])
            AS new (key, version, body, headline, in_review, order_id)
        ON CONFLICT (key) DO UPDATE
        SET version = excluded.version, body = excluded.body, headline = excluded.headline,
            in_review = excluded.in_review, is_open = excluded.is_open
        WHERE old.version = excluded.version - 1
        RETURNING 1)
    SELECT (SELECT count(*) FROM written) + (SELECT count(*) FROM ledgers) AS count, pg_current_xact_id()::xid AS xid"""
# What is open is looked for among the open ones only; most cases are not.
_LIST = """
    SELECT body FROM cases
    WHERE key > $1 AND ($2::text IS NULL OR headline = $2) AND (NOT $3 OR in_review)
      AND ($4::text IS NULL OR order_id = $4) {and_open}
    ORDER BY key LIMIT $5"""
LIST_ALL, LIST_OPEN = _LIST.format(and_open=""), _LIST.format(and_open="AND is_open")
_OF_ORDERS = "SELECT body FROM cases WHERE order_id = ANY($1)"
_ACCEPTED = """
    SELECT body FROM cases WHERE key > $1 AND (body::json ->> 'accepted_at')::timestamptz >= $2
    ORDER BY key LIMIT 1000"""


@dataclass(slots=True)
class Ledger:
    """The row of one customer in this batch, under the version it was loaded with."""

    key: str
    version: int = 0
    customer: Customer = field(default_factory=Customer)
    is_changed: bool = False

    def enter(self, case: Case, is_new: bool, place: str | None) -> None:
        after = entered(self.customer, case, is_new, place)
        self.is_changed = self.is_changed or after is not self.customer
        self.customer = after


@dataclass(frozen=True, slots=True)
class Held:
    """A case as it was loaded, with what a decision needs besides; without a case, only what is around it."""

    version: int
    case: Case | None
    around: Around = NOWHERE
    ledger: Ledger | None = None


@dataclass(slots=True)
class Cases:
    """The cases, by issue id. `rules` are replaced whole when the policy has changed."""

    rules: Rules
    address_keys: tuple[bytes, ...] = ()
    name: str = "cases"
    lately: RowCache[Case] = field(default_factory=lambda: RowCache(KEPT))

    def key_of(self, event: AnyEvent) -> str | None:
        issue_id = getattr(event.data, "issue_id", None)
        return str(issue_id) if issue_id else None

    async def load(self, conn: Connection, keys: Sequence[str], events: Sequence[AnyEvent]) -> dict[str, Held]:
        cases = await self._load(conn, keys)
        known = {key: (case.order_id, case.customer_id) for key, (_, case) in cases.items()}
        fresh = {
            str(event.data.issue_id): (event.data.order_id, event.data.customer_id)
            for event in events
            if type(event.data) is IssueAccepted and str(event.data.issue_id) not in known
        }
        moved = {self._touched(event) for event in events}
        surroundings = await _around(conn, {**known, **fresh}, fresh, moved)
        reported_anew = await self._reported_anew(conn, {key: case for key, (_, case) in cases.items()}, events)

        def held(key: str) -> Held:
            version, case = cases.get(key) or (0, None)
            around, ledger = surroundings.get(key, (NOWHERE, None))
            if len(self.address_keys) > 1:
                around = replace(around, also_place=places(self.address_keys, around.ship_to))
            if key in reported_anew:
                around = replace(around, reported_anew=True)
            return Held(version, case, around, ledger)

        return {key: held(key) for key in keys}

    async def _load(self, conn: Connection, keys: Sequence[str]) -> dict[str, tuple[int, Case]]:
        """The cases there are, locked in the order of their keys."""
        known = {key: self.lately.rows.get(key) for key in keys}
        rows = await conn.fetch(_CASES, keys, *self.lately.marks(keys))

        def case(key: str, body: str | None) -> Case:
            row = known[key]
            return row.state if row and body is None else CASE.validate_json(body or "")

        return {key: (version, case(key, body)) for key, version, body in rows}

    async def _reported_anew(
        self, conn: Connection, cases: Mapping[str, Case], events: Sequence[AnyEvent]
    ) -> Collection[str]:
        """Those that are to go on although what they had sent may be reported itself.

        Intake has seen to it, piece by piece, before it hands a decision on; what is ordered here it has not seen.
        """
        keys = {
            self.key_of(event) for event in events if type(event.data) is ReopenRequested or _is_decided_here(event)
        }
        if not keys:
            return ()
        asked = {key: case for key, case in cases.items() if key in keys}
        rows = await conn.fetch(_OF_ORDERS, [case.order_id for case in asked.values()])
        others = [CASE.validate_json(row["body"]) for row in rows]
        return [key for key, case in asked.items() if is_reported_anew(case, others)]

    def _touched(self, event: AnyEvent) -> str | None:
        """The case for which this event could change what is out with its customer."""
        if type(event.data) in QUIET:
            return None
        return self.key_of(event) or event.subject

    def decide(self, state: Held | None, event: AnyEvent, now: datetime) -> tuple[Held | None, Facts]:
        held = state or Held(0, None)
        around, ledger = held.around, held.ledger
        if ledger and around.customer is not ledger.customer:
            around = replace(around, customer=ledger.customer)
        case, facts = domain.decide(held.case, around, event, now, self.rules)
        if case is held.case:
            return state, facts
        if case and ledger:
            ledger.enter(case, held.case is None, around.place)
        return Held(held.version, case, around, ledger), facts

    async def save(self, conn: Connection, changed: Mapping[str, Held], records: Sequence[Record]) -> None:
        """Write both under the versions they were loaded with. Raises `ConflictError` where one is newer by now."""
        rows = [(key, held.version + 1, held.case) for key, held in sorted(changed.items()) if held.case]
        found = {held.ledger.key: held.ledger for held in changed.values() if held.ledger and held.ledger.is_changed}
        ledgers = [found[key] for key in sorted(found)]
        done = await conn.fetchrow(
            _SAVE,
            [key for key, _, _ in rows],
            [version for _, version, _ in rows],
            [CASE.dump_json(case, exclude_defaults=True).decode() for _, _, case in rows],
            [headline(case).value for _, _, case in rows],
            [bool(case.reviews) for _, _, case in rows],
            [ledger.key for ledger in ledgers],
            [ledger.version + 1 for ledger in ledgers],
            [CUSTOMER.dump_json(ledger.customer, exclude_defaults=True).decode() for ledger in ledgers],
            [case.order_id for _, _, case in rows],
            ENDED,
        )
        if done is None or done["count"] != len(rows) + len(ledgers):
            raise ConflictError("cases: a case or a customer was made by another transaction at the same time")
        for key, version, case in rows:
            if case.is_closed:
                self.lately.drop(key)
            else:
                self.lately.keep(key, Row(version, done["xid"], case))


def _is_decided_here(event: AnyEvent) -> bool:
    return type(event.data) is IssueStaffDecided and event.source == "/returns"


async def _around(
    conn: Connection,
    known: Mapping[str, tuple[str, str]],
    fresh: Mapping[str, tuple[str, str]],
    moved: Iterable[str | None],
) -> dict[str, tuple[Around, Ledger | None]]:
    """What is around these cases, by issue id; the ledger only where it may change."""
    if not known:
        return {}
    touched = {known[key][1] for key in moved if key and key in known}
    rows = await conn.fetch(
        _AROUND,
        list({order for order, _ in known.values()}),
        sorted(touched),
        list({customer for _, customer in fresh.values()}),
        list({order for order, _ in fresh.values()}),
    )
    found = _sorted_out(rows)
    ledgers = {key: Ledger(key) for key in touched} | found.ledgers

    def around(order: str, customer: str) -> tuple[Around, Ledger | None]:
        ship_to, place = found.places.get(order, (None, None))
        what = Around(ship_to, place=place, bought=found.bought.get(customer, {}), neighbours=found.near.get(order, 0))
        return what, ledgers.get(customer)

    return {key: around(*names) for key, names in known.items()}


@dataclass(slots=True)
class _Found:
    """The rows of `_AROUND`, by what they are."""

    ledgers: dict[str, Ledger] = field(default_factory=dict)
    places: dict[str, tuple[Address | None, str | None]] = field(default_factory=dict)
    bought: dict[str, dict[str, Decimal]] = field(default_factory=dict)
    near: dict[str, int] = field(default_factory=dict)


def _sorted_out(rows: Iterable[Any]) -> _Found:
    found = _Found()
    for row in rows:
        key, body = row["key"], row["body"]
        match row["what"]:
            case "ledger":
                found.ledgers[key] = Ledger(key, row["version"], CUSTOMER.validate_json(body))
            case "order":
                ship_to = Address.model_validate_json(body) if body else None
                # Without a key for hashing, only the same order is known to go to the same door.
                found.places[key] = (ship_to, row["place"] or f"order {key}")
            case "bought":
                found.bought.setdefault(key, {})[row["place"]] = Decimal(body)
            case _:
                found.near[key] = int(body)
    return found


@dataclass(frozen=True, slots=True)
class CaseFilter:
    """Which cases to list, from behind `after` on."""

    headline: Headline | None = None
    in_review: bool = False
    order_id: str | None = None
    after: str = ""
    limit: int = 50


async def list_cases(conn: Connection, wanted: CaseFilter) -> list[Case]:
    """In the order of their ids, one page; the id of the last is the next page's `after`."""
    statement = LIST_ALL if wanted.headline in (None, *ENDED) else LIST_OPEN
    rows = await conn.fetch(statement, wanted.after, wanted.headline, wanted.in_review, wanted.order_id, wanted.limit)
    return [CASE.validate_json(row["body"]) for row in rows]


async def find_case(conn: Connection, issue_id: str) -> Case | None:
    body = await conn.fetchval("SELECT body FROM cases WHERE key = $1", issue_id)
    return CASE.validate_json(body) if body else None


async def find_customer(conn: Connection, customer_id: str) -> Customer | None:
    body = await conn.fetchval("SELECT body FROM customers WHERE key = $1", customer_id)
    return CUSTOMER.validate_json(body) if body else None


async def accepted_since(conn: Connection, since: datetime, after: str = "") -> list[Case]:
    """A page of the cases accepted since then, in the order of their ids."""
    return [CASE.validate_json(row["body"]) for row in await conn.fetch(_ACCEPTED, after, since)]
