"""The rooms of the tree: the same in every service, SQL in `store/` only, files that can be read in one go."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from statistics import median

import pytest

from deploy.api.api_docs import example_app
from libs.common.events.topics import ALL_SERVICES
from tests.security.test_routes import routes_of

ROOT = Path(__file__).resolve().parents[2]
SHARED_ROOMS = {"domain", "store", "http", "policy", "migrations"}
OWN_ROOMS = {
    "intake": {
        "cli", "customer_pages", "desk", "evidence", "insights", "jobs", "mail", "storefronts",
    },
    "returns": {"cli"},
    "delivery_notify": {"channels", "rendering", "sending"},
    "loyalty": {"cli", "ledger"},
    "partners": {"cli", "sending"},
}  # fmt: skip
FRONT_DOOR = {"__init__.py", "app.py", "metrics.py", "settings.py"}
OTLP = ("/v1/traces", "/v1/metrics")
"""Paths of the OpenTelemetry protocol, which belong to no service."""

LONGEST_FILE = 350
LONGEST_MEDIAN = 120

_SQL = re.compile(
    r"^\s*(SELECT|INSERT INTO|UPDATE \w+ (\w+ )?SET|DELETE FROM|TRUNCATE|WITH \w+ (\([\w, ]+\) )?AS) ", re.I
)


def sources(*folders: str) -> list[Path]:
    return [path for folder in folders for path in sorted((ROOT / folder).rglob("*.py")) if path.stat().st_size]


@pytest.mark.parametrize("service", ALL_SERVICES)
def test_a_service_has_the_shared_rooms_and_only_its_own_besides(service: str) -> None:
    entries = [path for path in (ROOT / "services" / service).iterdir() if path.name != "__pycache__"]
    # A folder that was moved away may keep the bytecode of its modules.
    folders = {path.name for path in entries if any(each.suffix != ".pyc" for each in path.rglob("*.*"))}
    assert folders == SHARED_ROOMS | OWN_ROOMS[service]
    assert {path.name for path in entries if path.is_file()} == FRONT_DOOR


def sql_in(source: str) -> Iterator[str]:
    """SQL statements among the string constants of a module, docstrings aside."""
    tree = ast.parse(source)
    docstrings = {
        id(node.body[0].value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
        and node.body
        and isinstance(node.body[0], ast.Expr)
    }
    for node in ast.walk(tree):
        text = node.value if isinstance(node, ast.Constant) and id(node) not in docstrings else None
        if isinstance(text, str) and _SQL.match(text):
            yield " ".join(text.split())[:60]


@pytest.mark.parametrize("service", ALL_SERVICES)
def test_sql_of_a_service_is_in_its_store_only(service: str) -> None:
    folder = ROOT / "services" / service
    outside = [path for path in sources(f"services/{service}") if "store" not in path.relative_to(folder).parts]
    found = {path.relative_to(ROOT).as_posix(): [*sql_in(path.read_text("utf-8"))] for path in outside}
    assert {path: statements for path, statements in found.items() if statements} == {}


@pytest.mark.parametrize(
    "source",
    [
        'await conn.execute("DELETE FROM issues")',
        'X = """\n  WITH a AS (SELECT 1) SELECT * FROM a"""',
        'Y = f"SELECT {z}"',
    ],
)
def test_the_search_finds_sql(source: str) -> None:
    assert [*sql_in(source)]


def test_the_common_library_names_no_route_of_a_service() -> None:
    shared = re.compile(r"^/($|health|metrics|ops|docs|openapi|assets)")
    paths = {path for name in ALL_SERVICES for _, path in routes_of(example_app(name).routes)}
    prefixes = {"/" + path.split("/")[1] for path in paths if not shared.match(path)}
    found = {
        f"{path.relative_to(ROOT)}: {node.value}"
        for path in sources("libs")
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
        if node.value not in OTLP and any(node.value == p or node.value.startswith(p + "/") for p in prefixes)
    }
    assert found == set()


def test_files_are_short_enough_to_read() -> None:
    lengths = {path: path.read_text("utf-8").count("\n") for path in sources("libs", "services", "deploy")}
    assert {path.name: lines for path, lines in lengths.items() if lines > LONGEST_FILE} == {}
    assert median(lengths.values()) <= LONGEST_MEDIAN
