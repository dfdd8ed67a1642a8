"""Import contracts: kept by the tree, and each broken on a copy of it with one wrong import."""

import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
CONTRACTS = [
    one["name"]
    for one in tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["importlinter"]["contracts"]
]

WRONG_IMPORTS = [
    ("libs/common/decisions/ids.py", "import services.intake", "libs never import services"),
    ("libs/common/decisions/ids.py", "import deploy", "libs never import services"),
    ("libs/common/events/values.py", "import libs.common.decisions.ids", "the common library has layers"),
    ("libs/common/postgres/pool.py", "import libs.common.telemetry.counters", "the common library has layers"),
    ("libs/common/http/problems.py", "import libs.common.runtime.server", "the common library has layers"),
    ("services/returns/store/cases.py", "import services.intake.domain.decide", "services never import each other"),
    ("services/loyalty/app.py", "import deploy", "services know nothing of how they are deployed"),
    ("services/loyalty/domain/decide.py", "import asyncpg", "decisions and the contract do no I/O"),
    ("services/loyalty/policy/award_rules.py", "import httpx", "decisions and the contract do no I/O"),
    ("services/returns/policy/policy.py", "import asyncio", "decisions and the contract do no I/O"),
    ("services/delivery_notify/domain/decide.py", "import aiosmtplib", "decisions and the contract do no I/O"),
    (
        "services/intake/domain/decide.py",
        "from libs.common.postgres import pool",
        "decisions and the contract do no I/O",
    ),
    ("services/intake/domain/decide.py", "import fastapi", "decisions and the contract do no I/O"),
    ("libs/common/events/values.py", "import aiokafka", "decisions and the contract do no I/O"),
    ("services/returns/store/cases.py", "import services.returns.http.cases", "rooms of a service import downwards"),
    ("services/loyalty/policy/award_rules.py", "import services.loyalty.domain.tiers", "no circle of imports"),
    ("services/loyalty/http/balances.py", "import asyncpg", "routes reach the database through their store only"),
    (
        "deploy/demo/partners/__init__.py",
        "import services.returns",
        "demo partners know the services by HTTP and Kafka only",
    ),
]


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """Copy all code with import contracts."""
    for name in ("libs", "services", "deploy"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=_only_code)
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    return tmp_path


def test_the_tree_keeps_every_border(tree: Path) -> None:
    assert broken(tree) == []


@pytest.mark.parametrize(("file", "line", "contract"), WRONG_IMPORTS)
def test_a_wrong_import_breaks_its_border(tree: Path, file: str, line: str, contract: str) -> None:
    with (tree / file).open("a", encoding="utf-8") as code:
        code.write(f"\n{line}\n")
    assert contract in broken(tree)


def test_every_border_has_been_seen_to_break() -> None:
    assert {contract for _, _, contract in WRONG_IMPORTS} == set(CONTRACTS)


def broken(tree: Path) -> list[str]:
    """Return the names of the contracts that import-linter finds broken."""
    command = "from importlinter.cli import lint_imports_command; lint_imports_command()"
    run = subprocess.run(
        [sys.executable, "-c", command, "--no-cache"], cwd=tree, capture_output=True, text=True, check=False
    )
    found = [name for name in CONTRACTS if f"{name} BROKEN" in run.stdout]
    assert run.returncode == bool(found), run.stdout + run.stderr
    return found


def _only_code(folder: str, names: list[str]) -> set[str]:
    """Ignore data files, which would make the copy slow."""
    return {
        name for name in names if not (Path(folder, name).is_dir() or name.endswith(".py")) or name == "__pycache__"
    }
