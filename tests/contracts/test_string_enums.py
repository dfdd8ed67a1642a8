"""String enums are compared by value wherever values come from rows or JSON: `is` is false for equal plain text."""

import ast
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
ROW_FOLDERS = (
    *("store", "desk", "customer_pages", "insights", "http", "rendering", "sending", "projections", "ledger"),
    "verification",
)
"""Folders whose modules handle rows. Elsewhere (pure domains, settings) values are parsed into enums before use."""


def source_files() -> Iterator[Path]:
    for top in ("libs", "services", "deploy"):
        yield from (path for path in (ROOT / top).rglob("*.py"))


def string_enums() -> set[str]:
    trees = (ast.parse(path.read_text(encoding="utf-8")) for path in source_files())
    classes = (node for tree in trees for node in ast.walk(tree) if isinstance(node, ast.ClassDef))
    return {
        one.name for one in classes if any(isinstance(base, ast.Name) and base.id == "StrEnum" for base in one.bases)
    }


def identity_comparisons(source: str, enums: set[str]) -> list[int]:
    """Return the lines that compare with a member of a string enum by identity."""
    lines = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Compare) and any(isinstance(op, ast.Is | ast.IsNot) for op in node.ops):
            lines += [node.lineno for side in (node.left, *node.comparators) if _is_member(side, enums)]
    return lines


def _is_member(node: ast.expr, enums: set[str]) -> bool:
    if not isinstance(node, ast.Attribute) or not node.attr.isupper():
        return False
    owner = node.value
    return (
        owner.id if isinstance(owner, ast.Name) else owner.attr if isinstance(owner, ast.Attribute) else ""
    ) in enums


def test_code_that_handles_rows_compares_string_enums_by_value() -> None:
    enums = string_enums()
    assert len(enums) > 40
    files = [path for path in source_files() if set(path.relative_to(ROOT).parts) & set(ROW_FOLDERS)]
    assert len(files) > 50
    found = {path: identity_comparisons(path.read_text(encoding="utf-8"), enums) for path in files}
    assert {str(path.relative_to(ROOT)): lines for path, lines in found.items() if lines} == {}


def test_the_lint_finds_identity_comparisons_with_members_only() -> None:
    source = (
        "a is Status.OPEN\nb is not timeline.Status.OPEN\nc == Status.OPEN\nd is None\ne is Status.of\nf is Other.OPEN"
    )
    assert identity_comparisons(source, {"Status"}) == [1, 2]
