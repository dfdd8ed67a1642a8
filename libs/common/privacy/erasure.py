"""Erasing a customer: each service forgets its own, at a word on the topic `customers`, and says that it did.

What is erased: names, mails, phones, addresses, birthdays, photos, and every text that the customer wrote, or staff
about them. What stays: the ids of customer, orders and issues, and all that adds up under them. A `customer_id` is the
storefront's own pseudonym, which says nothing once the storefront has forgotten whose it was; a pseudonym of ours in
its place would split a ledger in two while facts under the old one are still on their way, and could be turned back by
anybody who has the topics of the last month. So a `customer_id` must not be a mail address or a name.

Kafka keeps what it was given: records cannot be edited. Personal data is on four topics and those of dead letters;
they keep it for a week (`events.topics`), and `erase_cli --drop-read` ends that week early. Not chosen:
encrypting the personal fields under a key per customer, which every partner would have to hold for as long as the data
and the storefront writes in clear anyway; and compaction, which keeps the last fact of an order and loses the others.

What comes late: an event that is older than the erasure is decided on without the person (`forget`), so that nothing
comes back. One that was under way in another transaction at that very moment is caught by a second and a third look,
the last after every topic has let go of the past (`AGAIN`). An order placed after the request is a new consent.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from uuid import UUID

from libs.common.decisions.facts import Facts, Ignored, Record, SetTimer, TimerFired
from libs.common.events.customers import CustomerErased, CustomerErasureRequested
from libs.common.events.personal import is_personal, redact, stated_at
from libs.common.events.registry import AnyEvent, UndecodableError, decode, encode
from libs.common.events.topics import PERSONAL_RETENTION_DAYS
from libs.common.postgres.pool import Connection

AGAIN = (timedelta(minutes=10), timedelta(days=1), timedelta(days=PERSONAL_RETENTION_DAYS + 2))
"""When it is looked again, counted from the look before."""

_LOOK_AGAIN = "look_again"

_LOAD = "SELECT customer_id, erasure_id, until, rounds FROM erasures WHERE customer_id = ANY($1) ORDER BY 1 FOR UPDATE"
_SAVE = """
    INSERT INTO erasures (customer_id, erasure_id, until, rounds)
    SELECT * FROM unnest($1::text[], $2::uuid[], $3::timestamptz[], $4::int[])
    ON CONFLICT (customer_id) DO UPDATE
    SET erasure_id = excluded.erasure_id, until = excluded.until, rounds = excluded.rounds"""
_ERASED = "SELECT customer_id, until FROM erasures WHERE customer_id = ANY($1)"


@dataclass(frozen=True, slots=True)
class Erasure:
    """Forget what this customer gave us up to `until`. `rounds` are the looks that were taken."""

    customer_id: str
    erasure_id: UUID
    until: datetime
    rounds: int = 1


@dataclass(frozen=True, slots=True)
class Erase(Record):
    """To be carried out in the transaction of the decision."""

    erasure: Erasure


EraseCustomer = Callable[[Connection, Erasure], Awaitable[None]]
"""A service's own: removes what it knows of the person. Done twice it is done once."""


@dataclass(frozen=True)
class Erasures:
    """The aggregate of a service's erasures, keyed by customer."""

    service: str
    erase: EraseCustomer
    name: str = "erasures"

    def key_of(self, event: AnyEvent) -> str | None:
        return event.data.customer_id if isinstance(event.data, CustomerErasureRequested) else None

    async def load(self, conn: Connection, keys: Sequence[str], events: Sequence[AnyEvent]) -> dict[str, Erasure]:
        return {row["customer_id"]: Erasure(*row.values()) for row in await conn.fetch(_LOAD, sorted(keys))}

    def decide(self, state: Erasure | None, event: AnyEvent, now: datetime) -> tuple[Erasure | None, Facts]:
        match event.data:
            case CustomerErasureRequested() as asked:
                until = min(asked.requested_at, now)  # nobody can ask today for what will be said tomorrow
                after = Erasure(asked.customer_id, asked.erasure_id, max(until, state.until) if state else until)
                return after, [Erase(after), self._completed(after, now), SetTimer(_LOOK_AGAIN, now + AGAIN[0])]
            case TimerFired() if state:
                after = replace(state, rounds=state.rounds + 1)
                more = [SetTimer(_LOOK_AGAIN, now + AGAIN[state.rounds])] if state.rounds < len(AGAIN) else []
                return after, [Erase(after), *more]
        return state, [Ignored("nothing_to_erase")]

    def _completed(self, erasure: Erasure, now: datetime) -> CustomerErased:
        return CustomerErased(
            customer_id=erasure.customer_id, erasure_id=erasure.erasure_id, service=self.service, erased_at=now
        )

    async def save(self, conn: Connection, changed: Mapping[str, Erasure], records: Sequence[Record]) -> None:
        rows = [changed[key] for key in sorted(changed)]
        await conn.execute(
            _SAVE,
            [row.customer_id for row in rows],
            [row.erasure_id for row in rows],
            [row.until for row in rows],
            [row.rounds for row in rows],
        )
        for record in records:
            if isinstance(record, Erase):
                await self.erase(conn, record.erasure)


async def redact_erased(conn: Connection, events: Sequence[AnyEvent]) -> Sequence[AnyEvent]:
    """These events; the person is taken out of those that an erased customer gave before they were erased."""
    customers = {event.data.customer_id for event in events if is_personal(event)}  # type: ignore[attr-defined]
    if not customers:
        return events
    erased = {row["customer_id"]: row["until"] for row in await conn.fetch(_ERASED, list(customers))}
    if not erased:
        return events
    return [_forgotten(event, erased) if is_personal(event) else event for event in events]


def _forgotten(event: AnyEvent, erased: Mapping[str, datetime]) -> AnyEvent:
    until = erased.get(event.data.customer_id)  # type: ignore[attr-defined]
    return redact(event) if until is not None and stated_at(event) <= until else event


_PARKED = """
    SELECT id, key, value FROM dead_letters WHERE value IS NOT NULL AND written_at <= $2
    AND EXISTS (SELECT FROM unnest($1::text[]) AS i WHERE position(convert_to(i, 'UTF8') in value) > 0)
    ORDER BY id FOR UPDATE"""
_REDACT = """UPDATE dead_letters SET value = $2, error = 'the customer was erased: ' || reason WHERE id = $1"""
_DROP = """
    UPDATE dead_letters SET value = NULL, headers = '{}', error = 'the customer was erased: ' || reason,
        state = CASE WHEN state IN ('open', 'replaying') THEN 'discarded' ELSE state END,
        settled_at = coalesce(settled_at, now()), settled_by = coalesce(settled_by, 'erasure') WHERE id = $1"""


async def erase_dead_letters(conn: Connection, erasure: Erasure, ids: Sequence[str]) -> None:
    """Take the person out of dead letters that name any of these ids: of the customer, their orders and issues.

    What can be read stays parked, and can be replayed; bytes that nobody can read are given up.
    """
    wanted = {erasure.customer_id, *ids}
    for row in await conn.fetch(_PARKED, [f'"{one}"' for one in wanted], erasure.until):
        try:
            event = decode(row["value"])
        except UndecodableError:
            await conn.execute(_DROP, row["id"])
            continue
        named = {getattr(event.data, name, None) for name in ("customer_id", "order_id", "issue_id")}
        if wanted & {str(one) for one in named}:
            await conn.execute(_REDACT, row["id"], encode(redact(event)))
