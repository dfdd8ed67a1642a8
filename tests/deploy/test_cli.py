"""The `sakidashi` command: help of every command, exit codes, lazy imports, and `config check`."""

import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.core import TyperGroup
from typer.testing import CliRunner

from deploy.cli.config_check import MASK
from deploy.cli.lazy import LazyCommand
from deploy.cli.main import COMMANDS, app
from deploy.service_settings import settings_class
from libs.common import __version__
from libs.common.config.settings import ServiceSettings
from libs.common.events.topics import SERVICES

ROOT = Path(__file__).resolve().parents[2]
DATABASE_URL = "postgresql://loyalty:hidden-password@db/loyalty"
ENVIRONMENT = {"DATABASE_URL": DATABASE_URL, "KAFKA_BOOTSTRAP_SERVERS": "kafka:9092"}


def paths() -> Iterator[list[str]]:
    """Every command by its words; groups among them."""
    yield []
    for command in COMMANDS:
        yield from _paths(command, [])


def _paths(command: LazyCommand | TyperGroup, parents: list[str]) -> Iterator[list[str]]:
    words = [*parents, command.name or ""]
    yield words
    found = command.load() if isinstance(command, LazyCommand) else command
    if isinstance(found, TyperGroup):
        for name in found.commands:
            yield [*words, name]


def run(*arguments: str, **environment: str) -> tuple[int, str, str]:
    result = CliRunner().invoke(app, list(arguments), env=environment)
    return result.exit_code, result.stdout, result.stderr


@pytest.mark.parametrize("words", list(paths()), ids=" ".join)
def test_every_command_has_a_help_text(words: list[str]) -> None:
    code, output, _ = run(*words, "--help")
    assert code == 0
    description = output.partition("Usage:")[2].partition("╭")[0].splitlines()[1:]
    assert "".join(description).strip()


def test_the_commands_of_an_operator_are_complete() -> None:
    assert {" ".join(words) for words in paths()} >= {
        "migrate",
        "topics create",
        "acls print",
        "acls apply",
        "dead-letters list",
        "dead-letters show",
        "dead-letters replay",
        "dead-letters discard",
        "reconcile",
        "rejoin",
        "erase",
        "verify-erasure",
        "policy simulate",
        "rules simulate",
        "staff add",
        "staff password",
        "staff role",
        "staff disable",
        "staff list",
        "config check",
    }


def test_help_imports_no_command() -> None:
    """Fast start: neither the commands nor their drivers are imported for `--help`."""
    script = (
        "import sys; from deploy.cli.main import app\n"
        "try: app(['--help'])\n"
        "except SystemExit: pass\n"
        "heavy = {'asyncpg', 'aiokafka', 'pydantic', 'fastapi', 'services', 'opentelemetry'}\n"
        "print(sorted(heavy & {name.partition('.')[0] for name in sys.modules}), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stderr.strip() == "[]"


def test_the_version_is_the_version_of_the_project() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert run("--version")[:2] == (0, f"sakidashi {project['version']}\n")
    assert __version__ == project["version"]
    assert project["scripts"] == {"sakidashi": "deploy.cli.main:app"}


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["migrat"], "migrate"),
        (["topics", "delete"], "delete"),
        (["topics", "create"], "KAFKA_BOOTSTRAP_SERVERS"),
        (["migrate"], "SERVICE"),
        (["rules", "simulate", "--rules", "/nowhere.toml", "--database-url", DATABASE_URL], "nowhere.toml"),
        (["config", "check", "billing"], "billing"),
    ],
)
def test_a_wrong_call_exits_with_2_and_names_the_fault(arguments: list[str], named: str) -> None:
    code, _, errors = run(*arguments, COLUMNS="200")
    assert (code, named.lower() in errors.lower()) == (2, True)


def test_config_check_prints_the_effective_settings_without_secrets() -> None:
    key = "storefront:a-key-of-the-storefront"
    code, output, _ = run("config", "check", "loyalty", **ENVIRONMENT, API_KEYS=key, BATCH_SIZE="7")
    assert code == 0
    assert "BATCH_SIZE=7\n" in output
    assert f"DATABASE_URL={MASK}\n" in output
    assert f"API_KEYS={MASK}\n" in output
    assert "hidden-password" not in output
    assert "a-key-of-the-storefront" not in output


def test_config_check_names_every_invalid_variable() -> None:
    code, output, errors = run("config", "check", "loyalty", **{**ENVIRONMENT, "BATCH_SIZE": "0", "LOG_LEVEL": "LOUD"})
    assert (code, output) == (1, "")
    assert "BATCH_SIZE:" in errors
    assert "LOG_LEVEL:" in errors


def test_config_check_names_missing_variables_and_the_remedy() -> None:
    code, _, errors = run("config", "check", "loyalty", DATABASE_URL=DATABASE_URL)
    assert code == 1
    assert "KAFKA_BOOTSTRAP_SERVERS:" in errors
    assert "_FILE" in errors


def test_config_check_names_what_goes_together_beside_another_fault() -> None:
    roles = {"OIDC_ISSUER": "https://id.example", "OIDC_ROLES": "boss=leads", "KAFKA_SASL_USERNAME": "x"}
    code, _, errors = run("config", "check", "intake", **ENVIRONMENT, **roles, CALENDAR_FILE="/nowhere.toml")
    named = ["OIDC_ROLES:", "OIDC_CLIENT_ID:", "OIDC_CLIENT_SECRET:", "EVIDENCE_DIR:", "CALENDAR_FILE:", "PUBLIC_URL:"]
    assert (code, [name for name in [*named, "KAFKA_SASL_PASSWORD:"] if name not in errors]) == (1, [])


def test_config_check_names_a_missing_secret_file() -> None:
    code, _, errors = run("config", "check", "loyalty", **ENVIRONMENT, HOLDOUT_KEY_FILE="/nowhere/key")
    assert code == 1
    assert "/nowhere/key" in errors


@pytest.mark.parametrize("service", SERVICES)
def test_each_service_has_a_settings_class(service: str) -> None:
    assert issubclass(settings_class(service), ServiceSettings)
    assert settings_class(service) is not ServiceSettings
