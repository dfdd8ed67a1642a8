"""SQL of the order lookup: attempts per caller and order number, and the record of each use."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from libs.common.postgres.column_keys import keys_of
from libs.common.postgres.pool import Connection
from libs.common.postgres.retention import Sweep
from services.intake.store.attempts import LOCK_SUBJECTS

_EXCEEDED = """
    SELECT EXISTS (
        SELECT FROM unnest($1::bytea[], $2::int[], $3::timestamptz[]) AS l (subject, most, since)
        WHERE (SELECT count(*) FROM order_lookup_attempts a
               WHERE a.subject = l.subject AND a.at > l.since) >= l.most)"""
_COUNT = "INSERT INTO order_lookup_attempts (subject, at) SELECT unnest($1::bytea[]), $2"
_FORGET = "DELETE FROM order_lookup_attempts WHERE at <= $1"
_CLEAR = "DELETE FROM order_lookup_attempts WHERE subject = $1 OR (subject = ANY($2) AND at = $3)"
_RECORD = """
    INSERT INTO order_lookups (at, proof, number_digest, order_id, reader) VALUES ($1, $2, $3, $4, $5)"""
_SWEEP = "SELECT delete_order_lookups($1, $2)"
RETENTION_DAYS = 90


@dataclass(frozen=True, slots=True)
class Limit:
    """Failed attempts that are allowed within a period."""

    most: int
    within: timedelta


async def admit_lookup(conn: Connection, limits: Mapping[str, Limit], now: datetime) -> bool:
    """Count an attempt for each of these subjects, or return False where one has reached its limit.

    It is counted before anything is looked up, one after the other per subject; a match takes it back (`clear_lookup`).
    """
    subjects = digests_of(conn, list(limits))
    await conn.execute(LOCK_SUBJECTS, subjects)
    await conn.execute(_FORGET, now - max(limit.within for limit in limits.values()))
    since = [now - limit.within for limit in limits.values()]
    if await conn.fetchval(_EXCEEDED, subjects, [limit.most for limit in limits.values()], since):
        return False
    await conn.execute(_COUNT, subjects, now)
    return True


async def clear_lookup(conn: Connection, own: str, shared: Sequence[str], at: datetime) -> None:
    """Delete all attempts of `own`, and of subjects that others share only the one counted at this time."""
    (digest,) = digests_of(conn, [own])
    await conn.execute(_CLEAR, digest, digests_of(conn, shared), at)


async def record_lookup(
    conn: Connection, at: datetime, proof: str, number: str, order_id: str | None, reader: str | None
) -> None:
    """Record a use of the lookup. The typed number may be anything, so its digest is stored."""
    (digest,) = digests_of(conn, [number])
    await conn.execute(_RECORD, at, proof, digest, order_id, reader)


def retention_sweep() -> Sweep:
    return Sweep("uses of the order lookup", _SWEEP, RETENTION_DAYS)


def digests_of(conn: Connection, texts: Sequence[str]) -> list[bytes]:
    """Return keyed digests, so that a dump names neither addresses nor order numbers that were typed."""
    digest = keys_of(conn).digest
    return [digest(text) for text in texts]
