"""Inserts of ledger records, one statement per table and batch."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import fields
from functools import cache
from operator import attrgetter
from typing import Any

import asyncpg

from libs.common.decisions.facts import Record
from libs.common.postgres.pool import ConflictError, Connection
from services.loyalty.ledger.entries import Entry, ExperimentExposure, Membership, OrderRefund, WithheldGrant

_INSERT_ENTRIES = """
    INSERT INTO entries (entry_id, customer_id, number, kind, cause, lot_id, from_account, to_account, points, at, text,
                         issue_id, order_id, note, staff, due_at, grant_kind, rule, rule_version, legal_basis,
                         counts_for_tier, expires_on, inputs)
    SELECT * FROM unnest($1::uuid[], $2::text[], $3::bigint[], $4::text[], $5::text[], $6::uuid[], $7::text[],
                         $8::text[], $9::bigint[], $10::timestamptz[], $11::text[], $12::uuid[], $13::text[],
                         $14::text[], $15::text[], $16::timestamptz[], $17::text[], $18::text[], $19::text[],
                         $20::text[], $21::boolean[], $22::date[], $23::jsonb[])"""
_UPSERT_WITHHELD_GRANTS = """
    INSERT INTO withheld_grants
        (cause, customer_id, issue_id, code, at, order_id, points, review_by, inputs, staff, note)
    SELECT * FROM unnest($1::text[], $2::text[], $3::uuid[], $4::text[], $5::timestamptz[], $6::text[], $7::bigint[],
                         $8::timestamptz[], $9::jsonb[], $10::text[], $11::text[])
    ON CONFLICT (cause) DO UPDATE
    SET code = excluded.code, review_by = excluded.review_by, staff = excluded.staff, note = excluded.note"""
_UPSERT_MEMBERSHIPS = """
    INSERT INTO memberships (customer_id, tier, since, until, expiry_notified_until)
    SELECT * FROM unnest($1::text[], $2::text[], $3::timestamptz[], $4::timestamptz[], $5::date[])
    ON CONFLICT (customer_id) DO UPDATE
    SET tier = excluded.tier, since = excluded.since, until = excluded.until,
        expiry_notified_until = excluded.expiry_notified_until"""
_INSERT_REFUNDS = """
    INSERT INTO refunds (refund_id, customer_id, order_id, amount, currency, at, line_amounts, is_lost)
    SELECT * FROM unnest($1::uuid[], $2::text[], $3::text[], $4::numeric[], $5::text[], $6::timestamptz[], $7::text[],
                         $8::boolean[])"""
_INSERT_EXPOSURES = """
    INSERT INTO experiment_exposures (customer_id, experiment, arm, at)
    SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::timestamptz[])
    ON CONFLICT DO NOTHING"""

RACE_CONSTRAINTS = ("entries_number_unique", "balances_pkey", "lots_pkey")
"""Constraints on which concurrent entries of one customer collide if the locks did not serialize them."""


async def save_records(conn: Connection, records: Sequence[Record]) -> None:
    """Append entries and write the other records; triggers update lots and balances."""
    await _insert_entries(conn, [record for record in records if isinstance(record, Entry)])
    for statement, rows in (
        (_UPSERT_WITHHELD_GRANTS, _last(record for record in records if isinstance(record, WithheldGrant))),
        (_UPSERT_MEMBERSHIPS, _last(record for record in records if isinstance(record, Membership))),
        (_INSERT_REFUNDS, [record for record in records if isinstance(record, OrderRefund)]),
        (_INSERT_EXPOSURES, _last(record for record in records if isinstance(record, ExperimentExposure))),
    ):
        if rows:
            await conn.execute(statement, *_columns(rows))


async def _insert_entries(conn: Connection, entries: Sequence[Entry]) -> None:
    if not entries:
        return
    try:
        await conn.execute(_INSERT_ENTRIES, *_columns(entries))
    except asyncpg.UniqueViolationError as error:
        # A cause granted to another customer is not a race: a retry would fail again, and staff must see it.
        if error.constraint_name in RACE_CONSTRAINTS:
            raise ConflictError("entries: another transaction wrote this customer's next entry first") from error
        raise


def _last(rows: Iterable[Any]) -> list[Any]:
    """Return the last record per cause or customer: one statement can write a row only once."""
    return list({getattr(row, "cause", row.customer_id): row for row in rows}.values())


def _columns(rows: Sequence[Any]) -> list[tuple[Any, ...]]:
    return list(zip(*map(_values(rows[0].__class__), rows), strict=True))


@cache
def _values(record: type[Any]) -> Callable[[Any], tuple[Any, ...]]:
    """Return a getter of all fields; `astuple` would copy every value."""
    return attrgetter(*(column.name for column in fields(record)))
