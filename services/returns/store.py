"""All SQL of returns about cases and customers: the aggregate that the shell drives. Orders: `destinations`.

What a decision needs besides the case is joined when it is loaded, in one statement for the whole batch: the address,
which no case and no event about it carries (invariant 12), and the customer's ledger, whose row is locked as long as
their cases are. Cases of one customer in one batch share that row, so that each sees what the one before it did.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any

from pydantic import TypeAdapter

from libs.common.db import ConflictError, Connection
from libs.common.decision import Facts, Record
from libs.common.events.issues import IssueAccepted
from libs.common.events.registry import AnyEvent
from libs.common.events.values import Address
from libs.common.events.warehouse import ReplacementConfirmed, ReplacementDelayed
from libs.common.evolve import replace
from libs.common.state import StateTable
from services.returns import domain
from services.returns.case import Case
from services.returns.destinations import places
from services.returns.headline import Headline, headline
from services.returns.ledger import NOWHERE, Around, Customer, entered
from services.returns.turn import Rules

CASE: TypeAdapter[Case] = TypeAdapter(Case)
CUSTOMER: TypeAdapter[Customer] = TypeAdapter(Customer)

QUIET = (ReplacementConfirmed, ReplacementDelayed)
"""Events that move no value and call no courier: the customer's row need not be locked for them."""

_CASES = StateTable("cases", CASE)
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
        INSERT INTO cases AS old (key, version, body, headline, in_review)
        SELECT * FROM unnest($1::text[], $2::bigint[], $3::jsonb[], $4::text[], $5::boolean[])
        ON CONFLICT (key) DO UPDATE
        SET version = excluded.version, body = excluded.body, headline = excluded.headline,
            in_review = excluded.in_review
        WHERE old.version = excluded.version - 1
        RETURNING 1)
    SELECT (SELECT count(*) FROM written) + (SELECT count(*) FROM ledgers)"""
_LIST = """
    SELECT body FROM cases
    WHERE key > $1 AND ($2::text IS NULL OR headline = $2) AND (NOT $3 OR in_review)
      AND ($4::text IS NULL OR order_id = $4)
    ORDER BY key LIMIT $5"""
_ACCEPTED = """
    SELECT body FROM cases WHERE key > $1 AND (body ->> 'accepted_at')::timestamptz >= $2 ORDER BY key LIMIT 1000"""


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

    def key_of(self, event: AnyEvent) -> str | None:
        issue_id = getattr(event.data, "issue_id", None)
        return str(issue_id) if issue_id else None

    async def load(self, conn: Connection, keys: Sequence[str], events: Sequence[AnyEvent]) -> dict[str, Held]:
        cases = await _CASES.load(conn, keys)
        known = {key: (case.order_id, case.customer_id) for key, (_, case) in cases.items()}
        fresh = {
            str(event.data.issue_id): (event.data.order_id, event.data.customer_id)
            for event in events
            if isinstance(event.data, IssueAccepted) and str(event.data.issue_id) not in known
        }
        moved = {self._touched(event) for event in events}
        surroundings = await _around(conn, {**known, **fresh}, fresh, moved)

        def held(key: str) -> Held:
            version, case = cases.get(key) or (0, None)
            around, ledger = surroundings.get(key, (NOWHERE, None))
            if len(self.address_keys) > 1:
                around = replace(around, also_place=places(self.address_keys, around.ship_to))
            return Held(version, case, around, ledger)

        return {key: held(key) for key in keys}

    def _touched(self, event: AnyEvent) -> str | None:
        """The case for which this event could change what is out with its customer."""
        if isinstance(event.data, QUIET):
            return None
        return self.key_of(event) or event.subject

    def decide(self, state: Held | None, event: AnyEvent, now: datetime) -> tuple[Held | None, Facts]:
        held = state or Held(0, None)
        around = replace(held.around, customer=held.ledger.customer) if held.ledger else held.around
        case, facts = domain.decide(held.case, around, event, now, self.rules)
        if case is held.case:
            return state, facts
        if case and held.ledger:
            held.ledger.enter(case, held.case is None, around.place)
        return replace(held, case=case), facts

    async def save(self, conn: Connection, changed: Mapping[str, Held], records: Sequence[Record]) -> None:
        """Write both under the versions they were loaded with. Raises `ConflictError` where one is newer by now."""
        rows = [(key, held.version + 1, held.case) for key, held in sorted(changed.items()) if held.case]
        found = {held.ledger.key: held.ledger for held in changed.values() if held.ledger and held.ledger.is_changed}
        ledgers = [found[key] for key in sorted(found)]
        written = await conn.fetchval(
            _SAVE,
            [key for key, _, _ in rows],
            [version for _, version, _ in rows],
            [CASE.dump_json(case, exclude_defaults=True).decode() for _, _, case in rows],
            [headline(case).value for _, _, case in rows],
            [bool(case.reviews) for _, _, case in rows],
            [ledger.key for ledger in ledgers],
            [ledger.version + 1 for ledger in ledgers],
            [CUSTOMER.dump_json(ledger.customer, exclude_defaults=True).decode() for ledger in ledgers],
        )
        if written != len(rows) + len(ledgers):
            raise ConflictError("cases: a case or a customer was made by another transaction at the same time")


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
    rows = await conn.fetch(_LIST, wanted.after, wanted.headline, wanted.in_review, wanted.order_id, wanted.limit)
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
