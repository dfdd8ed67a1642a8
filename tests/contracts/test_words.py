"""Prose rules for docstrings, comments, error texts, log lines and Markdown: first sentence and banned words.

A docstring begins with a noun phrase or a verb, not with a relative clause. Banned words are private language: each has
a plain term that an engineer would search for.
"""

import ast
import io
import re
import tokenize
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
CHECKED = (
    "libs",
    "services",
    "deploy",
    "tests",
    "docs",
    "README.md",
    "CONTRIBUTING.md",
    "SECURITY.md",
    "CHANGELOG.md",
)
"""Files and folders that keep the rules."""

SELF = Path(__file__).relative_to(ROOT)
SKIPPED = {".local", ".cache", ".venv", "__pycache__"}

_FIRST_WORDS = """
    What Whatever Who Whoever Whom Whose Whether Which Whichever How However Where Wherever When Whenever Why That
    Gives Tells Says Knows Hears Forgets Takes"""
_BANNED = (
    r"told|said|anew|dear(?:er|est|ly)?|whoever|by heart|mend(?:s|ed|ing)?|for ever|under way|by hand|a hand|a word|"
    r"a human|hold(?:s)? good|good for|goes by|design (?:section|invariant)s? \d+|knows? nothing"
)
_RELATIVE = re.compile(rf"(?:{'|'.join(_FIRST_WORDS.split())})\b")
_PRIVATE = re.compile(rf"(?<![\w-])(?:{_BANNED})(?![\w-])", re.IGNORECASE)
_SPOKEN_NAMES = {"told", "said", "anew", "whoever"}
_LOUD_CALLS = re.compile(
    r"(?:debug|info|warning|error|exception|critical|Problem|BadParameter|Option|Argument|\w+Error)$"
)


def findings(root: Path, *, checked: tuple[str, ...]) -> list[str]:
    """Return every breach as `file:line: finding`."""
    found: list[str] = []
    for path in _files(root, checked):
        text = path.read_text(encoding="utf-8")
        breaches = _in_markdown(text) if path.suffix == ".md" else _in_python(text)
        found += [f"{path.relative_to(root)}:{line}: {finding}" for line, finding in sorted(breaches)]
    return found


def _files(root: Path, checked: tuple[str, ...]) -> Iterator[Path]:
    for name in checked:
        place = root / name
        for path in sorted(place.rglob("*")) if place.is_dir() else [place]:
            if path.suffix in {".py", ".md"} and not SKIPPED & set(path.parts) and path.relative_to(root) != SELF:
                yield path


def _in_markdown(text: str) -> Iterator[tuple[int, str]]:
    fenced = False
    for number, line in enumerate(text.splitlines(), 1):
        fenced ^= line.lstrip().startswith("```")
        if not fenced:
            yield from _private_words(number, re.sub(r"`[^`]*`", "", line))


def _in_python(text: str) -> Iterator[tuple[int, str]]:
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type == tokenize.COMMENT:
            yield from _private_words(token.start[0], token.string)
        elif token.type == tokenize.NAME and _SPOKEN_NAMES & set(token.string.lower().split("_")):
            yield token.start[0], f"name {token.string!r}"
    tree = ast.parse(text)
    for line, prose in _docstrings(tree):
        if first := _RELATIVE.match(prose.lstrip()):
            yield line, f"docstring begins with {first[0]!r}"
        yield from _private_words(line, prose)
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and _LOUD_CALLS.match(ast.unparse(node.func).rpartition(".")[2]):
            for line, prose in _texts(node):
                yield from _private_words(line, prose)


def _docstrings(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Yield docstrings of modules, classes and functions, and of the attributes and constants before them."""
    for node in ast.walk(tree):
        for statement in getattr(node, "body", ()) if not isinstance(node, ast.Lambda | ast.IfExp) else ():
            value = statement.value if isinstance(statement, ast.Expr) else None
            if isinstance(value, ast.Constant) and isinstance(value.value, str):
                yield statement.lineno, value.value


def _texts(call: ast.Call) -> Iterator[tuple[int, str]]:
    for argument in (*call.args, *(keyword.value for keyword in call.keywords if keyword.arg == "help")):
        for node in ast.walk(argument):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                yield node.lineno, node.value


def _private_words(line: int, prose: str) -> Iterator[tuple[int, str]]:
    for number, text in enumerate(prose.splitlines() or [""], line):
        for match in _PRIVATE.finditer(text):
            yield number, f"banned: {match[0]!r}"


def test_prose_keeps_the_rules() -> None:
    breaches = findings(ROOT, checked=CHECKED)
    assert not breaches, "\n".join(("", *breaches))


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("a.py", '"""What a module does."""\n', "a.py:1: docstring begins with 'What'"),
        (
            "a.py",
            '"""Queue."""\n\n\ndef f() -> None:\n    """Whether it is."""\n',
            "a.py:5: docstring begins with 'Whether'",
        ),
        ("a.py", 'LIMIT = 3\n"""How many."""\n', "a.py:2: docstring begins with 'How'"),
        ("a.py", '"""Queue.\n\nIt is asked anew.\n"""\n', "a.py:3: banned: 'anew'"),
        ("a.py", "# a batch under way\n", "a.py:1: banned: 'under way'"),
        ("a.py", "told = 3\n", "a.py:1: name 'told'"),
        ("a.py", 'raise ValueError(f"{x}: mend it")\n', "a.py:1: banned: 'mend'"),
        ("a.py", 'log.error("%s: a human decides", x)\n', "a.py:1: banned: 'a human'"),
        ("a.md", "Text.\nSee design section 6.\n", "a.md:2: banned: 'design section 6'"),
    ],
)
def test_each_breach_is_found(tmp_path: Path, name: str, text: str, expected: str) -> None:
    (tmp_path / name).write_text(text, encoding="utf-8")
    assert findings(tmp_path, checked=(name,)) == [expected]


def test_data_and_code_in_markdown_are_not_prose(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text('MAIL = {"text": "we told you a word"}\n', encoding="utf-8")
    (tmp_path / "a.md").write_text("```\nsaid\n```\nThe field `told_at`.\n", encoding="utf-8")
    assert findings(tmp_path, checked=("a.py", "a.md")) == []
