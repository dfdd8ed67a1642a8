"""SQL of consents to advertising: append-only evidence, of which the newest statement per channel counts.

A withdrawal counts before a consent of the same moment. A merged customer's statements are copied to the account that
remains; an erased customer's consents are withdrawn, and the evidence stays: it names no person.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from libs.common.decisions.facts import Facts, Record
from libs.common.events.customers import CustomerConsentRecorded, CustomerUnsubscribed
from libs.common.events.registry import AnyEvent
from libs.common.postgres.batch import columns
from libs.common.postgres.pool import Connection
from services.delivery_notify.domain.consents import (
    UNSUBSCRIBED,
    ConsentStated,
    Unsubscribe,
    Withdrawals,
    decide,
    recorded,
    withdrawals,
)

_INSERT = """
    INSERT INTO consents (customer_id, purpose, channel, stated_at, granted, source, recorded_at)
    SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::timestamptz[], $5::bool[], $6::text[],
                         $7::timestamptz[])
    ON CONFLICT DO NOTHING"""
_NEWEST = """
    SELECT DISTINCT ON (customer_id, purpose, channel) customer_id, purpose, channel, granted, source, stated_at
    FROM consents WHERE customer_id = $1
    ORDER BY customer_id, purpose, channel, stated_at DESC, granted"""
_WITHDRAWN = """
    SELECT customer_id, purpose, max(stated_at) FILTER (WHERE source = $2) AS at
    FROM consents WHERE customer_id = ANY($1) GROUP BY customer_id, purpose
    HAVING max(stated_at) FILTER (WHERE source = $2) >= coalesce(max(stated_at) FILTER (WHERE granted), '-infinity')"""
_RECORDS = """
    SELECT * FROM (
        SELECT purpose, channel, granted, source, stated_at, recorded_at FROM consents
        WHERE customer_id = $1 ORDER BY recorded_at DESC, channel LIMIT 1000) AS newest
    ORDER BY recorded_at, channel"""
_MOVE = """
    INSERT INTO consents (customer_id, purpose, channel, stated_at, granted, source, recorded_at)
    SELECT $2, purpose, channel, stated_at, granted, source, recorded_at FROM consents WHERE customer_id = $1
    ON CONFLICT DO NOTHING"""
_ERASE = """
    INSERT INTO consents (customer_id, purpose, channel, stated_at, granted, source, recorded_at)
    SELECT DISTINCT customer_id, purpose, channel, $2::timestamptz, false, 'erasure', $2::timestamptz
    FROM consents WHERE customer_id = $1 ON CONFLICT DO NOTHING"""


class Consents:
    """Aggregate of consents, by customer. Each statement is a row of its own."""

    name = "consents"
    is_read_model = False

    def key_of(self, event: AnyEvent) -> str | None:
        customer_id: str | None = getattr(event.data, "customer_id", None)
        return customer_id

    async def load(self, conn: Connection, keys: Sequence[str], events: Sequence[AnyEvent]) -> dict[str, Withdrawals]:
        customers = {event.data.customer_id for event in events if isinstance(event.data, Unsubscribe)}
        rows = await conn.fetch(_WITHDRAWN, sorted(customers), UNSUBSCRIBED) if customers else []
        found: dict[str, dict[str, datetime]] = {}
        for row in rows:
            found.setdefault(row["customer_id"], {})[row["purpose"]] = row["at"]
        return {customer: Withdrawals(at) for customer, at in found.items()}

    def decide(self, state: Withdrawals | None, event: AnyEvent, now: datetime) -> tuple[Withdrawals | None, Facts]:
        return state, decide(state, event, now)

    async def save(self, conn: Connection, changed: Mapping[str, Withdrawals], records: Sequence[Record]) -> None:
        await _save(conn, [record for record in records if isinstance(record, ConsentStated)])


async def _save(conn: Connection, rows: Sequence[ConsentStated]) -> None:
    if rows:
        values = [
            (row.customer_id, row.purpose, row.channel, row.stated_at, row.granted, row.source, row.recorded_at)
            for row in rows
        ]
        await conn.execute(_INSERT, *columns(values))


async def restore_consents(
    conn: Connection, stated: Sequence[CustomerUnsubscribed | CustomerConsentRecorded], now: datetime
) -> None:
    """Record again who unsubscribed since the backup, and what the shop stated over HTTP."""
    for each in stated:
        await _save(conn, withdrawals(each, now) if isinstance(each, CustomerUnsubscribed) else [recorded(each, now)])


async def current_consents(conn: Connection, customer_id: str) -> list[dict[str, Any]]:
    """Return the newest statement per purpose and channel."""
    return [dict(row) for row in await conn.fetch(_NEWEST, customer_id)]


async def consent_records(conn: Connection, customer_id: str) -> list[dict[str, Any]]:
    """Return the evidence of a customer, oldest first: the first 1,000 statements."""
    return [dict(row) for row in await conn.fetch(_RECORDS, customer_id)]


async def move_consents(conn: Connection, former: str, remaining: str) -> None:
    await conn.execute(_MOVE, former, remaining)


async def withdraw_consents(conn: Connection, customer_id: str, at: datetime) -> None:
    """Withdraw the consents of an erased customer as of that time; a later consent is a new one."""
    await conn.execute(_ERASE, customer_id, at)
