"""What the sender asks of the database: claim what is due, say on which way it is begun, record how it went."""

import json
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from uuid import UUID

from libs.common.events.values import Language
from libs.common.postgres.pool import Connection
from services.delivery_notify.domain.routing import CAN_WAIT, Contact

NONE = "[]"
"""No promise is made known or broken: so it is of most notices."""


@dataclass(frozen=True, slots=True)
class Claimed:
    """A notice that this sender now holds a lease on. Without a contact, nobody will ever say whom to write to.

    Kind and facts are as they were written, unread: one that cannot be read must not hold up the others of its claim.
    `begun` is the channel on which an earlier attempt may have got through ("" for none), `tried` those that failed for
    good, `heard` how many messages the customer got in the last 24 hours, `together` the message it was put
    into with others, of so many `parts`.
    """

    notice_id: UUID
    order_id: str
    customer_id: str
    issue_id: UUID | None
    kind: str
    facts: str
    promised_date: date | None
    attempts: int
    withdrawn: str | None
    contact: Contact | None
    traceparent: str | None
    begun: str = ""
    tried: tuple[str, ...] = ()
    heard: int = 0
    held: bool = False
    together: UUID | None = None
    parts: int | None = None
    tells: str = NONE
    breaks: str = NONE
    next_word: str | None = None

    @property
    def news(self) -> dict[str, object]:
        """The promises that this notice makes known or says are broken, and the day of our next word, for the event."""
        tells = json.loads(self.tells) if self.tells != NONE else ()
        breaks = json.loads(self.breaks) if self.breaks != NONE else ()
        return {"tells": tells, "breaks": breaks, "next_update_by": self.next_word}


# Of the rows that are due, take those that can be settled now; another sender's rows are passed over. The notices of
# an order leave one after the other, in the order in which they were made: one that is due waits until those before it
# are settled, whatever holds them up. What was withdrawn never leaves: it neither waits nor is waited for, unless it
# was on its way already. Those that a cap kept back leave together, so they do not wait for each other. (`IS TRUE`
# keeps the planner from reading all that is due for each of them, and `LATERAL` with its limit from reading everybody's
# preferences: plans made while there was next to nothing to read did so for ever after.) What was begun before stays on
# its way: no way in the row means by mail. What a customer heard is counted only where a cap could keep the notice.
_CLAIM = """
    WITH due AS (
        SELECT n.notice_id,
               coalesce(n.way, CASE WHEN n.status = 'sending' OR n.attempts > 0 THEN 'email' END) AS begun
        FROM notices n LEFT JOIN contacts c USING (order_id)
        WHERE n.settled_at IS NULL AND n.due_at <= $1
          AND (n.wait_until IS NULL OR n.wait_until <= clock_timestamp())
          AND (c.order_id IS NOT NULL OR n.withdrawn IS NOT NULL OR n.contact_by <= $1)
          AND (n.withdrawn IS NOT NULL OR NOT EXISTS (
              SELECT 1 FROM notices e
              WHERE e.order_id = n.order_id AND e.place < n.place AND NOT (e.held AND n.held)
                AND (e.settled_at IS NULL) IS TRUE AND (e.due_at <= $1) IS TRUE
                AND (e.withdrawn IS NULL OR e.status = 'sending')))
        ORDER BY n.due_at, n.place LIMIT $2 FOR UPDATE OF n SKIP LOCKED),
    claimed AS (
        UPDATE notices n SET status = 'sending', attempts = attempts + 1, wait_until = clock_timestamp() + $3
        FROM due WHERE n.notice_id = due.notice_id
        RETURNING n.notice_id, n.order_id, n.customer_id, n.issue_id, n.kind, n.facts, n.promised_date, n.attempts,
                  n.withdrawn, n.traceparent, n.tried, n.held, n.together, n.tells, n.breaks, n.due_at, n.place,
                  due.begun)
    SELECT n.notice_id, n.order_id, n.customer_id, n.issue_id, n.kind, n.facts, n.promised_date, n.attempts,
           n.withdrawn, n.traceparent, n.tried, n.held, n.together, n.tells, n.breaks, n.begun,
           n.facts ->> 'next_word' AS next_word, c.name, c.email, coalesce(p.language, c.language) AS contact_language,
           coalesce(p.phone, c.phone) AS phone, p.line_user_id, p.channels, c.last_purchased_item,
           CASE WHEN n.kind = ANY ($4) AND NOT n.held AND n.withdrawn IS NULL THEN (
               SELECT count(DISTINCT coalesce(h.together, h.notice_id)) FROM notices h
               WHERE h.customer_id = n.customer_id AND h.status = 'sent'
                 AND h.settled_at > $1 - interval '1 day') ELSE 0 END AS heard,
           CASE WHEN n.together IS NOT NULL THEN (
               SELECT count(*) FROM notices t
               WHERE t.together = n.together AND (t.settled_at IS NULL) IS TRUE AND t.withdrawn IS NULL) END AS parts,
           ARRAY(SELECT s.channel FROM suppressed_addresses s WHERE (s.channel, s.digest) IN (
               ('email', sha256(convert_to(lower(c.email), 'UTF8'))),
               ('sms', sha256(convert_to(lower(coalesce(p.phone, c.phone)), 'UTF8'))),
               ('line', sha256(convert_to(lower(p.line_user_id), 'UTF8'))))) AS suppressed
    FROM claimed n LEFT JOIN contacts c ON c.order_id = n.order_id AND (c.customer_id = n.customer_id) IS TRUE
    LEFT JOIN LATERAL (
        SELECT p.language, p.phone, p.line_user_id, p.channels FROM preferences p
        WHERE p.customer_id = n.customer_id LIMIT 1) AS p ON true
    ORDER BY n.due_at, n.place"""


