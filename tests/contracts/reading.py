"""Committed samples: events as written when their version was published. They are never changed."""

import copy
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from libs.common.events.envelope import Payload
from libs.common.events.registry import BY_TYPE

FOLDER = Path(__file__).with_name("samples")
SAMPLES: dict[str, dict[str, Any]] = {
    path.stem: json.loads(path.read_text(encoding="utf-8")) for path in sorted(FOLDER.glob("*.json"))
}
each_sample = pytest.mark.parametrize("name", list(SAMPLES))
each_payload = pytest.mark.parametrize("payload", list(BY_TYPE.values()), ids=list(BY_TYPE))


def sample(name: str, **changes: Any) -> dict[str, Any]:
    """Return a copy of a sample with some envelope fields changed."""
    return {**copy.deepcopy(SAMPLES[name]), **changes}


def with_data(name: str, path: tuple[str | int, ...], value: Any) -> bytes:
    """Return a sample's bytes with one field of its data changed."""
    event = sample(name)
    target = event["data"]
    for step in path[:-1]:
        target = target[step]
    target[path[-1]] = value
    return written(event)


def written(event: object) -> bytes:
    return json.dumps(event, ensure_ascii=False).encode()


def payload_of(name: str) -> type[Payload]:
    return BY_TYPE[SAMPLES[name]["type"]]


def leaves(value: Any, path: tuple[str | int, ...] = ()) -> Iterator[tuple[tuple[str | int, ...], Any]]:
    """Yield every scalar value with its path."""
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from leaves(inner, (*path, name))
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from leaves(inner, (*path, index))
    else:
        yield path, value
