"""Comparison with another revision: both are driven by their own `make bench`, in turn (A B B A), with the same load.

The revision is checked out into a temporary worktree and runs in this environment. Its command is the first of its
target `bench`, whatever its modules are called; a revision that knows `PARTS` runs its flood only. Compared are the
totals that both write as `cpu_ms_per_lifecycle`: services, Kafka and Postgres during a flood of a fresh system.
"""

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from deploy.local.command_line import CommandError
from deploy.local.paths import ROOT, run_folder

LEG_SECONDS = 600


@dataclass(frozen=True, slots=True)
class Leg:
    """CPU milliseconds per lifecycle, and lifecycles per second."""

    cpu_ms: float
    per_second: float


def compare(console: Console, revision: str, issues: int, rounds: str = "ABBA") -> tuple[float, float]:
    """Ratios of CPU and of lifecycles per second: this tree (A) to the revision (B)."""
    legs: dict[str, list[Leg]] = {"A": [], "B": []}
    with worktree(revision) as other:
        for number, which in enumerate(rounds):
            tree = ROOT if which == "A" else other
            with console.status(f"{'this tree' if which == 'A' else revision}, leg {number + 1} of {len(rounds)}"):
                legs[which].append(_leg(tree, issues))
            done = legs[which][-1]
            console.print(f"{which}: {done.cpu_ms:.2f} ms CPU, {done.per_second:.1f} lifecycles/s", highlight=False)
    cpu = {which: sum(leg.cpu_ms for leg in found) / len(found) for which, found in legs.items()}
    speed = {which: sum(leg.per_second for leg in found) / len(found) for which, found in legs.items()}
    return cpu["A"] / cpu["B"], speed["A"] / speed["B"]


@contextmanager
def worktree(revision: str) -> Iterator[Path]:
    """A checkout of this revision, removed afterwards. Raises `CommandError` for an unknown one."""
    git = ["git", "-C", str(ROOT)]
    with run_folder("against") as folder:
        path = folder / "tree"
        made = subprocess.run(
            [*git, "worktree", "add", "--detach", str(path), revision], capture_output=True, text=True, check=False
        )
        if made.returncode:
            reason = (made.stderr.strip() or "no output").splitlines()[-1]
            raise CommandError(f"AGAINST: {revision!r} cannot be checked out: {reason}; name a commit, branch or tag")
        cache = ROOT / ".cache"
        if cache.is_dir():  # the broker's jars
            (path / ".cache").symlink_to(cache)
        try:
            yield path
        finally:
            subprocess.run([*git, "worktree", "remove", "--force", str(path)], capture_output=True, check=False)


def bench_module(makefile: str) -> str:
    """The module of the first command of the target `bench`. Raises `CommandError` without one."""
    found = re.search(r"^bench:.*\n(?:\t.*\n)*?\t@?\$\(RUN\) -m ([\w.]+)", makefile, re.MULTILINE)
    if found is None:
        raise CommandError("AGAINST: the Makefile of that revision has no target bench that runs a Python module")
    return found.group(1)


def _leg(tree: Path, issues: int) -> Leg:
    module = bench_module((tree / "Makefile").read_text(encoding="utf-8"))
    with run_folder("leg") as folder:
        report = folder / "report.json"
        own = {"ISSUES": str(issues), "REPORT": str(report), "PARTS": "flood", "AGAINST": "", "PYTHONPATH": str(tree)}
        done = subprocess.run(
            [sys.executable, "-m", module],
            cwd=tree,
            env={**os.environ, **own},
            capture_output=True,
            text=True,
            timeout=LEG_SECONDS,
            check=False,
        )
        if done.returncode or not report.exists():
            reason = "\n".join((done.stderr or done.stdout).strip().splitlines()[-5:])
            raise CommandError(f"bench of {tree} ended with code {done.returncode}:\n{reason}")
        document = json.loads(report.read_text(encoding="utf-8"))
    cpu = document["cpu_ms_per_lifecycle"]
    return Leg(cpu["total"] if isinstance(cpu, dict) else cpu, document["lifecycles_per_second"])
