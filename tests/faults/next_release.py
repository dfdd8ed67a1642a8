"""Additive migration of the next release, applied while this one runs."""

import asyncpg

LOCK_TIMEOUT = "2s"
"""Wait for a table that is in use; a migration that waited for longer would hold up every later statement on it."""

_TABLES = """
    SELECT format('ALTER TABLE %I ADD COLUMN IF NOT EXISTS %I text', tablename, $1::text) FROM pg_tables
    WHERE schemaname = 'public' AND tablename <> 'migrations'"""


async def add_columns(owner_url: str, column: str) -> None:
    """Add a column to every table, each in a transaction of its own."""
    conn = await asyncpg.connect(owner_url, server_settings={"lock_timeout": LOCK_TIMEOUT})
    try:
        for row in await conn.fetch(_TABLES, column):
            await conn.execute(row[0])
    finally:
        await conn.close()
