"""Check of the documentation: strict build, generated pages, and the paths and commands that pages name."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
import typer
from typer.core import TyperGroup

from deploy.api import reference
from deploy.cli.lazy import LazyCommand
from deploy.cli.main import app

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted((ROOT / "docs").rglob("*.md"))


@pytest.mark.parametrize("name", list(reference.pages()))
def test_a_generated_page_follows_the_code(name: str) -> None:
    assert name not in reference.stale_pages(), "run `make docs` and commit what it writes"


def test_the_site_builds_without_a_warning(tmp_path: Path) -> None:
    # Not `--quiet`: it hides warnings from `--strict` too, so that any build passes.
    command = [sys.executable, "-W", "ignore", "-m", "mkdocs", "build", "--strict", "--site-dir", str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "index.html").exists()


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.name)
def test_every_path_of_the_tree_that_a_page_names_exists(page: Path) -> None:
    named = re.findall(r"`((?:services|libs|deploy|tests|docs)/[\w./-]+)`", page.read_text(encoding="utf-8"))
    assert [path for path in named if not (ROOT / path).exists()] == []


def missing_commands(text: str) -> list[str]:
    """Return the `sakidashi` commands of a page that do not exist."""
    named = re.findall(r"(?:^|`)sakidashi ((?:[a-z-]+ ?)+)", text, re.MULTILINE)
    return [words for words in named if not _exists(words.split())]


def _exists(words: list[str]) -> bool:
    command = typer.main.get_command(app)
    for word in words:
        if not isinstance(command, TyperGroup):
            return True  # the word is an argument
        found = command.get_command(typer.Context(command), word)
        if found is None:
            return False
        command = found.load() if isinstance(found, LazyCommand) else found
    return True


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.name)
def test_every_command_that_a_page_names_exists(page: Path) -> None:
    assert missing_commands(page.read_text(encoding="utf-8")) == []


def test_a_command_that_does_not_exist_is_found() -> None:
    text = "Run `sakidashi topics drop`.\n\n```\nsakidashi migrate intake\nsakidashi dead-letters drop\n```\n"
    assert missing_commands(text) == ["topics drop", "dead-letters drop"]


def test_every_invariant_that_the_code_names_is_in_the_list() -> None:
    listed = set(
        re.findall(r"^(\d+)\. \*\*", (ROOT / "docs/explanation/invariants.md").read_text("utf-8"), re.MULTILINE)
    )
    named = {
        number
        for folder in ("libs", "services", "deploy", "tests")
        for path in (ROOT / folder).rglob("*.py")
        for number in re.findall(r"\binvariants? (\d+)", path.read_text("utf-8"))
    }
    assert named <= listed
