"""Class names are unique: one name means one thing in the whole tree."""

import ast
from collections import defaultdict
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
CHECKED = ("libs", "services", "deploy")
"""Folders whose classes must differ by name, among each other."""

SHARED: frozenset[str] = frozenset()
"""Names that several modules may define, because they mean the same thing there."""


def duplicates(root: Path, checked: tuple[str, ...]) -> dict[str, list[str]]:
    """Return public top-level class names defined in more than one module, with the modules."""
    places: dict[str, list[str]] = defaultdict(list)
    for folder in checked:
        for path in sorted((root / folder).rglob("*.py")):
            for node in ast.parse(path.read_text(encoding="utf-8")).body:
                if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                    places[node.name].append(str(path.relative_to(root)))
    return {name: found for name, found in places.items() if len(found) > 1 and name not in SHARED}


def test_one_class_name_means_one_thing() -> None:
    assert duplicates(ROOT, CHECKED) == {}


def test_a_second_class_of_a_name_is_found(tmp_path: Path) -> None:
    for name in ("orders", "notices"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "rules.py").write_text("class Rules:\n    pass\n", encoding="utf-8")
    assert duplicates(tmp_path, ("orders", "notices")) == {"Rules": ["orders/rules.py", "notices/rules.py"]}
