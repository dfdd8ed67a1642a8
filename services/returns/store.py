"""All SQL of returns, and the two aggregates that the shell drives.

`Cases` decides; `Destinations` only remembers where the customer of each order lives, the one place with personal data
(invariant 12). The address is joined to a case when it is loaded, so that no case and no event about it carries one.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from pydantic import TypeAdapter

from libs.common.db import ConflictError, Connection
from libs.common.decision import Facts, Ignored, Record
from libs.common.events.issues import IssueAccepted
from libs.common.events.registry import AnyEvent
from libs.common.events.storefront import OrderPlaced
from libs.common.events.values import Address
from libs.common.state import StateTable
from services.returns import domain
from services.returns.case import Case
from services.returns.headline import Headline, headline
from services.returns.turn import Rules

CASE: TypeAdapter[Case] = TypeAdapter(Case)

_CASES = StateTable("cases", CASE)
_PLACES = "SELECT order_id, ship_to FROM destinations WHERE order_id = ANY($1)"
# Not `StateTable.save`: what cases are listed by is derived in code and written beside the body, in the same statement.
_SAVE = """
    INSERT INTO cases AS old (key, version, body, headline, in_review)
    SELECT * FROM unnest($1::text[], $2::bigint[], $3::jsonb[], $4::text[], $5::boolean[])
    ON CONFLICT (key) DO UPDATE
    SET version = excluded.version, body = excluded.body, headline = excluded.headline, in_review = excluded.in_review
    WHERE old.version = excluded.version - 1"""
_REMEMBER = """
    INSERT INTO destinations (order_id, ship_to) SELECT * FROM unnest($1::text[], $2::jsonb[])
    ON CONFLICT (order_id) DO UPDATE SET ship_to = excluded.ship_to"""
_LIST = """
    SELECT body FROM cases
    WHERE key > $1 AND ($2::text IS NULL OR headline = $2) AND (NOT $3 OR in_review)
      AND ($4::text IS NULL OR order_id = $4)
    ORDER BY key LIMIT $5"""


@dataclass(frozen=True, slots=True)
class Held:
    """A case as it was loaded, with what a decision needs besides; without a case, only the address, if known."""

    version: int
    case: Case | None
    ship_to: Address | None


@dataclass(frozen=True, slots=True)
class Cases:
    """The cases, by issue id."""

    rules: Rules
    name: str = "cases"

    def key_of(self, event: AnyEvent) -> str | None:
        issue_id = getattr(event.data, "issue_id", None)
        return str(issue_id) if issue_id else None

    async def load(self, conn: Connection, keys: Sequence[str], events: Sequence[AnyEvent]) -> dict[str, Held]:
        cases = await _CASES.load(conn, keys)
        orders = {str(e.data.issue_id): e.data.order_id for e in events if isinstance(e.data, IssueAccepted)}
        orders |= {key: case.order_id for key, (_, case) in cases.items()}
        places = await _places(conn, orders)

        def held(key: str) -> Held:
            version, case = cases.get(key) or (0, None)
            return Held(version, case, places.get(orders.get(key, "")))

        return {key: held(key) for key in keys}

    def decide(self, state: Held | None, event: AnyEvent, now: datetime) -> tuple[Held | None, Facts]:
        held = state or Held(0, None, None)
        case, facts = domain.decide(held.case, held.ship_to, event, now, self.rules)
        return (state if case is held.case else replace(held, case=case)), facts

    async def save(self, conn: Connection, changed: Mapping[str, Held], records: Sequence[Record]) -> None:
        """Write the cases under the versions they were loaded with. Raises `ConflictError` where a new one was not."""
        rows = [(key, held.version + 1, held.case) for key, held in sorted(changed.items()) if held.case]
        status = await conn.execute(
            _SAVE,
            [key for key, _, _ in rows],
            [version for _, version, _ in rows],
            [CASE.dump_json(case, exclude_defaults=True).decode() for _, _, case in rows],
            [headline(case).value for _, _, case in rows],
            [bool(case.reviews) for _, _, case in rows],
        )
        if int(status.rsplit(" ", 1)[1]) != len(rows):
            raise ConflictError("cases: a case was made by another transaction at the same time")


async def _places(conn: Connection, orders: Mapping[str, str]) -> dict[str, Address]:
    if not orders:
        return {}
    rows = await conn.fetch(_PLACES, list(set(orders.values())))
    return {row["order_id"]: Address.model_validate_json(row["ship_to"]) for row in rows}


@dataclass(frozen=True, slots=True)
class DestinationLearned(Record):
    """Where the goods of an order went, and with whom to talk at the door."""

    order_id: str
    ship_to: Address


@dataclass(frozen=True, slots=True)
class Destinations:
    """Addresses, by order id. There is nothing to decide about them but to keep the last one told."""

    name: str = "destinations"

    def key_of(self, event: AnyEvent) -> str | None:
        return event.data.order_id if isinstance(event.data, OrderPlaced) else None

    async def load(self, conn: Connection, keys: Sequence[str], events: Sequence[AnyEvent]) -> dict[str, None]:
        return {}

    def decide(self, state: None, event: AnyEvent, now: datetime) -> tuple[None, Facts]:
        placed = event.data
        if not isinstance(placed, OrderPlaced):
            return None, (Ignored("not_ours"),)
        ship_to = placed.ship_to.model_copy(update={"phone": placed.ship_to.phone or placed.contact.phone})
        return None, (DestinationLearned(placed.order_id, ship_to),)

    async def save(self, conn: Connection, changed: Mapping[str, None], records: Sequence[Record]) -> None:
        last = {fact.order_id: fact.ship_to for fact in records if isinstance(fact, DestinationLearned)}
        orders = sorted(last)
        await conn.execute(_REMEMBER, orders, [last[order].model_dump_json(exclude_none=True) for order in orders])


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
