"""Texts of pages, from a TOML file: each entry has both languages, `ja` and `en`; values go in by name."""

import tomllib
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from libs.common.events.values import Language


class WordsError(ValueError):
    """A text is missing in one language; the message names file and entry."""


@cache
def words_of(*files: Path) -> "Words":
    """Read and checked once in a process."""
    return Words(*files)


class Words:
    """The texts of one file. An entry that is not there is an error in ours and raises `KeyError`."""

    def __init__(self, *files: Path) -> None:
        self._texts: dict[str, Mapping[str, str]] = {}
        for file in files:
            self._read(file.name, "", tomllib.loads(file.read_text(encoding="utf-8")))

    def _read(self, file: str, at: str, table: Mapping[str, Any]) -> None:
        for name, entry in table.items():
            key = f"{at}{name}"
            if not isinstance(entry, dict):
                raise WordsError(f'{file}: {key}: write {{ ja = "...", en = "..." }}')
            if not any(isinstance(text, str) for text in entry.values()):
                self._read(file, f"{key}.", entry)
            elif entry.keys() == {"ja", "en"}:
                self._texts[key] = entry
            else:
                raise WordsError(f"{file}: {key}: give ja and en, and nothing else")

    @property
    def keys(self) -> frozenset[str]:
        return frozenset(self._texts)

    def __contains__(self, key: str) -> bool:
        return key in self._texts

    def say(self, key: str, language: Language, **values: object) -> str:
        text = self._texts[key][language]
        return text.format(**values) if values else text

    def name(self, kind: str, value: object, language: Language) -> str:
        """The word for a value of the contract; the value itself where a newer contract has one that we lack."""
        key = f"{kind}.{value}"
        return self.say(key, language) if key in self._texts else str(value).replace("_", " ")
