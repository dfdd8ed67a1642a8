"""SQL of the tracking numbers of replacements."""

from collections.abc import Collection, Sequence
from datetime import datetime

from libs.common.decisions.facts import Record
from libs.common.postgres.batch import columns
from libs.common.postgres.pool import Connection
from libs.common.postgres.retention import Sweep
from services.returns.domain.state.parcel_numbers import ParcelNumbered

RETENTION_DAYS = 120
"""Days for which a number belongs to its case; carriers use numbers again after more than that."""

_OWNERS = """
    SELECT n.number, c.key, c.customer_id FROM parcel_numbers n JOIN cases c ON c.key = n.issue_id::text
    WHERE n.number = ANY($1)"""
_SAVE = """
    INSERT INTO parcel_numbers AS old (number, issue_id, stated_at)
    SELECT * FROM unnest($1::text[], $2::uuid[], $3::timestamptz[])
    ON CONFLICT (number, issue_id) DO UPDATE SET stated_at = excluded.stated_at"""
_EXPIRE = """
    DELETE FROM parcel_numbers WHERE (number, issue_id) IN (
        SELECT number, issue_id FROM parcel_numbers WHERE stated_at < $1 LIMIT $2)"""


def parcel_number_sweep() -> Sweep:
    return Sweep("parcel numbers", _EXPIRE, RETENTION_DAYS)


async def load_owners(conn: Connection, numbers: Collection[str]) -> dict[str, dict[str, str]]:
    """Return the customers of the cases that each number belongs to, by issue id; an empty entry without any."""
    owners: dict[str, dict[str, str]] = {number: {} for number in numbers}
    for row in await conn.fetch(_OWNERS, list(numbers)) if numbers else ():
        owners[row["number"]][row["key"]] = row["customer_id"]
    return owners


async def save_numbers(conn: Connection, records: Sequence[Record]) -> None:
    rows: dict[tuple[str, int], tuple[str, object, datetime]] = {}
    for each in records:
        if isinstance(each, ParcelNumbered):
            rows[each.number, each.issue_id.int] = (each.number, each.issue_id, each.at)
    if rows:
        await conn.execute(_SAVE, *columns([rows[key] for key in sorted(rows)], 3))
