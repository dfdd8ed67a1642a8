"""Erasure of a customer: each service erases its own data on an event of topic `customers` and confirms it.

Erased: names, mail addresses, phone numbers, postal addresses, birthdays, photos, and all texts by the customer or by
staff about the customer. Kept: the ids of customer, orders and issues, and amounts under them. `customer_id` is the
storefront's pseudonym, so it must not be a mail address or a name. Replacing it was rejected: that would split a ledger
while events under the old id are still in flight, and could be reversed with the topics of the last month.

Kafka records cannot be edited. Personal data is on five topics and on the dead-letter topics, which keep it for a week
(`events.topics`); `erase_cli --drop-read` deletes it earlier. Rejected: encryption with a key per customer, which every
partner would need and the storefront does not use; and compaction, which loses all but the last event of an order.

Late events: an event older than the erasure is redacted before it is decided on (`redact_erased`). Events processed by
another transaction at that moment are found by repeated passes, the last after the retention of every topic
(`PASS_INTERVALS`). An order placed after the request is a new consent.
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
from libs.common.postgres.column_keys import keys_of
from libs.common.postgres.key_register import require
from libs.common.postgres.pool import Connection

PASS_INTERVALS = (timedelta(minutes=10), timedelta(days=1), timedelta(days=PERSONAL_RETENTION_DAYS + 2))
"""Interval of each further pass after the one before."""

_REPEAT = "repeat_erasure"

_LOAD = "SELECT customer_id, erasure_id, until, passes FROM erasures WHERE customer_id = ANY($1) ORDER BY 1 FOR UPDATE"
_SAVE = """
    INSERT INTO erasures (customer_id, erasure_id, until, passes)
    SELECT * FROM unnest($1::text[], $2::uuid[], $3::timestamptz[], $4::int[])
    ON CONFLICT (customer_id) DO UPDATE
    SET erasure_id = excluded.erasure_id, until = excluded.until, passes = excluded.passes"""
_ERASED = "SELECT customer_id, until FROM erasures WHERE customer_id = ANY($1)"


@dataclass(frozen=True, slots=True)
class Erasure:
    """Erasure of the data that a customer stated up to `until`. `passes`: completed passes."""

    customer_id: str
    erasure_id: UUID
    until: datetime
    passes: int = 1


@dataclass(frozen=True, slots=True)
class Erase(Record):
    """Record that makes `save` erase the data, in the transaction of the decision."""

    erasure: Erasure


EraseCustomer = Callable[[Connection, Erasure], Awaitable[None]]
"""A service's own function that erases a customer's data. Idempotent."""


@dataclass(frozen=True)
class Erasures:
    """Aggregate of a service's erasures, keyed by customer."""

    service: str
    erase: EraseCustomer
    name: str = "erasures"
    is_read_model = False

    def key_of(self, event: AnyEvent) -> str | None:
        return event.data.customer_id if isinstance(event.data, CustomerErasureRequested) else None

    async def load(self, conn: Connection, keys: Sequence[str], events: Sequence[AnyEvent]) -> dict[str, Erasure]:
        return {row["customer_id"]: Erasure(*row.values()) for row in await conn.fetch(_LOAD, sorted(keys))}

    def decide(self, state: Erasure | None, event: AnyEvent, now: datetime) -> tuple[Erasure | None, Facts]:
        match event.data:
            case CustomerErasureRequested() as request:
                until = min(request.requested_at, now)  # a request does not cover data stated after it
                after = Erasure(request.customer_id, request.erasure_id, max(until, state.until) if state else until)
                return after, [Erase(after), self._completed(after, now), SetTimer(_REPEAT, now + PASS_INTERVALS[0])]
            case TimerFired() if state:
                after = replace(state, passes=state.passes + 1)
                intervals = PASS_INTERVALS[state.passes : after.passes]
                return after, [Erase(after), *(SetTimer(_REPEAT, now + interval) for interval in intervals)]
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
            [row.passes for row in rows],
        )
        for record in records:
            if isinstance(record, Erase):
                await self.erase(conn, record.erasure)


