"""The audit finds a secret and a hole, and never calls it a pass when it could not look."""

import json
import subprocess
from pathlib import Path

from deploy.supply_chain import BASELINE, Found, judge, new_secrets, scan


def test_a_secret_in_a_committed_file_is_found(tmp_path: Path) -> None:
    secret = "s3cr3t-" + "Zm9vYmFyYmF6cXV4"  # put together here, so that it stands in no file of ours
    (tmp_path / "settings.py").write_text(f'DATABASE_PASSWORD = "{secret}"\n', encoding="utf-8")
    subprocess.run(["git", "init", "-q"], cwd=tmp_path, check=True)
    subprocess.run(["git", "add", "settings.py"], cwd=tmp_path, check=True)
    found = scan(tmp_path)
    assert new_secrets(found, {}) == ["settings.py:1: looks like a secret (Secret Keyword)"]
    assert new_secrets(found, found) == []


def test_the_baseline_names_no_file_outside_the_tests_but_those_that_were_looked_at() -> None:
    files = set(json.loads(BASELINE.read_text("utf-8"))["results"])
    assert {file for file in files if not file.startswith("tests/")} == {
        "docs/explanation/threat-model.md",  # names of settings and tests
        "deploy/api/api_docs.py",
    }


def test_a_known_hole_is_told_with_what_mends_it() -> None:
    hole = {"id": "PYSEC-2019-217", "fix_versions": ["2.10.1"]}
    report = json.dumps({"dependencies": [{"name": "jinja2", "version": "2.10", "vulns": [hole]}]})
    assert judge(report) == (Found.SOMETHING, ["jinja2 2.10: PYSEC-2019-217, mended in 2.10.1"])


def test_what_could_not_be_asked_is_no_pass() -> None:
    skipped = {"name": "jinja2", "skip_reason": "Dependency not found on PyPI"}
    asked = {"name": "idna", "version": "3.10", "vulns": []}
    assert judge(json.dumps({"dependencies": [skipped, asked]}))[0] is Found.NOT_AUDITED
    assert judge("")[0] is Found.NOT_AUDITED
    assert judge(json.dumps({"dependencies": []}))[0] is Found.NOT_AUDITED
    assert judge(json.dumps({"dependencies": [asked]}))[0] is Found.NOTHING
