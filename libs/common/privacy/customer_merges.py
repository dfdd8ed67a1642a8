"""Merged accounts of one customer: each service moves its rows to the account that remains, on `customer.merged`.

Every later event with the former id counts for the remaining account (`CurrentCustomers`), also where accounts
were merged in a chain: `merged_customers` names for each former account the one that remains now. The first merge of an
account counts. A merge back, or into a third account, changes nothing: the rows are one account's by then, and nobody
can tell whose they were. The order in which merges arrive does not matter.

Rows that another transaction wrote under the former id at that moment are found by repeated passes, as in an erasure.
Rejected: a lookup in every query by customer, which forty statements would have to remember.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import lru_cache
from typing import Any

from libs.common.decisions.facts import Facts, Ignored, Record, SetTimer, TimerFired
from libs.common.events.envelope import Payload
from libs.common.events.registry import AnyEvent
from libs.common.events.storefront import CustomerMerged
from libs.common.postgres.pool import Connection
from libs.common.privacy.erasure import PASS_INTERVALS

_NAME = "customer_merges"
_REPEAT = "repeat_merge"

# One merge at a time: each has to see the accounts that the one before it merged.
_SERIALIZE = "SELECT pg_advisory_xact_lock(hashtextextended('customer merges', 0))"
_LOAD = "SELECT former_id, customer_id, passes FROM merged_customers WHERE former_id = ANY($1) ORDER BY 1"
_CURRENT = "SELECT coalesce((SELECT customer_id FROM merged_customers WHERE former_id = $1), $1)"
_EXTEND_CHAINS = "UPDATE merged_customers SET customer_id = $2 WHERE customer_id = $1"
_SAVE = """
    INSERT INTO merged_customers (former_id, customer_id, passes) VALUES ($1, $2, $3)
    ON CONFLICT (former_id) DO UPDATE SET passes = excluded.passes"""


@dataclass(frozen=True, slots=True)
class Merge:
    """A former account, the account that remains, and the number of completed passes."""

    former_id: str
    customer_id: str
    passes: int = 1


@dataclass(frozen=True, slots=True)
class MoveCustomer(Record):
    """Record that makes `save` move the rows of an account, in the transaction of the decision."""

    merge: Merge
    at: datetime


MoveRows = Callable[[Connection, Merge, datetime], Awaitable[None]]
"""A service's own function that moves the rows of a former account to the one that remains. Idempotent."""


@dataclass(frozen=True)
class CustomerMerges:
    """Aggregate of a service's merged customers, keyed by the former account."""

    move: MoveRows
    name: str = _NAME
    is_read_model = False

    def key_of(self, event: AnyEvent) -> str | None:
        return event.data.merged_customer_id if isinstance(event.data, CustomerMerged) else None

    async def load(self, conn: Connection, keys: Sequence[str], events: Sequence[AnyEvent]) -> dict[str, Merge]:
        await conn.execute(_SERIALIZE)
        return {row["former_id"]: Merge(*row.values()) for row in await conn.fetch(_LOAD, sorted(keys))}

    def decide(self, state: Merge | None, event: AnyEvent, now: datetime) -> tuple[Merge | None, Facts]:
        match event.data:
            case CustomerMerged(merged_customer_id=former, customer_id=remaining) if former == remaining:
                return state, [Ignored("merged_with_itself")]
            case CustomerMerged() if state:
                return state, [Ignored("already_merged")]
            case CustomerMerged(merged_customer_id=former, customer_id=remaining):
                after = Merge(former, remaining)
                return after, [MoveCustomer(after, now), SetTimer(_REPEAT, now + PASS_INTERVALS[0])]
            case TimerFired() if state:
                after = replace(state, passes=state.passes + 1)
                intervals = PASS_INTERVALS[state.passes : after.passes]
                return after, [MoveCustomer(after, now), *(SetTimer(_REPEAT, now + each) for each in intervals)]
        return state, [Ignored("nothing_to_merge")]

    async def save(self, conn: Connection, changed: Mapping[str, Merge], records: Sequence[Record]) -> None:
        """Apply the merges one by one, each to the account that remains after those before it."""
        for record in records:
            if not isinstance(record, MoveCustomer):
                continue
            remaining = await conn.fetchval(_CURRENT, record.merge.customer_id)
            merge = replace(record.merge, customer_id=remaining)
            if remaining == merge.former_id:
                continue  # a circle: the account that would remain was merged into this one
            await conn.execute(_EXTEND_CHAINS, merge.former_id, remaining)
            await conn.execute(_SAVE, merge.former_id, remaining, merge.passes)
            await self.move(conn, merge, record.at)


def rank(aggregate: str) -> tuple[bool, str]:
    """Return the place of an aggregate in a batch: merges first, since the account that remains may be named in it."""
    return aggregate != _NAME, aggregate


async def current_customer(conn: Connection, customer_id: str) -> str:
    """Return the account under which this customer's rows are."""
    current: str = await conn.fetchval(_CURRENT, customer_id)
    return current


async def is_customer(conn: Connection, named: str | None, owner: str) -> bool:
    """Return whether the owner of a row is the customer that a caller names, under a former id too; true for None."""
    return named is None or named == owner or await current_customer(conn, named) == owner


@lru_cache(maxsize=512)
def _holder(payload: type[Payload]) -> str | None:
    """Return "" for a payload that names a customer, or the name of its field that does."""
    fields = payload.model_fields
    if "customer_id" in fields:
        return ""
    return "report" if "report" in fields else None


def customer_of(payload: Any) -> str | None:
    """Return the customer that an event or a command names."""
    kind: type[Payload] = type(payload)
    holder = _holder(kind)
    named = getattr(payload, holder) if holder else payload
    customer_id: str | None = named.customer_id if holder is not None else None
    return customer_id


def for_customer(event: AnyEvent, customer_id: str) -> AnyEvent:
    """Return the event as one of this customer."""
    holder = _holder(type(event.data))
    changes: dict[str, Any] = {"customer_id": customer_id}
    if holder:
        changes = {holder: getattr(event.data, holder).model_copy(update=changes)}
    return event.model_copy(update={"data": event.data.model_copy(update=changes)})


_ANY = "SELECT EXISTS (SELECT FROM merged_customers)"
_ACCOUNTS = "SELECT former_id, customer_id FROM merged_customers WHERE former_id = ANY($1)"


@dataclass
class CurrentCustomers:
    """Lookup of the accounts that remain, for the events of one service.

    While no account was ever merged, a batch asks only for that, which is cheaper than asking for its customers.
    Nothing is assumed to be still unmerged: any process may apply the first merge at any time.
    """

    are_any_merged: bool = False

    async def attribute(self, conn: Connection, events: Sequence[AnyEvent]) -> Sequence[AnyEvent]:
        """Return the events as those of the accounts that remain; the same objects where nothing was merged."""
        if not any(customer_of(event.data) for event in events):
            return events
        self.are_any_merged = self.are_any_merged or await conn.fetchval(_ANY)
        if not self.are_any_merged:
            return events
        named = [customer_of(event.data) for event in events]
        customers = list({customer for customer in named if customer})
        current = {row["former_id"]: row["customer_id"] for row in await conn.fetch(_ACCOUNTS, customers)}
        if not current:
            return events
        pairs = zip(events, named, strict=True)
        return [for_customer(event, current[name]) if name in current else event for event, name in pairs]
