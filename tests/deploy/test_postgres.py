"""The local Postgres survives injected faults, and separates services."""

from collections.abc import Iterator
from pathlib import Path

import asyncpg
import psutil
import pytest

from deploy.local import postgres
from deploy.local.local_server import ExternalServerError
from deploy.local.postgres import Postgres, provision, url_of


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Postgres]:
    log = tmp_path_factory.mktemp("logs") / "postgres.log"
    with postgres.server(durable=True, log=log, environ={}) as running:
        yield running


async def ask(url: str, statement: str) -> object:
    connection = await asyncpg.connect(url, timeout=5)
    try:
        return await connection.fetchval(statement)
    finally:
        await connection.close()


async def test_what_was_committed_outlives_sigkill(running: Postgres) -> None:
    await ask(running.admin_url, "CREATE TABLE kept AS SELECT 42 AS answer")
    running.kill()
    running.start()
    assert await ask(running.admin_url, "SELECT answer FROM kept") == 42


async def test_a_restart_keeps_the_address(running: Postgres) -> None:
    before = running.pid
    running.restart()
    assert running.pid != before
    assert await ask(running.admin_url, "SELECT 1") == 1


async def test_frozen_it_answers_nobody_until_it_goes_on(running: Postgres) -> None:
    connection = await asyncpg.connect(running.admin_url)
    running.pause()
    with pytest.raises(TimeoutError):
        await connection.fetchval("SELECT 1", timeout=0.3)
    running.resume()
    await connection.close()
    assert await ask(running.admin_url, "SELECT 1") == 1


async def test_a_durable_server_waits_for_the_disk(running: Postgres) -> None:
    assert await ask(running.admin_url, "SELECT current_setting('fsync')") == "on"


def test_it_listens_on_loopback_only(running: Postgres) -> None:
    sockets = psutil.Process(running.pid).net_connections("all")
    assert {socket.laddr.ip for socket in sockets if socket.status == psutil.CONN_LISTEN} == {"127.0.0.1"}


async def test_a_wrong_password_is_refused(running: Postgres) -> None:
    with pytest.raises(asyncpg.InvalidPasswordError):
        await ask(url_of(running.admin_url, database="postgres", user="postgres", password="guessed"), "SELECT 1")


async def test_the_owner_may_do_all_in_its_own_database(running: Postgres) -> None:
    databases = await provision(running.admin_url, ["intake"])
    await ask(databases["intake"].owner_url, "CREATE TABLE mine (id int)")
    assert await ask(databases["intake"].owner_url, "SELECT count(*) FROM mine") == 0


async def test_neither_role_can_connect_to_another_ones_database(running: Postgres) -> None:
    databases = await provision(running.admin_url, ["returns", "loyalty"])
    for url in (databases["returns"].url, databases["returns"].owner_url):
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await ask(url_of(url, database="loyalty"), "SELECT 1")


async def test_neither_role_can_make_databases_or_roles(running: Postgres) -> None:
    databases = await provision(running.admin_url, ["returns"])
    for url in (databases["returns"].url, databases["returns"].owner_url):
        for statement in ("CREATE DATABASE more", "CREATE ROLE more"):
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await ask(url, statement)


async def test_provisioning_again_keeps_the_data(running: Postgres) -> None:
    first = await provision(running.admin_url, ["again"])
    await ask(first["again"].owner_url, "CREATE TABLE kept_again AS SELECT 1 AS one")
    second = await provision(running.admin_url, ["again"])
    assert await ask(second["again"].owner_url, "SELECT one FROM kept_again") == 1


async def test_a_name_that_is_not_plain_is_refused(running: Postgres) -> None:
    with pytest.raises(ValueError, match="not a plain lower-case name"):
        await provision(running.admin_url, ['x"; DROP ROLE postgres; --'])


def test_an_external_server_is_used_and_never_stopped(tmp_path: Path) -> None:
    with postgres.server(environ={"DATABASE_URL": "postgresql://admin@db/postgres"}) as external:
        assert external.admin_url == "postgresql://admin@db/postgres"
        with pytest.raises(ExternalServerError, match="DATABASE_URL"):
            external.stop()
