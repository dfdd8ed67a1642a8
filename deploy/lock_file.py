"""Packages of a lock file: the pins with the hashes of their files, as `make lock` writes them."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from packaging.utils import NormalizedName, canonicalize_name

_PIN = re.compile(r"^(?P<name>[A-Za-z0-9._-]+)(\[[^\]]*\])?==(?P<version>[^\s;\\]+)")
_HASH = re.compile(r"--hash=sha256:([0-9a-f]{64})")


@dataclass(frozen=True, slots=True)
class LockedPackage:
    """One pin; a package that depends on the Python version can have several."""

    name: NormalizedName
    version: str
    hashes: tuple[str, ...] = ()

    @property
    def purl(self) -> str:
        return f"pkg:pypi/{self.name}@{self.version}"


def locked_packages(lock: Path) -> list[LockedPackage]:
    """Return the pins of this file in its order. Raises `ValueError` for a file without any."""
    found = list(_pins(lock.read_text("utf-8")))
    if not found:
        raise ValueError(f"{lock.name}: no pinned packages; create it with `make lock`")
    return found


def _pins(text: str) -> Iterator[LockedPackage]:
    for entry in re.split(r"\n(?=[A-Za-z0-9])", text):
        if match := _PIN.match(entry):
            yield LockedPackage(canonicalize_name(match["name"]), match["version"], tuple(_HASH.findall(entry)))
