"""A past for the databases: every row there is, again and again under other ids, as if as many issues had gone by.

Rows are copied as they stand, so that sizes and shapes are those of life; only what tells things apart is changed. What
is still to be done (timers, outbox) is not copied: a past has nothing due.
"""

from collections.abc import Mapping

import asyncpg

_NOT_PAST = frozenset(
    {"timers", "outbox", "dead_letters", "idempotency", "detection_queue", "rollup_queue", "migrations"}
    | {"work_queue", "staff"}
)
_COLUMNS = """
    SELECT c.table_name, c.column_name, c.udt_name FROM information_schema.columns c
    JOIN information_schema.tables t USING (table_schema, table_name)
    WHERE c.table_schema = 'public' AND t.table_type = 'BASE TABLE' AND c.is_generated = 'NEVER'
      AND c.is_identity = 'NO' ORDER BY c.table_name, c.ordinal_position"""
_IDS = frozenset({"key", "order_id", "customer_id", "event_id", "cause", "reference"})
"""Text columns that tell one thing from another."""


async def make(databases: Mapping[str, str], times: int) -> int:
    """Copy every row `times` times; gives how many rows were written. `databases` are the addresses by service."""
    written = 0
    for address in databases.values():
        conn = await asyncpg.connect(address)
        try:
            written += await _copy(conn, times)
            await conn.execute("VACUUM ANALYZE", timeout=3600)
        finally:
            await conn.close()
    return written


async def _copy(conn: "asyncpg.Connection[asyncpg.Record]", times: int) -> int:
    tables: dict[str, list[tuple[str, str]]] = {}
    for table, column, kind in await conn.fetch(_COLUMNS):
        if table not in _NOT_PAST:
            tables.setdefault(table, []).append((column, kind))
    written = 0
    await conn.execute("SET session_replication_role = replica")  # no triggers, no foreign keys: rows come in any order
    for table, columns in tables.items():
        names = ", ".join(f'"{name}"' for name, _ in columns)
        values = ", ".join(_other(name, kind) for name, kind in columns)
        status = await conn.execute(
            f"INSERT INTO {table} ({names}) SELECT {values} FROM {table} CROSS JOIN generate_series(1, $1) AS g"
            " ON CONFLICT DO NOTHING",
            times,
            timeout=3600,
        )
        written += int(status.rsplit(" ", 1)[1])
    await conn.execute("RESET session_replication_role")
    return written


def _other(column: str, kind: str) -> str:
    """The same value for another past: ids differ, in the same way wherever they stand."""
    match kind:
        case "uuid":
            return f"md5(\"{column}\"::text || '/' || g)::uuid"
        case "bytea" if column == "event_key":
            return f"decode(md5(\"{column}\"::text || '/' || g), 'hex')"
        case "text" if column in _IDS:
            return f"\"{column}\" || '/' || g"
        case _:
            return f'"{column}"'
