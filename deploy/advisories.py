"""Known vulnerabilities of locked packages, from a local copy of advisory data in OSV format.

The folder holds the JSON files of OSV's PyPI export, or the YAML files of pypa/advisory-database, in any structure. A
version is affected where an advisory lists it, or where it lies in a range; withdrawn advisories count nothing. A file
that cannot be read is a finding itself: an audit that passes over data is no audit.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml
from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

from deploy.lock_file import LockedPackage

Advisory = Mapping[str, Any]


class NoAdvisoriesError(ValueError):
    """The folder holds no advisory about a package of PyPI; the message names it."""


def read_advisories(folder: Path) -> dict[str, list[Advisory]]:
    """Return the advisories by package. Raises `NoAdvisoriesError`, or `ValueError` for an unreadable file."""
    found: dict[str, list[Advisory]] = {}
    files = sorted(file for file in folder.rglob("*") if file.suffix in (".json", ".yaml", ".yml"))
    for file in files:
        for advisory in _read(file):
            names = {canonicalize_name(each["package"]["name"]) for each in _of_pypi(advisory)}
            for name in names if not advisory.get("withdrawn") else ():
                found.setdefault(name, []).append(advisory)
    if not found:
        raise NoAdvisoriesError(f"{folder}: holds no advisory about a package of PyPI")
    return found


def _read(file: Path) -> Iterator[Advisory]:
    text = file.read_text("utf-8")
    try:
        content = json.loads(text) if file.suffix == ".json" else yaml.safe_load(text)
    except (ValueError, yaml.YAMLError) as error:
        raise ValueError(f"{file.name}: not readable as OSV: {type(error).__name__}") from None
    if isinstance(content, dict) and "id" in content and "affected" in content:
        yield content


def _of_pypi(advisory: Advisory) -> Iterator[Mapping[str, Any]]:
    for affected in advisory["affected"]:
        if affected.get("package", {}).get("ecosystem") == "PyPI":
            yield affected


def vulnerabilities(packages: Sequence[LockedPackage], advisories: Mapping[str, Sequence[Advisory]]) -> list[str]:
    """Return one line per package and advisory, in the order of the packages."""
    return [
        f"{package.name} {package.version}: {advisory['id']}, fixed in {', '.join(_fixes(advisory, package)) or 'none'}"
        for package in dict.fromkeys(packages)
        for advisory in advisories.get(package.name, ())
        if is_affected(package, advisory)
    ]


def is_affected(package: LockedPackage, advisory: Advisory) -> bool:
    version = Version(package.version)
    return any(
        package.version in affected.get("versions", ())
        or any(_in_range(version, each["events"]) for each in affected.get("ranges", ()) if each["type"] == "ECOSYSTEM")
        for affected in _of_pypi(advisory)
        if canonicalize_name(affected["package"]["name"]) == package.name
    )


def _in_range(version: Version, events: Sequence[Mapping[str, str]]) -> bool:
    """Return whether the version is affected after all events up to it, in the order of their versions."""
    affected = False
    for kind, at in sorted(_bounds(events), key=lambda bound: (bound[1] is not None, bound[1] or version)):
        if kind == "introduced" and (at is None or version >= at):
            affected = True
        elif at is not None and (version >= at if kind == "fixed" else kind == "last_affected" and version > at):
            affected = False
    return affected


def _bounds(events: Sequence[Mapping[str, str]]) -> Iterator[tuple[str, Version | None]]:
    """Yield the events with their versions, None for the beginning; a version that is none bounds nothing."""
    for event in events:
        for kind, text in event.items():
            try:
                yield kind, None if text == "0" else Version(text)
            except InvalidVersion:
                continue


def _fixes(advisory: Advisory, package: LockedPackage) -> list[str]:
    return [
        event["fixed"]
        for affected in _of_pypi(advisory)
        if canonicalize_name(affected["package"]["name"]) == package.name
        for each in affected.get("ranges", ())
        if each["type"] == "ECOSYSTEM"
        for event in each["events"]
        if "fixed" in event
    ]
