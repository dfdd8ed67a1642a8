"""Reader of the text files of one language: `texts/<language>/<name>.toml`."""

import tomllib
from pathlib import Path
from typing import TypeVar

from pydantic import TypeAdapter, ValidationError

from libs.common.events.faults import fault_texts
from libs.common.events.values import Language

FOLDER = Path(__file__).parent

T = TypeVar("T")


class TextsError(ValueError):
    """A text is missing, unknown or malformed; the message names file and entry."""


def read_texts(kind: type[T], name: str) -> dict[Language, T]:
    """Read `<name>.toml` of every language as a dataclass. Raises `TextsError` that names every fault."""
    adapter = TypeAdapter(kind)
    return {language: _read(adapter, FOLDER / language / f"{name}.toml") for language in Language}


def _read(adapter: TypeAdapter[T], file: Path) -> T:
    try:
        return adapter.validate_python(tomllib.loads(file.read_text(encoding="utf-8")))
    except FileNotFoundError:
        raise TextsError(f"{file.parent.name}/{file.name}: no such file; each language has one") from None
    except ValidationError as error:
        faults = "; ".join(fault_texts(error, ""))
        raise TextsError(f"{file.parent.name}/{file.name}: {faults}") from None
