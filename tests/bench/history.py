"""History for the databases: every row copied under other ids, as if as many issues had gone before.

Rows are copied as they are, so that sizes and shapes are real; only ids are changed. Open work (timers, outbox) is not
copied: history has nothing due. Nor is the inbox: of past events only those of its retention are in it.
"""

import asyncio
from collections.abc import Mapping

import asyncpg

_NOT_PAST = frozenset(
    {"timers", "outbox", "inbox", "dead_letters", "idempotency", "detection_queue", "rollup_queue", "migrations"}
    | {"work_queue", "staff"}
)
_COLUMNS = """
    SELECT c.table_name, c.column_name, c.udt_name FROM information_schema.columns c
    JOIN information_schema.tables t USING (table_schema, table_name)
    WHERE c.table_schema = 'public' AND t.table_type = 'BASE TABLE' AND c.is_generated = 'NEVER'
      AND c.is_identity = 'NO' ORDER BY c.table_name, c.ordinal_position"""
_IDS = frozenset({"key", "order_id", "customer_id", "event_id", "cause", "reference"})
"""Text columns with ids."""


async def make(databases: Mapping[str, str], times: int) -> int:
    """Copy every row `times` times; returns the number of rows written. `databases` are the URLs by service."""
    return sum(await asyncio.gather(*(_make(address, times) for address in databases.values())))


async def _make(address: str, times: int) -> int:
    conn = await asyncpg.connect(address)
    try:
        written = await _copy(conn, times)
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
    """The value for another copy: ids differ, equally in every table."""
    match kind:
        case "uuid":
            return f"md5(\"{column}\"::text || '/' || g)::uuid"
        case "bytea" if column == "event_key":
            return f"decode(md5(\"{column}\"::text || '/' || g), 'hex')"
        case "text" if column in _IDS:
            return f"\"{column}\" || '/' || g"
        case _:
            return f'"{column}"'