_RECORD = """
    INSERT INTO erasures AS e (customer_id, erasure_id, until, passes)
    SELECT DISTINCT ON (customer_id) customer_id, erasure_id, until, 0
    FROM unnest($1::text[], $2::uuid[], $3::timestamptz[]) AS r (customer_id, erasure_id, until)
    ORDER BY customer_id, until DESC
    ON CONFLICT (customer_id) DO UPDATE SET until = greatest(e.until, excluded.until)"""


async def record_erasures(conn: Connection, erasures: Sequence[Erasure]) -> None:
    """Record erasures whose requests are still to be read: events are redacted, and nothing is erased, before that."""
    ids = [each.customer_id for each in erasures]
    await conn.execute(_RECORD, ids, [each.erasure_id for each in erasures], [each.until for each in erasures])


async def redact_erased(conn: Connection, events: Sequence[AnyEvent]) -> Sequence[AnyEvent]:
    """Redact events with data that an erased customer stated before the erasure."""
    customers = {event.data.customer_id for event in events if is_personal(event)}  # type: ignore[attr-defined]
    if not customers:
        return events
    erased = {row["customer_id"]: row["until"] for row in await conn.fetch(_ERASED, list(customers))}
    if not erased:
        return events
    return [_redact_if_erased(event, erased) if is_personal(event) else event for event in events]


def _redact_if_erased(event: AnyEvent, erased: Mapping[str, datetime]) -> AnyEvent:
    until = erased.get(event.data.customer_id)  # type: ignore[attr-defined]
    return redact(event) if until is not None and stated_at(event) <= until else event


TABLE = "dead_letters"
_FORMER_IDS = "SELECT former_id FROM merged_customers WHERE customer_id = $1"
# Encrypted values cannot be searched by the database, so all are read: an erasure is rare, and so are dead letters.
_PAGE = """
    SELECT id, value FROM dead_letters WHERE value IS NOT NULL AND written_at <= $1 AND id > $2 ORDER BY id LIMIT 500"""
_LOCK = "SELECT value FROM dead_letters WHERE id = $1 AND value IS NOT NULL FOR UPDATE"
_REDACT = """UPDATE dead_letters SET value = $2, error = 'the customer was erased: ' || reason WHERE id = $1"""
_DROP = """
    UPDATE dead_letters SET value = NULL, headers = '{}', error = 'the customer was erased: ' || reason,
        state = CASE WHEN state IN ('open', 'replaying') THEN 'discarded' ELSE state END,
        settled_at = coalesce(settled_at, now()), settled_by = coalesce(settled_by, 'erasure') WHERE id = $1"""


async def erase_dead_letters(conn: Connection, erasure: Erasure, ids: Sequence[str]) -> None:
    """Redact dead letters that mention one of these ids: of the customer, merged accounts, orders and issues.

    Decodable events stay and can be replayed; undecodable ones are discarded.
    """
    former = [row["former_id"] for row in await conn.fetch(_FORMER_IDS, erasure.customer_id)]
    wanted = {erasure.customer_id, *former, *ids}
    keys, quoted = keys_of(conn), [f'"{id}"'.encode() for id in wanted]
    mentioning: list[int] = []
    last = 0
    while page := await conn.fetch(_PAGE, erasure.until, last):
        last = page[-1]["id"]
        await require(conn, keys, [row["value"] for row in page])
        values = [(row["id"], keys.reveal(TABLE, row["value"])) for row in page]
        mentioning += [row_id for row_id, value in values if any(id in value for id in quoted)]
    for dead_letter_id in mentioning:
        value = await conn.fetchval(_LOCK, dead_letter_id)
        if value is None:
            continue
        try:
            event = decode(keys.reveal(TABLE, value))
        except UndecodableError:
            await conn.execute(_DROP, dead_letter_id)
            continue
        mentioned = {getattr(event.data, name, None) for name in ("customer_id", "order_id", "issue_id")}
        if wanted & {str(id) for id in mentioned}:
            await conn.execute(_REDACT, dead_letter_id, keys.seal(TABLE, encode(redact(event))))
