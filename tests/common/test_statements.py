"""Every SQL statement of a service is valid for its migrated schema: tables, columns and functions exist."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import pytest

from deploy.local.paths import ROOT
from libs.common.events.topics import ALL_SERVICES
from tests.conftest import MakeDatabase

_STATEMENT = re.compile(r"\s*(SELECT|INSERT INTO|UPDATE \w+|DELETE FROM|WITH) ", re.IGNORECASE)
_UNKNOWN_NAMES = (asyncpg.UndefinedColumnError, asyncpg.UndefinedTableError, asyncpg.UndefinedFunctionError)
FEWEST = {"intake": 60, "returns": 15, "delivery_notify": 30, "loyalty": 20, "partners": 20}
"""Statements found per service at least, so that the search cannot come to nothing unseen."""


def statements(folder: Path) -> Iterator[tuple[str, str]]:
    """Constant SQL statements with their file and line; those assembled from pieces are left to the store tests."""
    for path in sorted(folder.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.JoinedStr):
                node.values.clear()
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and _STATEMENT.match(node.value):
                yield f"{path.relative_to(ROOT)}:{node.lineno}", node.value


@pytest.mark.parametrize("service", ALL_SERVICES)
async def test_every_statement_names_what_the_schema_has(database: MakeDatabase, service: str) -> None:
    found = [*statements(ROOT / "services" / service / "store"), *statements(ROOT / "libs" / "common" / "messaging")]
    conn = await asyncpg.connect(await database(service))
    faults: list[str] = []
    try:
        for place, statement in found:
            try:
                await conn.prepare(statement)
            except _UNKNOWN_NAMES as error:
                faults.append(f"{place}: {error}")
            except asyncpg.PostgresError:
                continue  # a fragment of a statement, or one whose types only its caller knows
    finally:
        await conn.close()
    assert faults == []
    assert len(found) >= FEWEST[service]
