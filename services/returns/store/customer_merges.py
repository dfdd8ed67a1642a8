"""Merged customers in returns: cases, exposure and purchase history of the former account become the other's."""

from datetime import datetime

from libs.common.postgres.pool import Connection
from libs.common.privacy.customer_merges import Merge
from services.returns.domain.state.exposure import CustomerExposure, merge_exposures
from services.returns.store.documents import EXPOSURE_DOCUMENT

# Cases first and customers second, as in every transaction. The document is text, so it is read as JSON here only.
_MOVE_CASES = """
    WITH theirs AS (SELECT key FROM cases WHERE customer_id = $1 ORDER BY key FOR UPDATE)
    UPDATE cases c SET version = c.version + 1, customer_id = $2,
        body = jsonb_set(c.body::jsonb, '{customer_id}', to_jsonb($2::text))::text
    FROM theirs WHERE c.key = theirs.key"""
_EXPOSURES = "SELECT key, version, body FROM customers WHERE key = ANY($1) ORDER BY key FOR UPDATE"
_SAVE_EXPOSURE = """
    INSERT INTO customers (key, version, body) VALUES ($1, 1, $2)
    ON CONFLICT (key) DO UPDATE SET version = customers.version + 1, body = excluded.body"""
_DROP_EXPOSURE = "DELETE FROM customers WHERE key = $1"
_MOVE_ORDERS = "UPDATE order_snapshots SET customer_id = $2 WHERE customer_id = $1"


async def move_customer(conn: Connection, merge: Merge, now: datetime) -> None:
    former, remaining = merge.former_id, merge.customer_id
    await conn.execute(_MOVE_CASES, former, remaining, timeout=300)
    await _move_exposure(conn, former, remaining)
    await conn.execute(_MOVE_ORDERS, former, remaining, timeout=300)


async def _move_exposure(conn: Connection, former: str, remaining: str) -> None:
    rows = await conn.fetch(_EXPOSURES, [former, remaining])
    found = {row["key"]: EXPOSURE_DOCUMENT.validate_json(row["body"]) for row in rows}
    if former in found:
        merged = merge_exposures(found.get(remaining, CustomerExposure()), found[former])
        body = EXPOSURE_DOCUMENT.dump_json(merged, exclude_defaults=True).decode()
        await conn.execute(_SAVE_EXPOSURE, remaining, body)
        await conn.execute(_DROP_EXPOSURE, former)
