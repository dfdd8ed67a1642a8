"""The release: its workflow names what exists and is pinned, and its notes belong to the version of every file."""

import importlib.util
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from deploy.kubernetes.generated import CHART
from deploy.local.command_line import CommandError
from deploy.local.paths import ROOT
from deploy.release import notes, stated_versions
from deploy.sbom import TARGET
from libs.common import __version__
from tests.deploy.test_image import DOCKERFILE

FILE = ROOT / ".github" / "workflows" / "release.yml"
TEXT = FILE.read_text("utf-8")
JOBS: dict[str, Any] = yaml.safe_load(TEXT)["jobs"]
STEPS = [step for job in JOBS.values() for step in job["steps"]]
COMMANDS = "\n".join(step["run"] for step in STEPS if "run" in step)
BUILD = next(step["with"] for step in STEPS if "build-push" in step.get("uses", ""))


def schema_answer(file: Path) -> int:
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.github-workflows", str(file)]
    return subprocess.run(command, capture_output=True, check=False).returncode


def test_the_workflow_follows_the_schema_of_workflows(tmp_path: Path) -> None:
    broken = tmp_path / "release.yml"
    broken.write_text(TEXT.replace("runs-on:", "run-on:"), encoding="utf-8")
    assert (schema_answer(FILE), schema_answer(broken)) == (0, 1)


def test_every_action_is_pinned_by_a_commit_with_its_version_beside_it() -> None:
    used = re.findall(r"uses: (.*)$", TEXT, re.MULTILINE)
    assert len(used) >= 8
    assert [each for each in used if not re.fullmatch(r"[\w-]+/[\w-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", each)] == []


def test_every_path_that_it_names_exists_or_is_made_there() -> None:
    named = set(re.findall(r"(?:^|[\s\"=:])((?:\.ci|deploy|libs|\.cache)/[\w./*-]+)", COMMANDS, re.MULTILINE))
    named |= {BUILD["file"]}
    made = {".cache/notes.md", ".cache/sakidashi-", TARGET.relative_to(ROOT).as_posix()}
    assert "deploy/Dockerfile" in named
    assert sorted(path for path in named - made if not list(ROOT.glob(path))) == []


def test_every_target_and_module_that_it_names_exists() -> None:
    makefile = (ROOT / "Makefile").read_text("utf-8")
    targets = [target for line in re.findall(r"^make (.*)$", COMMANDS, re.MULTILINE) for target in line.split()]
    assert targets
    assert [target for target in targets if not re.search(rf"^{target}:", makefile, re.MULTILINE)] == []
    modules = re.findall(r"python -m ([\w.]+)", COMMANDS)
    assert [module for module in modules if importlib.util.find_spec(module) is None] == []


def test_it_builds_every_image_for_both_platforms_with_bill_of_materials_and_provenance() -> None:
    stages = set(re.findall(r"^FROM \S+ AS (\S+)", DOCKERFILE, re.MULTILINE)) - {"packages"}
    assert set(JOBS["image"]["strategy"]["matrix"]["target"]) == stages
    assert BUILD["platforms"].split(",") == ["linux/amd64", "linux/arm64"]
    assert (BUILD["sbom"], BUILD["provenance"]) == (True, "mode=max")


def test_nothing_is_published_before_the_tests_have_passed() -> None:
    assert (JOBS["image"]["needs"], JOBS["publish"]["needs"]) == ("test", "image")
    assert any(".ci/run" in step.get("run", "") for step in JOBS["test"]["steps"])
    writing = {name for name, job in JOBS.items() if "write" in job.get("permissions", {}).values()}
    assert writing == {"image", "publish"}


def test_the_published_chart_names_the_published_images() -> None:
    values = (CHART / "values.yaml").read_text("utf-8")
    patterns = re.findall(r'sed -i "s\|([^|]+)\|', COMMANDS)
    assert [len(re.findall(pattern, values, re.MULTILINE)) for pattern in patterns] == [1, 1]


def test_helm_is_the_version_that_ci_builds() -> None:
    (version,) = {step["with"]["version"] for step in STEPS if "setup-helm" in step.get("uses", "")}
    assert f"cmd/helm@{version}" in (ROOT / ".ci" / "run").read_text("utf-8")


def test_every_file_states_the_same_version() -> None:
    assert set(stated_versions().values()) == {__version__}


CHANGELOG = """# Changelog

## [Unreleased]

## [1.2.3] - 2026-12-01

### Added

- A thing.

## [1.2.2] - 2026-11-01

- Old.
"""


def test_the_notes_are_the_section_of_the_version_and_no_other() -> None:
    assert notes("v1.2.3", CHANGELOG, {"pyproject.toml": "1.2.3"}) == "### Added\n\n- A thing."


@pytest.mark.parametrize(
    ("tag", "expected"),
    [
        ("1.2.3", "use v1.2.3"),
        ("v1.2", "use v1.2.3"),
        ("v1.2.4", "pyproject.toml states 1.2.3; CHANGELOG.md has no section '## [1.2.4]"),
        ("", "is no tag"),
    ],
)
def test_a_tag_that_does_not_fit_is_refused_with_all_faults(tag: str, expected: str) -> None:
    with pytest.raises(CommandError, match=re.escape(expected)):
        notes(tag, CHANGELOG, {"pyproject.toml": "1.2.3"})
