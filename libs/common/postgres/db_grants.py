"""What a service's own role may do in its database: rows of its tables, and nothing else.

Two roles per service. The owner runs migrations and nothing more (`MIGRATION_DATABASE_URL`); the service itself, and
every command that works on its rows, runs as another (`DATABASE_URL`) that can make, change or empty no table. So a
statement that was smuggled in can neither rewrite what was promised or granted, nor hide that it did.

Rights are given anew after every migration, here and nowhere else, by what the comment of a table begins with:
`append-only` is added to, never changed; `derived` is written by triggers alone, and may be locked; anything else is
read and written. A partition is reached through its parent only. How far a sequence has come may be read, but nothing
moves it except an insert into the table that it numbers. What needs more than this is a function of the owner
(`SECURITY DEFINER`) with one narrow purpose, its `search_path` fixed.

Default privileges were not chosen: they know when a table was made, but not what it is for.
"""

from urllib.parse import unquote, urlsplit

from libs.common.postgres.pool import Connection

_TABLES = """
    SELECT quote_ident(c.relname) AS name, obj_description(c.oid, 'pg_class') AS said,
           (SELECT quote_ident(a.attname) FROM pg_index i JOIN pg_attribute a ON a.attrelid = c.oid
            WHERE i.indrelid = c.oid AND i.indisprimary AND a.attnum = i.indkey[0]) AS key
    FROM pg_class c
    WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p') AND NOT c.relispartition
    ORDER BY c.relname"""


def user_of(url: str) -> str:
    """The role that a database URL names; "" where it names none."""
    return unquote(urlsplit(url).username or "")


def rights(table: str, said: str | None, key: str | None) -> str:
    """What the service may do with a table, by its comment. To lock a row it needs to write one column of it."""
    if table == "migrations":
        return "SELECT"
    match (said or "").partition(":")[0]:
        case "append-only":
            return "SELECT, INSERT"
        case "derived":
            return f"SELECT, UPDATE ({key})"
    return "SELECT, INSERT, UPDATE, DELETE"


async def grant_rights(conn: Connection, runtime: str) -> None:
    """Give `runtime` what it needs in this database, and take what it does not. `conn` is the owner's."""
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
        for name, said, key in await conn.fetch(_TABLES):
            await conn.execute(f"GRANT {rights(name, said, key)} ON {name} TO {role}")
