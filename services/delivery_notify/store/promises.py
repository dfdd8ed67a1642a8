"""SQL of the promise ledger: append-only promises, when and where each was announced, and its outcome so far."""

from collections.abc import Sequence

from pydantic import TypeAdapter

from libs.common.events.notices import PromiseRef
from libs.common.postgres.batch import columns
from libs.common.postgres.pool import Connection
from services.delivery_notify.domain.notices import PromiseMade
from services.delivery_notify.domain.promise_outcomes import PromiseOutcome

REFS = TypeAdapter(tuple[PromiseRef, ...])


def refs_json(refs: tuple[PromiseRef, ...]) -> str:
    """Return promise references as JSON; most notices have none."""
    return REFS.dump_json(refs).decode() if refs else "[]"


# A date announced on another surface than a notice (checkout, choice page) is recorded as announced with its row.
_PROMISES = """
    WITH made AS (
        INSERT INTO promises (order_id, subject, subject_id, version, day, source, promised_at)
        SELECT order_id, subject, subject_id, version, day, source, promised_at FROM unnest(
            $1::text[], $2::text[], $3::text[], $4::int[], $5::date[], $6::text[], $7::timestamptz[], $8::text[]
        ) AS p (order_id, subject, subject_id, version, day, source, promised_at, surface)
        ON CONFLICT DO NOTHING)
    INSERT INTO promise_notifications (order_id, subject, subject_id, version, surface, notified_at)
    SELECT order_id, subject, subject_id, version, surface, promised_at FROM unnest(
        $1::text[], $2::text[], $3::text[], $4::int[], $7::timestamptz[], $8::text[]
    ) AS p (order_id, subject, subject_id, version, promised_at, surface)
    WHERE surface IS NOT NULL
    ON CONFLICT DO NOTHING"""


async def save_promises(conn: Connection, rows: Sequence[PromiseMade]) -> None:
    if rows:
        values = [
            (
                row.order_id,
                row.subject,
                row.subject_id,
                row.version,
                row.day,
                row.source,
                row.promised_at,
                row.surface,
            )
            for row in rows
        ]
        await conn.execute(_PROMISES, *columns(values))


# The first end counts, until the thing is owed again.
_OUTCOMES = """
    INSERT INTO promise_outcomes AS known
        (order_id, subject, subject_id, warehouse, carrier, product_group, done_at, ended_at)
    SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::timestamptz[],
                         $8::timestamptz[])
    ON CONFLICT (order_id, subject, subject_id) DO UPDATE SET
        (warehouse, carrier, product_group, done_at, ended_at) = (
        coalesce(excluded.warehouse, known.warehouse), coalesce(excluded.carrier, known.carrier),
        coalesce(excluded.product_group, known.product_group), excluded.done_at,
        CASE WHEN excluded.ended_at IS NOT NULL THEN coalesce(known.ended_at, excluded.ended_at) END)"""


async def save_outcomes(conn: Connection, rows: Sequence[PromiseOutcome]) -> None:
    """Save the newest outcome of each subject; rows are locked in the order of their keys."""
    if rows:
        newest = {(row.order_id, row.subject, row.subject_id): row for row in rows}
        values = [
            (*key, row.warehouse, row.carrier, row.product_group, row.done_at, row.ended_at)
            for key, row in sorted(newest.items(), key=lambda each: each[0])
        ]
        await conn.execute(_OUTCOMES, *columns(values))


async def list_promises(conn: Connection, order_id: str) -> list[dict[str, object]]:
    """Return every date promised for an order, oldest first; `notified_at` is null if it was superseded unsent."""
    rows = await conn.fetch(
        """SELECT p.subject, p.subject_id, p.version, p.day, p.source, p.promised_at,
                  min(t.notified_at) AS notified_at,
                  (array_agg(t.surface ORDER BY t.notified_at))[1] AS notified_surface,
                  (array_agg(t.notice_id ORDER BY t.notified_at))[1] AS notice_id
           FROM promises p LEFT JOIN promise_notifications t USING (order_id, subject, subject_id, version)
           WHERE p.order_id = $1
           GROUP BY p.order_id, p.subject, p.subject_id, p.version
           ORDER BY p.promised_at, p.subject, p.subject_id, p.version""",
        order_id,
    )
    return [dict(row) for row in rows]
