"""Contacts of orders, with all SQL about them: the one table of personal data of orders in intake (invariant 12).

With column keys (`libs.common.postgres.column_keys`) a contact is one encrypted field. A lookup begins with the order
number, so that no digest of a postcode is stored: there are few postcodes, and equal digests in a dump would show which
orders go to one place. The typed text is compared with the decrypted field (`domain.order_contacts.reader_of`).

Staff find a person by fragments through `tokens`, keyed hashes of parts (`domain.search_tokens`). Without the keys a
dump shows which orders share a part, and how many do: that the most frequent beginning of a name is a common surname
can be guessed, while a name or a number cannot be tried. Without column keys the hashes protect no more than the rest
of the row, which is in clear then.
"""

from collections.abc import Sequence
from typing import Any

from pydantic import TypeAdapter

from libs.common.postgres.batch import columns
from libs.common.postgres.column_keys import ColumnKeys, keys_of
from libs.common.postgres.pool import Connection
from libs.common.postgres.retention import Sweep
from services.intake.domain.order_contacts import ContactStated, OrderContact, Person
from services.intake.domain.search_tokens import found_in, tokens_of, tokens_of_query

TABLE = "order_contacts"
MAX_CANDIDATES = 1000

_PERSON: TypeAdapter[Person] = TypeAdapter(Person)

_COLUMNS = "order_id, customer_id, order_number, placed_at, person::text, sealed"
_LOAD = f"SELECT {_COLUMNS} FROM order_contacts WHERE order_id = ANY($1) ORDER BY order_id FOR UPDATE"  # noqa: S608
_UPSERT = """
    INSERT INTO order_contacts (order_id, customer_id, order_number, placed_at, person, sealed, tokens)
    SELECT order_id, customer_id, order_number, placed_at, person, sealed, string_to_array(tokens, ',')::int[]
    FROM unnest($1::text[], $2::text[], $3::text[], $4::timestamptz[], $5::jsonb[], $6::bytea[], $7::text[])
        AS new (order_id, customer_id, order_number, placed_at, person, sealed, tokens)
    ON CONFLICT (order_id) DO UPDATE SET
        order_number = excluded.order_number, placed_at = excluded.placed_at, person = excluded.person,
        sealed = excluded.sealed, tokens = excluded.tokens"""
_BY_NUMBER = f"""
    SELECT {_COLUMNS} FROM order_contacts WHERE lower(order_id) = ANY($1)
    UNION SELECT {_COLUMNS} FROM order_contacts WHERE lower(order_number) = ANY($1)
    ORDER BY order_id LIMIT $2"""  # noqa: S608 - column names of this module
_OF_CUSTOMER = f"SELECT {_COLUMNS} FROM order_contacts WHERE customer_id = $1"  # noqa: S608
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
        await write_contacts(conn, rows)


async def write_contacts(conn: Connection, rows: Sequence[OrderContact]) -> None:
    keys = keys_of(conn)
    await conn.execute(_UPSERT, *columns([_row(row, keys) for row in rows]))


def _row(row: OrderContact, keys: ColumnKeys) -> tuple[Any, ...]:
    body = _PERSON.dump_json(row.person, exclude_defaults=True)
    personal = (None, keys.seal(TABLE, body)) if keys.is_encrypting else (body.decode(), None)
    return (row.order_id, row.customer_id, row.order_number, row.placed_at, *personal, _hashed(keys, row.person))


def _hashed(keys: ColumnKeys, person: Person) -> str:
    return ",".join(map(str, sorted(map(keys.token, tokens_of(person)))))


def derived_columns(keys: ColumnKeys, body: bytes) -> tuple[list[int]]:
    """Return the columns that depend on keys besides the encrypted one, for the rotation."""
    return (sorted(map(keys.token, tokens_of(_PERSON.validate_json(body)))),)


_BY_TOKENS = f"""
    WITH found AS MATERIALIZED (
        SELECT * FROM order_contacts WHERE tokens @> $1 LIMIT {MAX_CANDIDATES}
    ) SELECT {_COLUMNS} FROM found ORDER BY placed_at DESC NULLS LAST, order_id"""  # noqa: S608 - of this module


async def find_by_fragment(conn: Connection, text: str, limit: int) -> list[tuple[OrderContact, str]]:
    """Return the contacts in which a fragment of name, mail or telephone number stands, and the field.

    Rows are found by hashes, which say too much now and then, and are compared after decryption. Of very many rows with
    one token (a common surname, a large mail provider) the first `MAX_CANDIDATES` are looked at.
    """
    keys, found = keys_of(conn), dict[str, tuple[OrderContact, str]]()
    for tokens in tokens_of_query(text):
        for row in await conn.fetch(_BY_TOKENS, [keys.token(token) for token in tokens]):
            contact = _loaded(row, keys)
            if field := found_in(contact.person, text):
                found[contact.order_id] = (contact, field)
    return list(found.values())[:limit]


async def addresses_of_customer(conn: Connection, customer_id: str) -> set[str]:
    """Return the mail addresses of a customer's own orders."""
    rows = await conn.fetch(_OF_CUSTOMER, customer_id)
    return {email for row in rows if (email := _loaded(row, keys_of(conn)).person.email)}


async def find_by_number(conn: Connection, numbers: Sequence[str], limit: int = 20) -> list[OrderContact]:
    """Return at most `limit` contacts of orders with one of these ids, or numbers that customers know, in any case."""
    column_keys, sought = keys_of(conn), sorted({each.lower() for each in numbers})
    return [_loaded(row, column_keys) for row in await conn.fetch(_BY_NUMBER, sought, limit)]


def _loaded(row: Any, keys: ColumnKeys) -> OrderContact:
    body = keys.open(TABLE, row["sealed"]) if row["sealed"] else row["person"] or "{}"
    return OrderContact(
        row["order_id"], row["customer_id"], row["order_number"], row["placed_at"], _PERSON.validate_json(body)
    )


def retention_sweep(days: int) -> Sweep:
    return Sweep("contacts of orders", _OLD, days)
