"""The same seed makes the same run, with real processes; two whole runs, so only with `make test-long`."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

from deploy.local.paths import ROOT
from tests.examples import LONG

MACHINE = ("latency_ms", "lifecycles_per_second")
"""Figures that depend on the machine."""


def run_demo(report: Path) -> dict[str, Any]:
    environ = {**os.environ, "EXIT": "1", "SEED": "7", "ORDERS_COUNT": "60", "REPORT": str(report)}
    command = [sys.executable, "-m", "deploy.demo.run"]
    done = subprocess.run(command, cwd=ROOT, env=environ, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    result: dict[str, Any] = json.loads(report.read_text(encoding="utf-8"))
    return {name: figures for name, figures in result.items() if name not in MACHINE}


@pytest.mark.timeout(1_200)
def test_two_runs_with_one_seed_have_the_same_issues_notices_points_and_behaviour(tmp_path: Path) -> None:
    if settings().max_examples < LONG:
        pytest.skip("two runs of the demo: with `make test-long`")
    assert run_demo(tmp_path / "first.json") == run_demo(tmp_path / "second.json")
