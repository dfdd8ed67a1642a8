"""Notes of a release from `CHANGELOG.md`: `python -m deploy.release v0.2.0`, as the release workflow calls it.

Before it prints them it compares the tag with every place that states the version.
"""

import re
import sys
import tomllib
from collections.abc import Mapping
from pathlib import Path

import yaml

from deploy.local.command_line import CommandError, exit_on_error
from deploy.local.paths import ROOT
from libs.common import __version__

_SECTION = r"^## \[{version}\] - \d{{4}}-\d\d-\d\d\n(.*?)(?=^## \[|\Z)"


def stated_versions(root: Path = ROOT) -> dict[str, str]:
    """Return the version that each file states."""
    chart = yaml.safe_load((root / "deploy" / "kubernetes" / "sakidashi" / "Chart.yaml").read_text("utf-8"))
    project = tomllib.loads((root / "pyproject.toml").read_text("utf-8"))["project"]
    images = re.findall(r"image: sakidashi/\w+:(\S+)", (root / "docker-compose.yml").read_text("utf-8"))
    return {
        "libs/common/__init__.py": __version__,
        "pyproject.toml": project["version"],
        "Chart.yaml: version": chart["version"],
        "Chart.yaml: appVersion": chart["appVersion"],
        "docker-compose.yml: images": ", ".join(sorted(set(images))),
    }


def notes(tag: str, changelog: str, versions: Mapping[str, str]) -> str:
    """Return the section of the tag's version. Raises `CommandError` with every file that states another one."""
    version = tag.removeprefix("v")
    if tag == version or not re.fullmatch(r"\d+\.\d+\.\d+(-[0-9A-Za-z.]+)?", version):
        raise CommandError(f"{tag!r} is no tag of a release; use v1.2.3")
    faults = [f"{place} states {stated}" for place, stated in versions.items() if stated != version]
    section = re.search(_SECTION.format(version=re.escape(version)), changelog, re.MULTILINE | re.DOTALL)
    if section is None or not section[1].strip():
        faults.append(f"CHANGELOG.md has no section '## [{version}] - <date>' with text; rename [Unreleased]")
    if faults or section is None:
        raise CommandError(f"{tag}: " + "; ".join(faults))
    return section[1].strip()


def main(tag: str) -> None:
    with exit_on_error("release"):
        print(notes(tag, (ROOT / "CHANGELOG.md").read_text("utf-8"), stated_versions()))


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "")
