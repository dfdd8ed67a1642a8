"""`make audit`: are there known holes in what we depend on, and secrets in what we commit?

Secrets are looked for by detect-secrets in every file that git knows; what it found before and somebody looked at (keys
of tests, vectors of specifications) stands in `.secrets.baseline`. That needs no network and always counts.

Known holes are asked of PyPI by pip-audit, for both lock files. Where PyPI's JSON interface does not answer (a mirror
of packages often has none) nothing is known, and that is not the same as nothing being wrong: it ends with 3 and says
NOT AUDITED. CI runs behind such a mirror, so `AUDIT_MAY_BE_OFFLINE=1` lets it go on, with the same words at its end;
whoever releases runs it once where PyPI answers. To look at again once CI reaches a service of vulnerabilities.
"""

import json
import os
import subprocess
import sys
from enum import IntEnum
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
BASELINE = ROOT / ".secrets.baseline"
LOCKS = ("requirements.lock", "requirements-dev.lock")
EXCLUDED_FILES = r"(\.lock|\.secrets\.baseline)$"
"""Hashes of packages are all entropy and no secret."""


class AuditResult(IntEnum):
    """How it ended, and the exit code."""

    CLEAN = 0
    FINDINGS = 1
    NOT_AUDITED = 3


def scan_secrets(folder: Path = ROOT) -> dict[str, list[dict[str, Any]]]:
    """What looks like a secret in the files that git knows, by file."""
    command = [sys.executable, "-m", "detect_secrets", "scan", "--exclude-files", EXCLUDED_FILES]
    done = subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True)
    results: dict[str, list[dict[str, Any]]] = json.loads(done.stdout)["results"]
    return results


def new_secrets(found: dict[str, list[dict[str, Any]]], known: dict[str, list[dict[str, Any]]]) -> list[str]:
    """What is not in the baseline; a known one may move within its file."""
    return [
        f"{file}:{secret['line_number']}: looks like a secret ({secret['type']})"
        for file, secrets in found.items()
        for secret in secrets
        if secret["hashed_secret"] not in {old["hashed_secret"] for old in known.get(file, ())}
    ]


def parse_report(report: str) -> tuple[AuditResult, list[str]]:
    """What pip-audit's JSON says; a package that it could not ask about is not audited."""
    try:
        packages = json.loads(report)["dependencies"]
    except (ValueError, KeyError):
        return AuditResult.NOT_AUDITED, ["no report: the service of vulnerabilities could not be reached"]
    holes = [
        f"{package['name']} {package['version']}: {hole['id']}, mended in {', '.join(hole['fix_versions']) or 'none'}"
        for package in packages
        for hole in package.get("vulns", ())
    ]
    skipped = [package["name"] for package in packages if "skip_reason" in package]
    if holes:
        return AuditResult.FINDINGS, holes
    if skipped or not packages:
        return AuditResult.NOT_AUDITED, [
            f"{len(skipped)} of {len(packages)} packages: PyPI's JSON interface does not answer"
        ]
    return AuditResult.CLEAN, [f"{len(packages)} packages, no known hole"]


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


def main() -> AuditResult:
    secrets = new_secrets(scan_secrets(), json.loads(BASELINE.read_text("utf-8"))["results"])
    print("\n".join(secrets) or "secrets: none but those that are known")
    worst = AuditResult.FINDINGS if secrets else AuditResult.CLEAN
    for lock in LOCKS:
        result, lines = audit_lock(lock)
        print(f"{lock}: {'; '.join(lines)}")
        if worst is not AuditResult.FINDINGS and result is not AuditResult.CLEAN:
            worst = result
    if worst is AuditResult.NOT_AUDITED:
        print("NOT AUDITED: whether the dependencies have known holes was not found out. This is no pass.", flush=True)
        return AuditResult.CLEAN if os.environ.get("AUDIT_MAY_BE_OFFLINE") == "1" else worst
    return worst


if __name__ == "__main__":
    sys.exit(main())
