"""Contacts of orders, with all SQL about them: the one table of personal data of orders in intake (invariant 12).

With column keys (`libs.common.postgres.column_keys`) a contact is one encrypted field. A lookup begins with the order
number, so that no digest of a postcode is stored: there are few postcodes, and equal digests in a dump would show which
orders go to one place. The typed text is compared with the decrypted field (`domain.order_contacts.reader_of`).
"""

from collections.abc import Sequence
from typing import Any

from pydantic import TypeAdapter

from libs.common.postgres.batch import columns
from libs.common.postgres.column_keys import ColumnKeys, keys_of
from libs.common.postgres.pool import Connection
from libs.common.postgres.retention import Sweep
from services.intake.domain.order_contacts import ContactStated, OrderContact, Person

TABLE = "order_contacts"

_PERSON: TypeAdapter[Person] = TypeAdapter(Person)

_COLUMNS = "order_id, customer_id, order_number, placed_at, person::text, sealed"
_LOAD = f"SELECT {_COLUMNS} FROM order_contacts WHERE order_id = ANY($1) ORDER BY order_id FOR UPDATE"  # noqa: S608
_UPSERT = """
    INSERT INTO order_contacts (order_id, customer_id, order_number, placed_at, person, sealed)
    SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::timestamptz[], $5::jsonb[], $6::bytea[])
    ON CONFLICT (order_id) DO UPDATE SET
        order_number = excluded.order_number, placed_at = excluded.placed_at, person = excluded.person,
        sealed = excluded.sealed"""
_BY_NUMBER = f"""
    SELECT {_COLUMNS} FROM order_contacts WHERE order_id = ANY($1)
    UNION SELECT {_COLUMNS} FROM order_contacts WHERE order_number = ANY($1)
    ORDER BY order_id LIMIT 20"""  # noqa: S608 - column names of this module
_OLD = """
    DELETE FROM order_contacts WHERE order_id IN (SELECT order_id FROM order_contacts WHERE placed_at < $1 LIMIT $2)"""


async def save_contacts(conn: Connection, stated: Sequence[ContactStated]) -> None:
    """Merge these statements into the stored contacts, in this order."""
    if not stated:
        return
    keys, order_ids = keys_of(conn), sorted({each.order_id for each in stated})
    before = {row["order_id"]: _loaded(row, keys) for row in await conn.fetch(_LOAD, order_ids)}
    after: dict[str, OrderContact | None] = dict(before)
    for each in stated:
        after[each.order_id] = each.after(after.get(each.order_id))
    rows = [row for order_id in order_ids if (row := after[order_id]) and row != before.get(order_id)]
    if rows:
        await conn.execute(_UPSERT, *columns([_row(row, keys) for row in rows]))


def _row(row: OrderContact, keys: ColumnKeys) -> tuple[Any, ...]:
    body = _PERSON.dump_json(row.person, exclude_defaults=True)
    personal = (None, keys.seal(TABLE, body)) if keys.is_encrypting else (body.decode(), None)
    return (row.order_id, row.customer_id, row.order_number, row.placed_at, *personal)


async def find_by_number(conn: Connection, numbers: Sequence[str]) -> list[OrderContact]:
    """Return the contacts of orders with one of these ids, or numbers that customers know."""
    column_keys = keys_of(conn)
    return [_loaded(row, column_keys) for row in await conn.fetch(_BY_NUMBER, list(numbers))]


def _loaded(row: Any, keys: ColumnKeys) -> OrderContact:
    body = keys.open(TABLE, row["sealed"]) if row["sealed"] else row["person"] or "{}"
    return OrderContact(
        row["order_id"], row["customer_id"], row["order_number"], row["placed_at"], _PERSON.validate_json(body)
    )


def retention_sweep(days: int) -> Sweep:
    return Sweep("contacts of orders", _OLD, days)
