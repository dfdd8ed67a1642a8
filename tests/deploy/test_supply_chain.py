"""The audit finds secrets and vulnerabilities, and an audit that could not be made is no pass."""

import json
import subprocess
from pathlib import Path

from deploy.supply_chain import BASELINE, AuditResult, new_secrets, parse_report, scan_secrets


def test_a_secret_in_a_committed_file_is_found(tmp_path: Path) -> None:
    secret = "s3cr3t-" + "Zm9vYmFyYmF6cXV4"  # put together here, so that it stands in no file of ours
    (tmp_path / "settings.py").write_text(f'DATABASE_PASSWORD = "{secret}"\n', encoding="utf-8")
    subprocess.run(["git", "init", "-q"], cwd=tmp_path, check=True)
    subprocess.run(["git", "add", "settings.py"], cwd=tmp_path, check=True)
    found = scan_secrets(tmp_path)
    assert new_secrets(found, {}) == ["settings.py:1: looks like a secret (Secret Keyword)"]
    assert new_secrets(found, found) == []


def test_the_baseline_names_no_file_outside_the_tests_but_those_that_were_looked_at() -> None:
    files = set(json.loads(BASELINE.read_text("utf-8"))["results"])
    assert {file for file in files if not file.startswith("tests/")} == {
        "docs/explanation/threat-model.md",  # names of settings and tests
        "deploy/api/api_docs.py",
    }


def test_a_known_hole_is_reported_with_its_fix() -> None:
    hole = {"id": "PYSEC-2019-217", "fix_versions": ["2.10.1"]}
    report = json.dumps({"dependencies": [{"name": "jinja2", "version": "2.10", "vulns": [hole]}]})
    assert parse_report(report) == (AuditResult.FINDINGS, ["jinja2 2.10: PYSEC-2019-217, fixed in 2.10.1"])


def test_what_could_not_be_asked_is_no_pass() -> None:
    skipped = {"name": "jinja2", "skip_reason": "Dependency not found on PyPI"}
    audited = {"name": "idna", "version": "3.10", "vulns": []}
    assert parse_report(json.dumps({"dependencies": [skipped, audited]}))[0] is AuditResult.NOT_AUDITED
    assert parse_report("")[0] is AuditResult.NOT_AUDITED
    assert parse_report(json.dumps({"dependencies": []}))[0] is AuditResult.NOT_AUDITED
    assert parse_report(json.dumps({"dependencies": [audited]}))[0] is AuditResult.CLEAN
