"""The audit finds secrets and vulnerabilities, and an audit that could not be made is no pass."""

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

from deploy.lock_file import locked_packages
from deploy.sbom import bill_of_materials
from deploy.supply_chain import (
    BASELINE,
    ROOT,
    AuditResult,
    audit_offline,
    new_secrets,
    parse_report,
    scan_secrets,
)


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
        "docs/how-to/sign-in-with-openid-connect.md",  # a setting without a value
        "deploy/api/api_docs.py",
        "deploy/api/intake.asyncapi.json",  # SHA-256 of an example photo, as in the next two
        "deploy/api/intake.openapi.json",
        "services/intake/http/examples.json",
        "deploy/api/partners.asyncapi.json",  # SHA-256 of an example of a key, as in the next two
        "docs/how-to/connect-a-partner-without-kafka.md",
        "services/partners/policy/partner_terms.py",
        "deploy/api/partners.openapi.json",  # an example of a secret without its characters, as in the next one
        "services/partners/http/examples.json",
        "services/partners/store/subscriptions.py",  # SQL with columns of that name
        "deploy/kubernetes/cloudnative_pg.py",  # names of Secrets, as in the next two
        "deploy/kubernetes/examples/values.yaml",
        "deploy/kubernetes/sakidashi/values.yaml",
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


HOLE: dict[str, Any] = {
    "id": "PYSEC-2027-1",
    "affected": [
        {
            "package": {"ecosystem": "PyPI", "name": "Some_Package"},
            "ranges": [
                {"type": "GIT", "events": [{"introduced": "0"}]},
                {"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": "1.2"}, {"introduced": "2.0rc1"}]},
            ],
            "versions": ["1.5.post1"],
        }
    ],
}


def lock_of(folder: Path, *versions: str) -> Path:
    lock = folder / "requirements.lock"
    lock.write_text("".join(f"some-package=={each} ; python_version < '3.12' \\\n" for each in versions), "utf-8")
    return lock


def copy_of(folder: Path, *advisories: dict[str, Any], suffix: str = ".json") -> Path:
    data = folder / "vulns" / "some-package"
    data.mkdir(parents=True)
    for number, advisory in enumerate(advisories):
        (data / f"{number}{suffix}").write_text(json.dumps(advisory), encoding="utf-8")  # JSON is YAML, too
    return folder / "vulns"


@pytest.mark.parametrize(
    ("version", "is_known"),
    [("1.1", True), ("1.2", False), ("1.5.post1", True), ("1.9", False), ("2.0rc1", True), ("2.1", True)],
)
@pytest.mark.parametrize("suffix", [".json", ".yaml"])
def test_a_copy_of_the_advisories_finds_a_hole_without_a_network(
    version: str, is_known: bool, suffix: str, tmp_path: Path
) -> None:
    lock, copy = lock_of(tmp_path, version), copy_of(tmp_path, HOLE, suffix=suffix)
    result, lines = audit_offline(lock, copy)
    found = f"some-package {version}: PYSEC-2027-1, fixed in 1.2"
    assert (result, lines[0] == found) == (AuditResult.FINDINGS if is_known else AuditResult.CLEAN, is_known)


def test_the_last_affected_version_is_affected_and_the_next_is_not(tmp_path: Path) -> None:
    events = [{"introduced": "1.0"}, {"last_affected": "1.4"}]
    affected = {**HOLE["affected"][0], "ranges": [{"type": "ECOSYSTEM", "events": events}]}
    copy = copy_of(tmp_path, {**HOLE, "affected": [affected]})
    results = [audit_offline(lock_of(tmp_path, version), copy)[0] for version in ("0.9", "1.4", "1.4.1")]
    assert results == [AuditResult.CLEAN, AuditResult.FINDINGS, AuditResult.CLEAN]


def test_a_withdrawn_advisory_and_one_of_another_ecosystem_count_nothing(tmp_path: Path) -> None:
    other = {**HOLE, "affected": [{**HOLE["affected"][0], "package": {"ecosystem": "npm", "name": "some-package"}}]}
    unrelated = {**HOLE, "affected": [{**HOLE["affected"][0], "package": {"ecosystem": "PyPI", "name": "other"}}]}
    copy = copy_of(tmp_path, {**HOLE, "withdrawn": "2027-02-01T00:00:00Z"}, other, unrelated)
    assert audit_offline(lock_of(tmp_path, "1.1"), copy)[0] is AuditResult.CLEAN


def test_an_empty_copy_is_no_pass_and_one_that_cannot_be_read_fails(tmp_path: Path) -> None:
    lock, copy = lock_of(tmp_path, "1.1"), copy_of(tmp_path)
    assert audit_offline(lock, copy)[0] is AuditResult.NOT_AUDITED
    (copy / "broken.json").write_text("{", encoding="utf-8")
    assert audit_offline(lock, copy) == (AuditResult.FINDINGS, ["broken.json: not readable as OSV: JSONDecodeError"])


def test_the_bill_of_materials_is_valid_and_names_each_package_of_the_image_with_its_hashes() -> None:
    packages = locked_packages(ROOT / "requirements.lock")
    document = bill_of_materials(packages)
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(json.dumps(document)) is None
    assert {component["purl"] for component in document["components"]} == {each.purl for each in packages}
    assert all(component["externalReferences"][0]["hashes"] for component in document["components"])


def test_the_same_lock_gives_the_same_bill_of_materials_and_another_does_not() -> None:
    packages = locked_packages(ROOT / "requirements.lock")
    serials = [bill_of_materials(each)["serialNumber"] for each in (packages, packages, packages[1:])]
    assert (serials[0] == serials[1], serials[0] == serials[2]) == (True, False)
