"""Rotation of column keys: rows under older keys, and rows stored in clear, are encrypted under the first key.

In batches, each a transaction of its own with the rows locked, so that it runs beside the service and can be repeated
after an interruption: rows that are done are no longer found.
"""

import json
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from libs.common.postgres.column_keys import MAGIC, ColumnKeys, keys_of
from libs.common.postgres.pool import Connection

BATCH = 500


@dataclass(frozen=True, slots=True)
class EncryptedColumn:
    """A column with encrypted values.

    `plain` are the columns that are fields of the value once it is encrypted, `digests` the columns with the digest of
    a field. A value without `plain` columns is the column's own content; where that is no `bytea`, `source` has it, and
    `derive` computes the columns `derived` from it.
    """

    table: str
    key: str
    column: str
    plain: Sequence[str] = ()
    digests: Mapping[str, str] = field(default_factory=dict)
    source: str = ""
    derived: Sequence[str] = ()
    derive: Callable[[ColumnKeys, bytes], Sequence[Any]] | None = None


COMMON_COLUMNS = (EncryptedColumn("dead_letters", "id", "value"),)
"""Columns of every service, beside the outbox."""

OUTBOX, OUTBOX_BATCH = "outbox", 50

# Of the outbox only what is encrypted under an older key: records of other topics wait in clear.
_WAITING = f"""
    SELECT id, value, payloads FROM outbox
    WHERE substring(value FOR $1) = ANY($2)
       OR EXISTS (SELECT FROM unnest(payloads) AS p WHERE substring(p FOR $1) = ANY($2))
    ORDER BY id LIMIT {OUTBOX_BATCH} FOR UPDATE"""  # noqa: S608 - a number
_WRITE_WAITING = "UPDATE outbox SET value = $2, payloads = $3 WHERE id = $1"


async def rotate(conn: Connection, column: EncryptedColumn) -> AsyncIterator[int]:
    """Encrypt all values under the first key; yield the number of rows after each batch."""
    while count := await _encrypt_plain(conn, column) + await _encrypt_again(conn, column):
        yield count


async def rotate_outbox(conn: Connection) -> int:
    """Encrypt waiting records under the first key; return the number of rows. A relay that is held up has many."""
    total = 0
    while count := await _encrypt_waiting(conn):
        total += count
    return total


async def _encrypt_waiting(conn: Connection) -> int:
    keys = keys_of(conn)

    def again(value: bytes | None) -> bytes | None:
        return keys.seal(OUTBOX, keys.open(OUTBOX, value)) if value is not None and keys.is_sealed(value) else value

    async with conn.transaction():
        rows = await conn.fetch(_WAITING, len(keys.prefix), [MAGIC + key_id for key_id in keys.ids[1:]])
        for row in rows:
            payloads = None if row["payloads"] is None else [again(value) for value in row["payloads"]]
            await conn.execute(_WRITE_WAITING, row["id"], again(row["value"]), payloads)
    return len(rows)


async def _encrypt_again(conn: Connection, column: EncryptedColumn) -> int:
    """Encrypt values under older keys, or whole values stored in clear, in one batch; return how many."""
    keys, table, name = keys_of(conn), column.table, column.column
    query = f"""SELECT {column.key} AS key, {name} AS value FROM {table}
                WHERE {name} IS NOT NULL AND substring({name} FOR $1) <> $2
                ORDER BY {column.key} LIMIT {BATCH} FOR UPDATE"""  # noqa: S608 - names from the code
    async with conn.transaction():
        rows = await conn.fetch(query, len(keys.prefix), keys.prefix)
        await conn.executemany(
            f"UPDATE {table} SET {name} = $2 WHERE {column.key} = $1",  # noqa: S608
            [(row["key"], keys.seal(table, keys.reveal(table, row["value"]))) for row in rows],
        )
    return len(rows)


async def _encrypt_plain(conn: Connection, column: EncryptedColumn) -> int:
    """Encrypt the plain columns of rows in one batch; return how many."""
    if column.source:
        return await _encrypt_source(conn, column)
    if not column.plain:
        return 0
    keys, names = keys_of(conn), ", ".join(column.plain)
    fields = ", ".join(f"'{name}', {name}" for name in column.plain)
    query = f"""SELECT {column.key} AS key, jsonb_strip_nulls(jsonb_build_object({fields}))::text AS fields
                FROM {column.table} WHERE {column.column} IS NULL AND num_nonnulls({names}) > 0
                ORDER BY {column.key} LIMIT {BATCH} FOR UPDATE"""  # noqa: S608 - names from the code
    digests = "".join(f", {name} = ${number}" for number, name in enumerate(column.digests, start=3))
    cleared = "".join(f", {name} = NULL" for name in column.plain)
    update = f"UPDATE {column.table} SET {column.column} = $2{cleared}{digests} WHERE {column.key} = $1"  # noqa: S608
    async with conn.transaction():
        rows = [(row["key"], json.loads(row["fields"])) for row in await conn.fetch(query)]
        await conn.executemany(
            update,
            [
                (key, keys.seal_json(column.table, values), *_digests(keys, column.digests, values))
                for key, values in rows
            ],
        )
    return len(rows)


async def _encrypt_source(conn: Connection, column: EncryptedColumn) -> int:
    keys, source = keys_of(conn), column.source
    derived = "".join(f", {name} = ${number}" for number, name in enumerate(column.derived, start=3))
    query = f"""SELECT {column.key} AS key, {source}::text AS value FROM {column.table} WHERE {source} IS NOT NULL
                ORDER BY {column.key} LIMIT {BATCH} FOR UPDATE"""  # noqa: S608 - names from the code
    async with conn.transaction():
        rows = await conn.fetch(query)
        await conn.executemany(
            f"UPDATE {column.table} SET {column.column} = $2, {source} = NULL{derived} WHERE {column.key} = $1",  # noqa: S608
            [
                (row["key"], keys.seal(column.table, body), *(column.derive(keys, body) if column.derive else ()))
                for row in rows
                for body in (row["value"].encode(),)
            ],
        )
    return len(rows)


def _digests(keys: ColumnKeys, digests: Mapping[str, str], values: Mapping[str, Any]) -> list[bytes | None]:
    return [keys.digest(text) if (text := _field(values, path)) else None for path in digests.values()]


def _field(values: Mapping[str, Any], path: str) -> str | None:
    """Return a field by its path, `outer.inner` for one of an object."""
    outer, _, inner = path.partition(".")
    found = (values.get(outer) or {}).get(inner) if inner else values.get(outer)
    return str(found) if found else None
