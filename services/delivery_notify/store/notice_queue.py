"""SQL of the notice queue: claim due notices, mark the channel of an attempt, record outcomes."""

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from uuid import UUID

from libs.common.events.values import Language
from libs.common.postgres.batch import columns
from libs.common.postgres.pool import Connection
from services.delivery_notify.domain.routing import DEFERRABLE, RecipientContact

NO_REFS = "[]"
"""No promise is announced or broken; the case of most notices."""


@dataclass(frozen=True, slots=True)
class ClaimedNotice:
    """A notice leased by this sender. `contact` is None if the contact did not arrive in time.

    `kind` and `facts` are unparsed: an invalid row must not fail the other notices of its claim. `started_channel` is
    the channel of an attempt that may have succeeded ("" for none), `failed_channels` those that failed permanently,
    `recent_messages` counts the customer's messages of the last 24 hours, `batch_id` is the message that contains this
    notice, of `batch_size` notices.
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
    contact: RecipientContact | None
    trace: str | None
    started_channel: str = ""
    failed_channels: tuple[str, ...] = ()
    recent_messages: int = 0
    batched: bool = False
    batch_id: UUID | None = None
    batch_size: int | None = None
    announces: str = NO_REFS
    supersedes: str = NO_REFS
    next_update_by: str | None = None
    leased_until: datetime | None = None

    @property
    def promise_news(self) -> dict[str, object]:
        """Fields of `notice.sent`: the promises announced or broken, and the day of the next update."""
        announces = json.loads(self.announces) if self.announces != NO_REFS else ()
        supersedes = json.loads(self.supersedes) if self.supersedes != NO_REFS else ()
        return {"announces": announces, "supersedes": supersedes, "next_update_by": self.next_update_by}


# Claims due notices; rows claimed by another sender are skipped. The notices of an order are sent in sequence: a due
# notice waits until earlier due ones are settled. A withdrawn notice neither waits nor is waited for, unless it is
# being sent already. Batched notices are sent together, so they do not wait for each other. `IS TRUE` keeps the planner
# from reading all due rows for each row, `LATERAL` with a limit from reading all preferences: plans made on empty
# tables did so permanently. An attempt without a recorded channel went by mail. Messages are counted only where the
# daily limit could defer the notice.
_CLAIM = """
    WITH due AS (
        SELECT n.notice_id,
               coalesce(n.started_channel, CASE WHEN n.status = 'sending' OR n.attempts > 0 THEN 'email' END) AS started
        FROM notices n LEFT JOIN contacts c USING (order_id)
        WHERE n.settled_at IS NULL AND n.due_at <= $1
          AND (n.wait_until IS NULL OR n.wait_until <= clock_timestamp())
          AND (c.order_id IS NOT NULL OR n.withdrawn_cause IS NOT NULL OR n.contact_by <= $1)
          AND (n.withdrawn_cause IS NOT NULL OR NOT EXISTS (
              SELECT 1 FROM notices e
              WHERE e.order_id = n.order_id AND e.sequence < n.sequence AND NOT (e.batched AND n.batched)
                AND (e.settled_at IS NULL) IS TRUE AND (e.due_at <= $1) IS TRUE
                AND (e.withdrawn_cause IS NULL OR e.status = 'sending')))
        ORDER BY n.due_at, n.sequence LIMIT $2 FOR UPDATE OF n SKIP LOCKED),
    claimed AS (
        UPDATE notices n SET status = 'sending', attempts = attempts + 1, wait_until = clock_timestamp() + $3
        FROM due WHERE n.notice_id = due.notice_id
        RETURNING n.notice_id, n.order_id, n.customer_id, n.issue_id, n.kind, n.facts, n.promised_date, n.attempts,
                  n.withdrawn_cause, n.trace, n.failed_channels, n.batched, n.batch_id, n.announces,
                  n.supersedes, n.due_at, n.sequence, n.wait_until, due.started)
    SELECT n.notice_id, n.order_id, n.customer_id, n.issue_id, n.kind, n.facts, n.promised_date, n.attempts,
           n.withdrawn_cause, n.trace, n.failed_channels, n.batched, n.batch_id, n.announces, n.supersedes,
           n.started, n.facts ->> 'next_update_by' AS next_update_by, n.wait_until,
           c.order_id AS contact_order_id, coalesce(c.name, '') AS name, c.email,
           coalesce(p.language, c.language, 'ja') AS contact_language, coalesce(p.phone, c.phone) AS phone,
           p.line_user_id, p.channels, c.last_purchased_item,
           CASE WHEN n.kind = ANY ($4) AND NOT n.batched AND n.withdrawn_cause IS NULL THEN (
               SELECT count(DISTINCT coalesce(h.batch_id, h.notice_id)) FROM notices h
               WHERE h.customer_id = n.customer_id AND h.status = 'sent'
                 AND h.settled_at > $1 - interval '1 day') ELSE 0 END AS recent_messages,
           CASE WHEN n.batch_id IS NOT NULL THEN (
               SELECT count(*) FROM notices t
               WHERE t.batch_id = n.batch_id AND (t.settled_at IS NULL) IS TRUE
                 AND t.withdrawn_cause IS NULL) END AS batch_size,
           ARRAY(SELECT s.channel FROM suppressed_addresses s WHERE (s.channel, s.digest) IN (
               ('email', sha256(convert_to(lower(c.email), 'UTF8'))),
               ('sms', sha256(convert_to(lower(coalesce(p.phone, c.phone)), 'UTF8'))),
               ('line', sha256(convert_to(lower(p.line_user_id), 'UTF8'))))) AS suppressed
    FROM claimed n LEFT JOIN contacts c ON c.order_id = n.order_id AND (c.customer_id = n.customer_id) IS TRUE
    LEFT JOIN LATERAL (
        SELECT p.language, p.phone, p.line_user_id, p.channels FROM preferences p
        WHERE p.customer_id = n.customer_id LIMIT 1) AS p ON true
    ORDER BY n.due_at, n.sequence"""


async def claim_notices(conn: Connection, now: datetime, limit: int, lease: timedelta) -> list[ClaimedNotice]:
    """Claim up to `limit` due notices for the duration of the lease (wall clock).

    At most one per order, except for batched notices, which are sent together.
    """
    return [
        ClaimedNotice(
            row["notice_id"],
            row["order_id"],
            row["customer_id"],
            row["issue_id"],
            row["kind"],
            row["facts"],
            row["promised_date"],
            row["attempts"],
            row["withdrawn_cause"],
            RecipientContact(
                row["name"],
                row["email"],
                Language(row["contact_language"]),
                row["phone"],
                row["line_user_id"],
                tuple(row["channels"] or ()),
                frozenset(row["suppressed"]),
                row["last_purchased_item"],
            )
            if row["contact_order_id"]
            else None,
            row["trace"],
            row["started"] or "",
            tuple(row["failed_channels"] or ()),
            row["recent_messages"],
            row["batched"],
            row["batch_id"],
            row["batch_size"],
            row["announces"],
            row["supersedes"],
            row["next_update_by"],
            row["wait_until"],
        )
        for row in await conn.fetch(_CLAIM, now, limit, lease, DEFERRABLE)
    ]


@dataclass(frozen=True, slots=True)
class StartedNotice:
    """The channel (and batch) of an attempt, recorded before the message is sent."""

    notice_id: UUID
    channel: str
    batch_id: UUID | None = None


async def mark_started(conn: Connection, started: Sequence[StartedNotice]) -> None:
    """Record these attempts; mail without a batch is the default and needs no row change."""
    values = [
        (each.notice_id, each.channel, each.batch_id) for each in started if each.channel != "email" or each.batch_id
    ]
    if values:
        await conn.execute(
            """UPDATE notices n SET started_channel = s.channel, batch_id = s.batch_id
               FROM unnest($1::uuid[], $2::text[], $3::uuid[]) AS s (notice_id, channel, batch_id)
               WHERE n.notice_id = s.notice_id""",
            *columns(values),
        )


@dataclass(frozen=True, slots=True)
class Completed:
    """Final outcome of a claimed notice. `status` is sent, failed or suppressed; `address` the one it was sent to."""

    notice_id: UUID
    status: str
    channel: str | None = None
    language: str | None = None
    cause: str | None = None
    address: str | None = None


async def lock_notices(conn: Connection, ids: Iterable[UUID]) -> None:
    """Lock these notices in the order of their ids, before a transaction changes them with several statements.

    The sender records outcomes while conversations withdraw notices: another lock order would deadlock.
    """
    if wanted := list(ids):
        query = "SELECT FROM notices WHERE notice_id = ANY ($1) ORDER BY notice_id FOR NO KEY UPDATE"
        await conn.execute(query, wanted)


async def lock_leased(conn: Connection, leases: Mapping[UUID, datetime | None]) -> set[UUID]:
    """Lock these notices like `lock_notices`; return those whose lease is still this one."""
    rows = await conn.fetch(
        """SELECT notice_id, status, wait_until FROM notices WHERE notice_id = ANY ($1)
           ORDER BY notice_id FOR NO KEY UPDATE""",
        list(leases),
    )
    return {
        row["notice_id"] for row in rows if row["status"] == "sending" and row["wait_until"] == leases[row["notice_id"]]
    }


# A message that was sent counts, also after its lease. A sent notice announces its promises in the same statement. Rows
# are locked in the order of their ids, as by the withdrawal of notices: another order would deadlock. `LATERAL` finds
# each row by its id; a free join was planned for a handful of rows and compared all with all.
_COMPLETE = """
    WITH mine AS (
    SELECT o.* FROM (
        SELECT * FROM unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::text[], $7::text[])
            AS o (notice_id, status, channel, language, cause, address) ORDER BY notice_id) AS o
        CROSS JOIN LATERAL (SELECT FROM notices n WHERE n.notice_id = o.notice_id FOR NO KEY UPDATE) AS locked),
    settled AS (
    UPDATE notices n SET status = s.status, channel = s.channel, language = s.language, cause = s.cause,
                         settled_at = $6, wait_until = NULL,
                         address_digest = CASE WHEN s.channel = 'email'
                             THEN sha256(convert_to(lower(s.address), 'UTF8')) ELSE n.address_digest END
    FROM mine s WHERE n.notice_id = s.notice_id AND n.status IN ('sending', 'pending')
    RETURNING n.notice_id, n.order_id, n.announces, s.status, s.channel),
    announced AS (
    INSERT INTO promise_notifications (order_id, subject, subject_id, version, surface, notice_id, notified_at)
    SELECT s.order_id, t.subject, t.subject_id, t.version, s.channel, s.notice_id, $6
    FROM settled s CROSS JOIN jsonb_to_recordset(s.announces) AS t (subject text, subject_id text, version int)
    WHERE s.status = 'sent' AND s.announces <> '[]'
    ON CONFLICT DO NOTHING)
    SELECT notice_id FROM settled"""


async def complete_notices(conn: Connection, outcomes: Collection[Completed], now: datetime) -> set[UUID]:
    """Record final outcomes; return the notices that were not settled before."""
    if not outcomes:
        return set()
    values = [(each.notice_id, each.status, each.channel, each.language, each.cause) for each in outcomes]
    addresses = [each.address for each in outcomes]
    rows = await conn.fetch(_COMPLETE, *columns(values), now, addresses)
    return {row["notice_id"] for row in rows}


@dataclass(frozen=True, slots=True)
class Rescheduled:
    """A claimed notice to retry after a pause (wall clock). `counts`: an attempt was made."""

    notice_id: UUID
    cause: str
    pause: timedelta
    counts: bool = True


# Without an attempt there is no started channel, unless an earlier attempt had one.
_RESCHEDULE = """
    UPDATE notices n SET status = 'pending', cause = p.cause, wait_until = clock_timestamp() + p.pause,
                         attempts = CASE WHEN p.counts THEN n.attempts ELSE n.attempts - 1 END,
                         started_channel = CASE WHEN p.counts OR n.attempts > 1 THEN n.started_channel END
    FROM unnest($1::uuid[], $2::text[], $3::interval[], $4::bool[]) AS p (notice_id, cause, pause, counts)
    WHERE n.notice_id = p.notice_id AND n.status = 'sending'"""


async def reschedule_notices(conn: Connection, rescheduled: Sequence[Rescheduled]) -> None:
    if rescheduled:
        values = [(each.notice_id, each.cause, each.pause, each.counts) for each in rescheduled]
        await conn.execute(_RESCHEDULE, *columns(values))


@dataclass(frozen=True, slots=True)
class Deferred:
    """A claimed notice that must not be sent before this shop time."""

    notice_id: UUID
    until: datetime
    cause: str
    batched: bool


async def defer_notices(conn: Connection, deferred: Sequence[Deferred]) -> None:
    if deferred:
        values = [(each.notice_id, each.until, each.cause, each.batched) for each in deferred]
        await conn.execute(
            """UPDATE notices n SET status = 'pending', cause = k.cause, due_at = k.until, wait_until = NULL,
                                    attempts = n.attempts - 1, batched = n.batched OR k.batched
               FROM unnest($1::uuid[], $2::timestamptz[], $3::text[], $4::bool[])
                   AS k (notice_id, until, cause, batched)
               WHERE n.notice_id = k.notice_id AND n.status = 'sending'""",
            *columns(values),
        )


@dataclass(frozen=True, slots=True)
class FellBack:
    """A claimed notice that failed permanently on this channel and uses the next one at once."""

    notice_id: UUID
    channel: str
    cause: str


async def fall_back_notices(conn: Connection, fell_back: Sequence[FellBack]) -> None:
    if fell_back:
        values = [(each.notice_id, each.channel, each.cause) for each in fell_back]
        await conn.execute(
            """UPDATE notices n SET status = 'pending', cause = t.cause, wait_until = NULL, attempts = 0,
                                    started_channel = NULL, batch_id = NULL,
                                    failed_channels = array_append(coalesce(n.failed_channels, '{}'), t.channel)
               FROM unnest($1::uuid[], $2::text[], $3::text[]) AS t (notice_id, channel, cause)
               WHERE n.notice_id = t.notice_id AND n.status = 'sending'""",
            *columns(values),
        )


@dataclass(frozen=True, slots=True)
class BatchOutcomes:
    """Outcomes of a batch of claimed notices; `leases` are the leases of all of them."""

    leases: Mapping[UUID, datetime | None]
    completed: Sequence[Completed] = ()
    rescheduled: Sequence[Rescheduled] = ()
    fell_back: Sequence[FellBack] = ()
    deferred: Sequence[Deferred] = ()

    @property
    def all_sent(self) -> bool:
        return not (self.rescheduled or self.fell_back or self.deferred) and all(
            each.status == "sent" for each in self.completed
        )

    def still_valid(self, leased: Collection[UUID]) -> "BatchOutcomes":
        """Return the sent notices, and the other outcomes of notices that are still leased to this sender."""
        return BatchOutcomes(
            self.leases,
            [each for each in self.completed if each.status == "sent" or each.notice_id in leased],
            [each for each in self.rescheduled if each.notice_id in leased],
            [each for each in self.fell_back if each.notice_id in leased],
            [each for each in self.deferred if each.notice_id in leased],
        )


async def record_outcomes(conn: Connection, outcomes: BatchOutcomes, now: datetime) -> set[UUID]:
    """Record a batch; return the notices that this settled. If all were sent, that statement locks them itself.

    An outcome of a lost lease is dropped: another sender has the notice by now.
    """
    if not outcomes.all_sent:
        outcomes = outcomes.still_valid(await lock_leased(conn, outcomes.leases))
    settled = await complete_notices(conn, outcomes.completed, now)
    await reschedule_notices(conn, outcomes.rescheduled)
    await fall_back_notices(conn, outcomes.fell_back)
    await defer_notices(conn, outcomes.deferred)
    return settled
