"""The environment: locked by hashes, in step with pyproject.toml, and refused clearly on a wrong Python."""

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest

from deploy.local.paths import ROOT

PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def locked(file: str) -> dict[str, str]:
    """Name to the whole entry of each package in a lock file."""
    entries = re.split(r"\n(?=\S)", (ROOT / file).read_text(encoding="utf-8"))
    return {plain(entry.split("==", maxsplit=1)[0]): entry for entry in entries if "==" in entry}


def plain(requirement: str) -> str:
    """The bare name, spelled as package indexes compare it."""
    name = re.split(r"[\[<>=!~; ]", requirement, maxsplit=1)[0]
    return re.sub(r"[-_.]+", "-", name).lower()


def asked_for(group: str) -> set[str]:
    names: set[str] = set()
    for entry in PROJECT["dependency-groups"][group]:
        names |= asked_for(entry["include-group"]) if isinstance(entry, dict) else {plain(entry)}
    return names


LOCKS = ["requirements.lock", "requirements-demo.lock", "requirements-dev.lock"]


def test_the_demo_lock_holds_every_dependency_of_the_demo() -> None:
    wanted = {plain(entry) for entry in PROJECT["project"]["dependencies"]} | asked_for("local")
    assert wanted <= locked("requirements-demo.lock").keys()


def test_the_runtime_lock_holds_every_dependency() -> None:
    assert {plain(entry) for entry in PROJECT["project"]["dependencies"]} <= locked("requirements.lock").keys()


def test_the_development_lock_holds_every_dependency() -> None:
    assert asked_for("dev") <= locked("requirements-dev.lock").keys()


@pytest.mark.parametrize("file", LOCKS)
def test_every_locked_package_has_a_version_and_hashes(file: str) -> None:
    assert [name for name, entry in locked(file).items() if "--hash=sha256:" not in entry] == []


@pytest.mark.parametrize("file", ["requirements.lock", "requirements-demo.lock"])
def test_a_lock_agrees_with_the_development_lock(file: str) -> None:
    version = re.compile(r"==([^\s;]+)")
    smaller, development = locked(file), locked("requirements-dev.lock")
    assert {name: version.findall(entry) for name, entry in smaller.items()} == {
        name: version.findall(development[name]) for name in smaller
    }


@pytest.mark.parametrize("file", LOCKS)
def test_no_package_index_is_named(file: str) -> None:
    assert re.findall(r"https?://|--index-url|--find-links", (ROOT / file).read_text(encoding="utf-8")) == []


def make(folder: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    command = ["make", "-f", str(ROOT / "Makefile"), *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("version", ["3, 9", "3, 10", "3, 15"])
def test_a_python_of_the_wrong_version_is_refused_with_the_right_ones(tmp_path: Path, version: str) -> None:
    (tmp_path / "requirements-dev.lock").touch()
    # Stands for an interpreter of that version, whose answer to the question is an exit code.
    question = f"import sys; sys.version_info = ({version}); exec(sys.argv[2])"
    python = tmp_path / "python"
    python.write_text(f"#!/bin/sh\nexec {sys.executable} -c '{question}' \"$@\"\n")
    python.chmod(0o755)
    refused = make(tmp_path, "env", f"PYTHON={python}")
    assert refused.returncode != 0
    assert "needs Python 3.11 to 3.14" in refused.stderr


def environment(folder: Path, *, lock: str, made_from: str) -> None:
    """An environment made long ago from one lock, and a lock written now."""
    (folder / ".venv").mkdir()
    stamp = folder / ".venv" / ".locked"
    stamp.write_text(made_from)
    os.utime(stamp, (1_000, 1_000))
    (folder / "requirements-dev.lock").write_text(lock)


def test_an_environment_made_from_the_same_lock_is_kept(tmp_path: Path) -> None:
    environment(tmp_path, lock="uvloop==1", made_from="uvloop==1")
    kept = make(tmp_path, "env", "PYTHON=/nowhere/python")
    assert kept.returncode == 0, kept.stderr


def test_an_environment_made_from_another_lock_is_made_again(tmp_path: Path) -> None:
    environment(tmp_path, lock="uvloop==2", made_from="uvloop==1")
    assert "Name one" in make(tmp_path, "env", "PYTHON=/nowhere/python").stderr
