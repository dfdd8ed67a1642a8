"""SQL of the requests that wait for an answer of the shop: the rows of the projection, and the list of the desk."""

from collections.abc import Sequence
from datetime import datetime
from operator import attrgetter
from uuid import UUID

from libs.common.decisions.facts import Record
from libs.common.postgres.batch import columns
from libs.common.postgres.pool import Connection
from services.intake.domain.projections.change_requests import OpenRequest, RequestSettled

# An event that is repeated or late moves nothing back.
_SAVE = """
    INSERT INTO change_requests AS old (choice_id, order_id, requested, since, due_at, reminders)
    SELECT * FROM unnest($1::uuid[], $2::text[], $3::text[], $4::timestamptz[], $5::timestamptz[], $6::int[])
    ON CONFLICT (choice_id) DO UPDATE SET due_at = excluded.due_at, reminders = excluded.reminders,
        since = least(old.since, excluded.since)
    WHERE excluded.reminders > old.reminders"""
_SETTLE = "DELETE FROM change_requests WHERE choice_id = ANY($1)"
_LIST = """
    SELECT choice_id, order_id, requested, since, due_at, reminders FROM change_requests
    WHERE $2::timestamptz IS NULL OR (due_at, choice_id) > ($2, $3::uuid)
    ORDER BY due_at, choice_id LIMIT $1"""
_FIND = "SELECT choice_id, order_id, requested, since, due_at, reminders FROM change_requests WHERE choice_id = $1"

_row = attrgetter("choice_id", "order_id", "requested", "since", "due_at", "reminders")


async def save(conn: Connection, records: Sequence[Record]) -> None:
    """Write the newest row of each request; one that was settled in this batch is deleted after it."""
    opened = {record.choice_id: record for record in records if type(record) is OpenRequest}
    settled = [record.choice_id for record in records if type(record) is RequestSettled]
    if opened:
        await conn.execute(_SAVE, *columns([_row(opened[key]) for key in sorted(opened)], 6))
    if settled:
        await conn.execute(_SETTLE, sorted(settled))


async def count_requests(conn: Connection) -> int:
    count: int = await conn.fetchval("SELECT count(*) FROM change_requests")
    return count


async def list_requests(conn: Connection, limit: int, after: tuple[datetime, UUID] | None = None) -> list[OpenRequest]:
    """Return the open requests, the soonest due first, after the due time and id of the last one of a page."""
    return [OpenRequest(**dict(row)) for row in await conn.fetch(_LIST, limit, *(after or (None, None)))]


async def find_request(conn: Connection, choice_id: UUID) -> OpenRequest | None:
    row = await conn.fetchrow(_FIND, choice_id)
    return OpenRequest(**dict(row)) if row else None
