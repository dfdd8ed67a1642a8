"""The checker detects each mutant of the messaging code, and reports nothing about correct code."""

import json
import subprocess
import sys

import pytest

from deploy.local.paths import ROOT
from tests.faults.checker_mutation_test import SCENARIOS, MutationScenario
from tests.faults.mutants import MUTANTS

pytestmark = [pytest.mark.faults, pytest.mark.apache, pytest.mark.timeout(900), pytest.mark.xdist_group("faults")]

Found = dict[str, dict[str, list[str]]]


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> Found:
    """Violations by scenario and check."""
    report = tmp_path_factory.mktemp("proof") / "proof.json"
    command = [sys.executable, "-m", "tests.faults.checker_mutation_test", str(report)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert report.exists(), done.stdout[-3000:] + done.stderr[-3000:]
    violations: Found = json.loads(report.read_text("utf-8"))
    return violations


def test_there_is_a_scenario_for_every_mutant() -> None:
    assert {scenario.mutant for scenario in SCENARIOS} == {"", *MUTANTS}


@pytest.mark.parametrize("scenario", [one for one in SCENARIOS if one.mutant], ids=lambda one: one.name)
def test_a_mutant_is_detected(scenario: MutationScenario, found: Found) -> None:
    assert scenario.caught_by in found[scenario.name]


@pytest.mark.parametrize("scenario", [one for one in SCENARIOS if not one.mutant], ids=lambda one: one.name)
def test_correct_code_has_no_violations(scenario: MutationScenario, found: Found) -> None:
    assert found[scenario.name] == {}
