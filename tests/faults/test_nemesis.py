"""The smoke schedule: one fault of each kind, failpoints at chosen steps, and nothing lost or done twice."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from deploy.local.paths import ROOT
from tests.faults.schedule import FaultKind
from tests.faults.smoke_schedule import SMOKE_SCHEDULE

pytestmark = [pytest.mark.faults, pytest.mark.apache, pytest.mark.timeout(900), pytest.mark.xdist_group("faults")]


def test_the_short_form_has_every_kind() -> None:
    assert {fault.kind for fault in SMOKE_SCHEDULE} == set(FaultKind) - {FaultKind.RESTART}


def test_after_one_fault_of_each_kind_nothing_is_lost_and_nothing_happened_twice(tmp_path: Path) -> None:
    report = tmp_path / "report.json"
    settings = {"SHORT": "1", "SEED": "5", "REPORT": str(report)}
    command = [sys.executable, "-m", "tests.faults"]
    environ = {**os.environ, **settings}
    done = subprocess.run(command, cwd=ROOT, env=environ, capture_output=True, text=True, check=False)
    assert report.exists(), done.stdout[-3000:] + done.stderr[-3000:]
    outcome = json.loads(report.read_text("utf-8"))
    assert {name: count for name, count in outcome["violations"].items() if count} == {}, outcome["shown"]
    assert outcome["not_judged"] == {}
    assert outcome["effects_found"] == outcome["reports_accepted"] > 20
    assert outcome["injected"]["kills"] >= 4
    assert outcome["injected"]["poisons"] > 3
    assert done.returncode == 0, done.stdout[-3000:]
