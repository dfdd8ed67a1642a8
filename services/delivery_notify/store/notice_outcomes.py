"""SQL of the outcomes of claimed notices: completed, rescheduled, deferred, or on to the next channel."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from uuid import UUID

from libs.common.decisions.fast_dataclass import dataclass
from libs.common.postgres.batch import columns
from libs.common.postgres.column_keys import keys_of
from libs.common.postgres.pool import Connection


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
        SELECT * FROM unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::text[], $7::bytea[])
            AS o (notice_id, status, channel, language, cause, digest) ORDER BY notice_id) AS o
        CROSS JOIN LATERAL (SELECT FROM notices n WHERE n.notice_id = o.notice_id FOR NO KEY UPDATE) AS locked),
    settled AS (
    UPDATE notices n SET status = s.status, channel = s.channel, language = s.language, cause = s.cause,
                         settled_at = $6, wait_until = NULL,
                         address_digest = CASE WHEN s.channel = 'email' THEN s.digest ELSE n.address_digest END
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
    digest = keys_of(conn).digest
    digests = [digest(each.address) if each.address and each.channel == "email" else None for each in outcomes]
    rows = await conn.fetch(_COMPLETE, *columns(values), now, digests)
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