async def claim_notices(conn: Connection, now: datetime, limit: int, lease: timedelta) -> list[Claimed]:
    """Take up to `limit` due notices, one per order at most, for as long as the lease holds (wall clock)."""
    return [
        Claimed(
            row["notice_id"],
            row["order_id"],
            row["customer_id"],
            row["issue_id"],
            row["kind"],
            row["facts"],
            row["promised_date"],
            row["attempts"],
            row["withdrawn"],
            Contact(
                row["name"],
                row["email"],
                Language(row["contact_language"]),
                row["phone"],
                row["line_user_id"],
                tuple(row["channels"] or ()),
                frozenset(row["suppressed"]),
                row["last_purchased_item"],
            )
            if row["email"]
            else None,
            row["traceparent"],
            row["begun"] or "",
            tuple(row["tried"] or ()),
            row["heard"],
            row["held"],
            row["together"],
            row["parts"],
            row["tells"],
            row["breaks"],
            row["next_word"],
        )
        for row in await conn.fetch(_CLAIM, now, limit, lease, CAN_WAIT)
    ]


@dataclass(frozen=True, slots=True)
class Begun:
    """A claimed notice goes this way now, in this message: written down before anything leaves."""

    notice_id: UUID
    way: str
    together: UUID | None = None


async def begin(conn: Connection, begun: Sequence[Begun]) -> None:
    """Nothing needs to be written for one that goes by mail and alone."""
    rows = [(each.notice_id, each.way, each.together) for each in begun if each.way != "email" or each.together]
    if rows:
        await conn.execute(
            """UPDATE notices n SET way = b.way, together = b.together
               FROM unnest($1::uuid[], $2::text[], $3::uuid[]) AS b (notice_id, way, together)
               WHERE n.notice_id = b.notice_id""",
            *map(list, zip(*rows, strict=True)),
        )


@dataclass(frozen=True, slots=True)
class Completed:
    """How a claimed notice ended. `status` is sent, failed or suppressed."""

    notice_id: UUID
    status: str
    channel: str | None = None
    language: str | None = None
    cause: str | None = None


async def lock_notices(conn: Connection, ids: Iterable[UUID]) -> None:
    """Before a transaction changes notices that exist: all of them at once, in the order of their ids.

    The sender records ends while conversations take notices back. Two orders, or one statement after the other, would
    be a deadlock between them.
    """
    if wanted := list(ids):
        query = "SELECT FROM notices WHERE notice_id = ANY ($1) ORDER BY notice_id FOR NO KEY UPDATE"
        await conn.execute(query, wanted)


# What a notice told is told from now on: a row of the ledger beside the promise, in the same statement.
# Rows are locked in the order of their ids, as those who withdraw notices do: two orders would be a deadlock. `LATERAL`
# makes each found by its id; a planner that is free to join believes in a handful and compares all with all.
_SETTLE = """
    WITH mine AS (
    SELECT o.* FROM (
        SELECT * FROM unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::text[])
            AS o (notice_id, status, channel, language, cause) ORDER BY notice_id) AS o
        CROSS JOIN LATERAL (SELECT FROM notices n WHERE n.notice_id = o.notice_id FOR NO KEY UPDATE) AS locked),
    settled AS (
    UPDATE notices n SET status = s.status, channel = s.channel, language = s.language, cause = s.cause,
                         settled_at = $6, wait_until = NULL
    FROM mine s WHERE n.notice_id = s.notice_id AND n.status = 'sending'
    RETURNING n.notice_id, n.order_id, n.tells, s.status, s.channel),
    told AS (
    INSERT INTO tellings (order_id, subject, subject_id, version, surface, notice_id, told_at)
    SELECT s.order_id, t.subject, t.subject_id, t.version, s.channel, s.notice_id, $6
    FROM settled s CROSS JOIN jsonb_to_recordset(s.tells) AS t (subject text, subject_id text, version int)
    WHERE s.status = 'sent' AND s.tells <> '[]'
    ON CONFLICT DO NOTHING)
    SELECT notice_id FROM settled"""


