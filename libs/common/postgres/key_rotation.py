"""Rotation of column keys: rows under older keys, and rows stored in clear, are encrypted under the first key.

In batches, each a transaction of its own with the rows locked, so that it runs beside the service and can be repeated
after an interruption: rows that are done are no longer found.
"""

import json
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from libs.common.postgres.column_keys import ColumnKeys, keys_of
from libs.common.postgres.pool import Connection

BATCH = 500


@dataclass(frozen=True, slots=True)
class EncryptedColumn:
    """A column with encrypted values.

    `plain` are the columns that are fields of the value once it is encrypted, `digests` the columns with the digest of
    a field. A value without `plain` columns is the column's own content; where that is no `bytea`, `source` has it.
    """

    table: str
    key: str
    column: str
    plain: Sequence[str] = ()
    digests: Mapping[str, str] = field(default_factory=dict)
    source: str = ""


COMMON_COLUMNS = (EncryptedColumn("dead_letters", "id", "value"),)
"""Columns of every service. Outbox rows are gone within seconds and are not rotated."""


async def rotate(conn: Connection, column: EncryptedColumn) -> AsyncIterator[int]:
    """Encrypt all values under the first key; yield the number of rows after each batch."""
    while count := await _encrypt_plain(conn, column) + await _encrypt_again(conn, column):
        yield count


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
    query = f"""SELECT {column.key} AS key, {source}::text AS value FROM {column.table} WHERE {source} IS NOT NULL
                ORDER BY {column.key} LIMIT {BATCH} FOR UPDATE"""  # noqa: S608 - names from the code
    async with conn.transaction():
        rows = await conn.fetch(query)
        await conn.executemany(
            f"UPDATE {column.table} SET {column.column} = $2, {source} = NULL WHERE {column.key} = $1",  # noqa: S608
            [(row["key"], keys.seal(column.table, row["value"].encode())) for row in rows],
        )
    return len(rows)


def _digests(keys: ColumnKeys, digests: Mapping[str, str], values: Mapping[str, Any]) -> list[bytes | None]:
    return [keys.digest(text) if (text := _field(values, path)) else None for path in digests.values()]


def _field(values: Mapping[str, Any], path: str) -> str | None:
    """Return a field by its path, `outer.inner` for one of an object."""
    outer, _, inner = path.partition(".")
    found = (values.get(outer) or {}).get(inner) if inner else values.get(outer)
    return str(found) if found else None
