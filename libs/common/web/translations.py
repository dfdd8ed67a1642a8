"""Translations of page texts from a TOML file; each entry has `ja` and `en`, with named placeholders."""

import tomllib
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from libs.common.events.values import Language


class TranslationsError(ValueError):
    """A translation is missing or malformed; the message names file and entry."""


@cache
def read_translations(*files: Path) -> "Translations":
    """Read and check these files, once per process."""
    return Translations(*files)


class Translations:
    """Texts of one or more files by key. A missing key is a programming error and raises `KeyError`."""

    def __init__(self, *files: Path) -> None:
        self._texts: dict[str, Mapping[str, str]] = {}
        for file in files:
            self._read(file.name, "", tomllib.loads(file.read_text(encoding="utf-8")))

    def _read(self, file: str, prefix: str, table: Mapping[str, Any]) -> None:
        for name, entry in table.items():
            key = f"{prefix}{name}"
            if not isinstance(entry, dict):
                raise TranslationsError(f'{file}: {key}: is no table; write {{ ja = "...", en = "..." }}')
            if not any(isinstance(text, str) for text in entry.values()):
                self._read(file, f"{key}.", entry)
            elif entry.keys() == {"ja", "en"}:
                self._texts[key] = entry
            else:
                raise TranslationsError(f"{file}: {key}: has {', '.join(entry)}; write ja and en, and nothing else")

    @property
    def keys(self) -> frozenset[str]:
        return frozenset(self._texts)

    def __contains__(self, key: str) -> bool:
        return key in self._texts

    def text(self, key: str, language: Language, **values: object) -> str:
        text = self._texts[key][language]
        return text.format(**values) if values else text

    def label(self, table: str, value: object, language: Language) -> str:
        """Return the label of a contract value, or the value itself if a newer contract added it."""
        key = f"{table}.{value}"
        return self.text(key, language) if key in self._texts else str(value).replace("_", " ")
