"""Names in docstrings exist: exceptions after "Raises", tables after "row in" or "rows of"."""

import ast
import builtins
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from deploy.local.paths import ROOT

SHIPPED = [ROOT / top for top in ("deploy", "libs", "services")]
SOURCES = [path for folder in SHIPPED for path in sorted(folder.rglob("*.py"))]
MIGRATIONS = [path for folder in SHIPPED for path in sorted(folder.rglob("migrations/*.sql"))]
_RAISES = re.compile(r"[Rr]aises?\s+((?:`[A-Za-z_.]+`(?:\s+[\d,\sor]*\d+)?(?:,\s+(?:or\s+)?|\s+or\s+|\s+and\s+)?)+)")
_TABLE = re.compile(r"\b[Rr]ows?\s+(?:in|of)\s+`([a-z_]+)`")
_CREATED = re.compile(r"CREATE (?:UNLOGGED )?TABLE (?:IF NOT EXISTS )?([a-z_]+)")


@cache
def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text())


def docstrings(module: ast.Module) -> Iterator[str]:
    """Yield docstrings, also those below an attribute or a constant."""
    for node in ast.walk(module):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
            yield node.value.value


@cache
def own_names(path: Path) -> frozenset[str]:
    """Return the classes that this module defines, and the names that it imports."""
    names: set[str] = set()
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.ClassDef):
            names.add(node.name)
        elif isinstance(node, ast.ImportFrom | ast.Import):
            names.update((alias.asname or alias.name).rpartition(".")[2] for alias in node.names)
    return frozenset(names)


@cache
def _imported(path: Path) -> frozenset[Path]:
    """Return the modules of this project that a module imports."""
    found: set[Path] = set()
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.ImportFrom) and node.module:
            for module in (node.module, *(f"{node.module}.{alias.name}" for alias in node.names)):
                file = ROOT / (module.replace(".", "/") + ".py")
                package = ROOT / module.replace(".", "/") / "__init__.py"
                found.update(each for each in (file, package) if each.is_file())
    return frozenset(found)


def known_names(path: Path) -> set[str]:
    """Return the names of a module and of all that it imports, directly or not: what its functions can raise."""
    names, seen, waiting = set(dir(builtins)), {path}, [path]
    while waiting:
        here = waiting.pop()
        names |= own_names(here)
        new = set(_imported(here)) - seen
        seen |= new
        waiting += new
    return names


def unknown_exceptions(path: Path) -> list[str]:
    raised = [
        name
        for text in docstrings(tree(path))
        for names in _RAISES.findall(text)
        for name in re.findall(r"`([A-Za-z_]+)`", names)  # a dotted name is another package's
    ]
    return [name for name in raised if name not in known_names(path)] if raised else []


def test_every_exception_that_a_docstring_names_can_be_raised_there() -> None:
    found = {str(path.relative_to(ROOT)): names for path in SOURCES if (names := unknown_exceptions(path))}
    assert not found


def test_every_table_that_a_docstring_names_exists() -> None:
    created = {table for path in MIGRATIONS for table in _CREATED.findall(path.read_text())}
    found = {
        str(path.relative_to(ROOT)): table
        for path in SOURCES
        for text in docstrings(tree(path))
        for table in _TABLE.findall(text)
        if table not in created
    }
    assert not found