async def settle_notices(conn: Connection, outcomes: Collection[Completed], now: datetime) -> set[UUID]:
    """Record how these ended; gives those that had not been settled by another sender before."""
    if not outcomes:
        return set()
    columns = [(each.notice_id, each.status, each.channel, each.language, each.cause) for each in outcomes]
    rows = await conn.fetch(_SETTLE, *map(list, zip(*columns, strict=True)), now)
    return {row["notice_id"] for row in rows}


@dataclass(frozen=True, slots=True)
class Rescheduled:
    """A claimed notice to try again, after a pause of the wall clock. `counts`: this was an attempt."""

    notice_id: UUID
    cause: str
    pause: timedelta
    counts: bool = True


# What was not an attempt was not begun either, unless it had been before.
_PUT_OFF = """
    UPDATE notices n SET status = 'pending', cause = p.cause, wait_until = clock_timestamp() + p.pause,
                         attempts = CASE WHEN p.counts THEN n.attempts ELSE n.attempts - 1 END,
                         way = CASE WHEN p.counts OR n.attempts > 1 THEN n.way END
    FROM unnest($1::uuid[], $2::text[], $3::interval[], $4::bool[]) AS p (notice_id, cause, pause, counts)
    WHERE n.notice_id = p.notice_id AND n.status = 'sending'"""


async def put_off_notices(conn: Connection, later: Sequence[Rescheduled]) -> None:
    if later:
        columns = [(each.notice_id, each.cause, each.pause, each.counts) for each in later]
        await conn.execute(_PUT_OFF, *map(list, zip(*columns, strict=True)))


@dataclass(frozen=True, slots=True)
class Deferred:
    """A claimed notice that must not leave before this moment of the shop's clock."""

    notice_id: UUID
    until: datetime
    cause: str
    held: bool


async def keep_notices(conn: Connection, kept: Sequence[Deferred]) -> None:
    if kept:
        columns = [(each.notice_id, each.until, each.cause, each.held) for each in kept]
        await conn.execute(
            """UPDATE notices n SET status = 'pending', cause = k.cause, due_at = k.until, wait_until = NULL,
                                    attempts = n.attempts - 1, held = n.held OR k.held
               FROM unnest($1::uuid[], $2::timestamptz[], $3::text[], $4::bool[]) AS k (notice_id, until, cause, held)
               WHERE n.notice_id = k.notice_id AND n.status = 'sending'""",
            *map(list, zip(*columns, strict=True)),
        )


@dataclass(frozen=True, slots=True)
class FellBack:
    """A claimed notice that failed for good on this channel and takes its next way at once."""

    notice_id: UUID
    channel: str
    cause: str


async def turn_notices(conn: Connection, turned: Sequence[FellBack]) -> None:
    if turned:
        columns = [(each.notice_id, each.channel, each.cause) for each in turned]
        await conn.execute(
            """UPDATE notices n SET status = 'pending', cause = t.cause, wait_until = NULL, attempts = 0, way = NULL,
                                    tried = array_append(coalesce(n.tried, '{}'), t.channel), together = NULL
               FROM unnest($1::uuid[], $2::text[], $3::text[]) AS t (notice_id, channel, cause)
               WHERE n.notice_id = t.notice_id AND n.status = 'sending'""",
            *map(list, zip(*columns, strict=True)),
        )


@dataclass(frozen=True, slots=True)
class Ends:
    """How each notice of a batch ended, or goes on."""

    completed: Sequence[Completed] = ()
    rescheduled: Sequence[Rescheduled] = ()
    fell_back: Sequence[FellBack] = ()
    deferred: Sequence[Deferred] = ()

    @property
    def going_on(self) -> list[UUID]:
        return [each.notice_id for group in (self.rescheduled, self.fell_back, self.deferred) for each in group]


async def record_ends(conn: Connection, ends: Ends, now: datetime) -> set[UUID]:
    """Write a batch down; gives the notices that this settled. Where nothing goes on, settling locks them itself."""
    if going_on := ends.going_on:
        await lock_notices(conn, [*going_on, *(each.notice_id for each in ends.completed)])
    known = await settle_notices(conn, ends.completed, now)
    await put_off_notices(conn, ends.rescheduled)
    await turn_notices(conn, ends.fell_back)
    await keep_notices(conn, ends.deferred)
    return known
