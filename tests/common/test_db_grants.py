"""Privileges of runtime roles: each forbidden statement is tried in every service's database and refused."""

from collections.abc import AsyncIterator

import asyncpg
import pytest

from deploy.local import postgres
from libs.common.events.topics import ALL_SERVICES
from libs.common.postgres.db_grants import privileges, user_of
from libs.common.postgres.pool import Connection
from tests.conftest import MakeDatabase, as_owner

FORBIDDEN = (
    "CREATE TABLE mine (id int)",
    "CREATE TEMP TABLE mine (id int)",
    "CREATE SCHEMA mine",
    "CREATE FUNCTION mine() RETURNS int LANGUAGE sql AS 'SELECT 1'",
    "CREATE ROLE mine",
    "CREATE DATABASE mine",
    "ALTER TABLE outbox ADD COLUMN mine int",
    "ALTER TABLE inbox DISABLE TRIGGER ALL",
    "DROP TABLE dead_letters",
    "CREATE INDEX mine ON inbox (received_at)",
    "TRUNCATE outbox",
    "DELETE FROM migrations",
    "UPDATE migrations SET checksum = ''",
    "INSERT INTO migrations (origin, number, name, checksum) VALUES ('common', 99, '', '')",
    "SELECT nextval('outbox_id_seq')",
    "SELECT setval('outbox_id_seq', 1)",
    "ALTER SEQUENCE outbox_id_seq RESTART",
    "SET session_replication_role = replica",
    "COPY inbox TO '/tmp/inbox'",
    "COPY inbox TO PROGRAM 'true'",
    "SELECT pg_read_file('/etc/passwd')",
)
APPEND_ONLY = {
    "intake": ("timeline", "staff_decisions", "desk_actions", "warned_buyers", "order_lookups"),
    "returns": (),
    "delivery_notify": ("promises", "promise_notifications", "consents"),
    "loyalty": ("entries", "refunds", "experiment_exposures", "account_merges"),
    "partners": (),
}
OPEN_TO_ALL = """
    SELECT relname FROM pg_class, aclexplode(relacl) AS a
    WHERE relnamespace = 'public'::regnamespace AND a.grantee = 0"""
ADDED_TO = [(service, table) for service, tables in APPEND_ONLY.items() for table in tables]


@pytest.fixture
async def conn(database: MakeDatabase, request: pytest.FixtureRequest) -> AsyncIterator[Connection]:
    connection = await asyncpg.connect(await database(getattr(request, "param", "loyalty")))
    yield connection
    await connection.close()


async def is_refused(conn: Connection, statement: str) -> bool:
    try:
        await conn.execute(statement)
    except asyncpg.InsufficientPrivilegeError:
        return True
    return False


async def refused(conn: Connection, statement: str) -> None:
    assert await is_refused(conn, statement), statement


@pytest.mark.parametrize("conn", ALL_SERVICES, indirect=True)
async def test_a_service_can_do_nothing_but_read_and_write_rows(conn: Connection) -> None:
    assert [statement for statement in FORBIDDEN if not await is_refused(conn, statement)] == []


@pytest.mark.parametrize("conn", ALL_SERVICES, indirect=True)
async def test_a_service_can_read_how_far_a_sequence_has_come(conn: Connection) -> None:
    names = await conn.fetch("SELECT oid::regclass::text AS name FROM pg_class WHERE relkind = 'S'")
    assert {row["name"] for row in names} >= {"outbox_id_seq", "dead_letters_id_seq"}
    for row in names:
        await conn.fetchval(f"SELECT last_value FROM {row['name']}")


@pytest.mark.parametrize("conn", ALL_SERVICES, indirect=True)
async def test_a_service_cannot_pass_its_rights_on(conn: Connection) -> None:
    await conn.execute("GRANT SELECT ON inbox TO PUBLIC")  # Postgres only warns, and grants nothing
    assert await conn.fetch(OPEN_TO_ALL) == []


@pytest.mark.parametrize(("conn", "table"), ADDED_TO, indirect=["conn"])
async def test_a_service_can_only_add_to_what_is_append_only(conn: Connection, table: str) -> None:
    column = await conn.fetchval(
        "SELECT column_name FROM information_schema.columns WHERE table_name = $1 ORDER BY ordinal_position", table
    )
    for statement in (
        f"UPDATE {table} SET {column} = {column}",
        f"DELETE FROM {table}",
        f"TRUNCATE {table}",
    ):
        await refused(conn, statement)
    assert await conn.fetchval("SELECT has_table_privilege($1, 'INSERT')", table)


async def test_no_append_only_table_is_missing_in_this_test(database: MakeDatabase) -> None:
    found = {}
    for service in ALL_SERVICES:
        conn = await asyncpg.connect(await database(service))
        rows = await conn.fetch(
            "SELECT relname FROM pg_class WHERE obj_description(oid, 'pg_class') LIKE 'append-only:%' ORDER BY oid"
        )
        found[service] = {row["relname"] for row in rows}
        await conn.close()
    assert found == {service: set(tables) for service, tables in APPEND_ONLY.items()}


async def test_sums_of_the_ledger_cannot_be_written_by_hand(conn: Connection) -> None:
    for statement in (
        "INSERT INTO balances VALUES ('C', 1, 0, 0, 0, 0, 0, 0, 0)",
        "UPDATE balances SET available = 1",
        "UPDATE lots SET available = 1",
        "DELETE FROM balances",
    ):
        await refused(conn, statement)


@pytest.mark.parametrize("conn", ALL_SERVICES, indirect=True)
async def test_functions_with_the_owners_rights_have_a_search_path_of_their_own(conn: Connection) -> None:
    loose = await conn.fetch(
        """SELECT proname FROM pg_proc WHERE prosecdef AND pronamespace = 'public'::regnamespace
           AND NOT EXISTS (SELECT FROM unnest(proconfig) AS setting WHERE setting LIKE 'search_path=%pg_temp')"""
    )
    assert [row["proname"] for row in loose] == []


async def test_a_service_reads_no_other_database_of_the_same_server(database: MakeDatabase) -> None:
    own, other = await database("returns"), await database("loyalty")
    for url in (own, as_owner(own)):
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await asyncpg.connect(elsewhere(url, other))


def elsewhere(url: str, other: str) -> str:
    """Return the roles of `url`, in the database of `other`."""
    return postgres.url_of(url, database=postgres.name_of(other))


async def test_nobody_else_may_do_anything_in_a_services_database(database: MakeDatabase) -> None:
    conn = await asyncpg.connect(await database("returns"))
    open_ = await conn.fetch(OPEN_TO_ALL)
    await conn.close()
    assert open_ == []


@pytest.mark.parametrize(
    ("table", "comment", "expected"),
    [
        ("orders", None, "SELECT, INSERT, UPDATE, DELETE"),
        ("entries", "append-only: a ledger", "SELECT, INSERT"),
        ("lots", "derived: sums", "SELECT, UPDATE (lot_id)"),
        ("migrations", None, "SELECT"),
        ("orders", "what was append-only: once", "SELECT, INSERT, UPDATE, DELETE"),
    ],
)
def test_rights_follow_from_what_a_table_is_for(table: str, comment: str | None, expected: str) -> None:
    assert privileges(table, comment, "lot_id") == expected


def test_a_url_names_its_role() -> None:
    assert (user_of("postgresql://a%40b:x@db/y"), user_of("postgresql://db/y")) == ("a@b", "")
