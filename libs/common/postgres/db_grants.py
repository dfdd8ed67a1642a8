"""Privileges of a service's runtime role: rows of its tables, and nothing else.

Each service has two roles. The owner runs migrations only (`MIGRATION_DATABASE_URL`). The service, and every command
that works on its rows, runs as the runtime role (`DATABASE_URL`), which cannot create, alter or truncate a table. An
injected statement therefore cannot rewrite promises or ledger entries.

Privileges are granted after every migration, only here, by the first part of a table's comment: `append-only` allows
SELECT and INSERT; `derived` is written by triggers and may be locked; other tables are read and written. Partitions are
reached through their parent. Views and sequences can be read; only an insert advances a sequence. Anything else needs a
`SECURITY DEFINER` function of the owner with one narrow purpose and a fixed `search_path`.

Default privileges were rejected: they do not depend on the purpose of a table.
"""

from urllib.parse import unquote, urlsplit

from libs.common.postgres.pool import Connection

_TABLES = """
    SELECT quote_ident(c.relname) AS name, c.relkind = 'v' AS is_view, obj_description(c.oid, 'pg_class') AS comment,
           (SELECT quote_ident(a.attname) FROM pg_index i JOIN pg_attribute a ON a.attrelid = c.oid
            WHERE i.indrelid = c.oid AND i.indisprimary AND a.attnum = i.indkey[0]) AS key
    FROM pg_class c
    WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p', 'v') AND NOT c.relispartition
    ORDER BY c.relname"""


def user_of(url: str) -> str:
    """Return the role in a database URL, or ""."""
    return unquote(urlsplit(url).username or "")


def privileges(table: str, comment: str | None, key: str | None) -> str:
    """Return the privileges on a table by its comment. Locking a row needs UPDATE on one of its columns."""
    if table == "migrations":
        return "SELECT"
    match (comment or "").partition(":")[0]:
        case "append-only":
            return "SELECT, INSERT"
        case "derived":
            return f"SELECT, UPDATE ({key})"
    return "SELECT, INSERT, UPDATE, DELETE"


async def grant_privileges(conn: Connection, runtime: str) -> None:
    """Grant `runtime` its privileges in this database and revoke all others. `conn` is the owner's."""
    role, database = await conn.fetchrow("SELECT quote_ident($1), quote_ident(current_database())", runtime) or ("", "")
    async with conn.transaction():
        for statement in (
            f"REVOKE ALL ON DATABASE {database} FROM PUBLIC",
            f"GRANT CONNECT ON DATABASE {database} TO {role}",
            "REVOKE CREATE ON SCHEMA public FROM PUBLIC",
            f"GRANT USAGE ON SCHEMA public TO {role}",
            f"REVOKE ALL ON ALL TABLES IN SCHEMA public FROM PUBLIC, {role}",
            f"REVOKE ALL ON ALL SEQUENCES IN SCHEMA public FROM PUBLIC, {role}",
            f"GRANT SELECT ON ALL SEQUENCES IN SCHEMA public TO {role}",
            "REVOKE EXECUTE ON ALL FUNCTIONS IN SCHEMA public FROM PUBLIC",
            f"GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA public TO {role}",
        ):
            await conn.execute(statement)
        for name, is_view, comment, key in await conn.fetch(_TABLES):
            granted = "SELECT" if is_view else privileges(name, comment, key)
            await conn.execute(f"GRANT {granted} ON {name} TO {role}")
