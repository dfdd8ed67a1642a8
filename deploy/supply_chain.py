"""`make audit`: known vulnerabilities of the dependencies, and secrets in committed files.

detect-secrets scans every file that git tracks; findings that were reviewed (keys of tests, vectors of specifications)
are listed in `.secrets.baseline`. The scan needs no network and always counts.

pip-audit asks PyPI about both lock files. Where PyPI's JSON interface does not answer (package mirrors often have none)
nothing is known, which is no pass: the lock files are then compared with a copy of the advisory data in the folder
`AUDIT_ADVISORIES` (`deploy.advisories`). Without one the exit code is 3 and the output NOT AUDITED. CI runs behind such
a mirror, so `AUDIT_MAY_BE_OFFLINE=1` allows exit code 0 with the same output; run it once before a release where PyPI
answers, or with a copy of that day.
"""

import json
import os
import subprocess
import sys
from enum import IntEnum
from pathlib import Path
from typing import Any

from deploy.advisories import NoAdvisoriesError, read_advisories, vulnerabilities
from deploy.lock_file import locked_packages

ROOT = Path(__file__).parents[1]
BASELINE = ROOT / ".secrets.baseline"
LOCKS = ("requirements.lock", "requirements-dev.lock")
EXCLUDED_FILES = r"(\.lock|\.secrets\.baseline)$"
"""Hashes of packages have high entropy and are no secrets."""


class AuditResult(IntEnum):
    """The result of the audit; the value is the exit code."""

    CLEAN = 0
    FINDINGS = 1
    NOT_AUDITED = 3


def scan_secrets(folder: Path = ROOT) -> dict[str, list[dict[str, Any]]]:
    """Possible secrets in the files that git tracks, by file."""
    command = [sys.executable, "-m", "detect_secrets", "scan", "--exclude-files", EXCLUDED_FILES]
    done = subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True)
    results: dict[str, list[dict[str, Any]]] = json.loads(done.stdout)["results"]
    return results


def new_secrets(found: dict[str, list[dict[str, Any]]], known: dict[str, list[dict[str, Any]]]) -> list[str]:
    """Findings that are not in the baseline; a reviewed one may move within its file."""
    return [
        f"{file}:{secret['line_number']}: looks like a secret ({secret['type']})"
        for file, secrets in found.items()
        for secret in secrets
        if secret["hashed_secret"] not in {old["hashed_secret"] for old in known.get(file, ())}
    ]


def parse_report(report: str) -> tuple[AuditResult, list[str]]:
    """Parse the JSON of pip-audit; a package that was skipped is not audited."""
    try:
        packages = json.loads(report)["dependencies"]
    except (ValueError, KeyError):
        return AuditResult.NOT_AUDITED, ["no report: the vulnerability service could not be reached"]
    vulnerabilities = [
        f"{package['name']} {package['version']}: {each['id']}, fixed in {', '.join(each['fix_versions']) or 'none'}"
        for package in packages
        for each in package.get("vulns", ())
    ]
    skipped = [package["name"] for package in packages if "skip_reason" in package]
    if vulnerabilities:
        return AuditResult.FINDINGS, vulnerabilities
    if skipped or not packages:
        return AuditResult.NOT_AUDITED, [
            f"{len(skipped)} of {len(packages)} packages: PyPI's JSON interface does not answer"
        ]
    return AuditResult.CLEAN, [f"{len(packages)} packages, no known vulnerability"]


def audit_lock(lock: str) -> tuple[AuditResult, list[str]]:
    command = [sys.executable, "-m", "pip_audit", "-r", lock, "--require-hashes", "--disable-pip"]
    try:
        done = subprocess.run(
            [*command, "--progress-spinner", "off", "-f", "json"],
            cwd=ROOT,
            check=False,
            capture_output=True,
            text=True,
            timeout=300,
        )
    except subprocess.TimeoutExpired:
        return AuditResult.NOT_AUDITED, ["no answer within 300 s"]
    return parse_report(done.stdout)


def audit_offline(lock: Path, folder: Path) -> tuple[AuditResult, list[str]]:
    """Compare a lock file with a copy of the advisory data."""
    try:
        packages, advisories = locked_packages(lock), read_advisories(folder)
    except NoAdvisoriesError as error:
        return AuditResult.NOT_AUDITED, [str(error)]
    except ValueError as error:
        return AuditResult.FINDINGS, [str(error)]
    found = vulnerabilities(packages, advisories)
    clean = f"{len(packages)} packages, none in {sum(map(len, advisories.values()))} advisories of {folder.name}"
    return (AuditResult.FINDINGS, found) if found else (AuditResult.CLEAN, [clean])


def main() -> AuditResult:
    secrets = new_secrets(scan_secrets(), json.loads(BASELINE.read_text("utf-8"))["results"])
    print("\n".join(secrets) or "secrets: none beyond the baseline")
    worst = AuditResult.FINDINGS if secrets else AuditResult.CLEAN
    for lock in LOCKS:
        result, lines = audit_lock(lock)
        if result is AuditResult.NOT_AUDITED and (folder := os.environ.get("AUDIT_ADVISORIES")):
            result, lines = audit_offline(ROOT / lock, Path(folder))
        print(f"{lock}: {'; '.join(lines)}")
        if worst is not AuditResult.FINDINGS and result is not AuditResult.CLEAN:
            worst = result
    if worst is AuditResult.NOT_AUDITED:
        print("NOT AUDITED: the dependencies were not checked for known vulnerabilities. This is no pass.", flush=True)
        return AuditResult.CLEAN if os.environ.get("AUDIT_MAY_BE_OFFLINE") == "1" else worst
    return worst


if __name__ == "__main__":
    sys.exit(main())
