"""Compose files as `docker compose` reads them: variables replaced by values of `.env`, or by their defaults."""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from tests.deploy.compose_rules import Compose

_INNERMOST = re.compile(r"(?<!\$)\$\{(\w+)(?::-([^${}]*))?\}")


def read_compose(file: Path, env: Mapping[str, str] | None = None) -> Compose:
    """Return the parsed file with every variable replaced."""
    parsed: Compose = yaml.safe_load(file.read_text(encoding="utf-8"))
    replaced: Compose = _replaced(parsed, env or {})
    return replaced


def _replaced(node: Any, env: Mapping[str, str]) -> Any:
    if isinstance(node, dict):
        return {_replaced(key, env): _replaced(value, env) for key, value in node.items()}
    if isinstance(node, list):
        return [_replaced(each, env) for each in node]
    return _interpolated(node, env) if isinstance(node, str) else node


def _interpolated(text: str, env: Mapping[str, str]) -> str:
    """Replace from the inside out: a default may contain a variable."""
    while _INNERMOST.search(text):
        text = _INNERMOST.sub(lambda found: env.get(found[1]) or found[2] or "", text)
    return text


def variables(file: Path) -> dict[str, set[str]]:
    """Return every variable that a file reads from `.env`, with its defaults; "" for one without."""
    found: dict[str, set[str]] = {}
    for text in _texts(yaml.safe_load(file.read_text(encoding="utf-8"))):
        rest = text
        while match := _INNERMOST.search(rest):
            found.setdefault(match[1], set()).add(match[2] or "")
            # A replaced variable leaves its name, so that the default around it can be read.
            rest = rest[: match.start()] + f"<{match[1]}>" + rest[match.end() :]
    for service in yaml.safe_load(file.read_text(encoding="utf-8"))["services"].values():
        for name, value in service.get("environment", {}).items():
            if value is None:
                found.setdefault(name, set()).add("")
    return found


def _texts(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        for key, value in node.items():
            yield from _texts(key)
            yield from _texts(value)
    elif isinstance(node, list):
        for each in node:
            yield from _texts(each)
    elif isinstance(node, str):
        yield node
