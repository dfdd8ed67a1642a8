"""Translations of page texts, with named placeholders.

Pages for customers have a folder with one TOML file per language, such as `translations/de.toml`; pages for staff have
one file, whose entries hold all languages side by side: `save = { ja = "...", en = "..." }`. All languages have the
same keys.
"""

import tomllib
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from libs.common.events.values import Language

Texts = dict[Language, dict[str, str]]


class TranslationsError(ValueError):
    """A translation is missing or malformed; the message names file and entry."""


@cache
def read_translations(*sources: Path) -> "Translations":
    """Read and check these folders or files, once per process."""
    return Translations(*sources)


class Translations:
    """Texts of one or more folders or files by key. A missing key is a programming error and raises `KeyError`."""

    def __init__(self, *sources: Path) -> None:
        self._texts: Texts = {}
        for source in sources:
            texts = _read_folder(source) if source.is_dir() else _read_file(source)
            _check(source.name, texts)
            for language, entries in texts.items():
                self._texts.setdefault(language, {}).update(entries)
        self.languages = tuple(self._texts)
        """Languages of these texts; a reader of another language gets English."""

    @property
    def keys(self) -> frozenset[str]:
        return frozenset(self._texts[Language.EN])

    def __contains__(self, key: str) -> bool:
        return key in self._texts[Language.EN]

    def nearest(self, language: Language) -> Language:
        """Return the language itself, or English if these texts lack it."""
        return language if language in self._texts else Language.EN

    def text(self, key: str, language: Language, **values: object) -> str:
        text = self._texts[self.nearest(language)][key]
        return text.format(**values) if values else text

    def label(self, table: str, value: object, language: Language) -> str:
        """Return the label of a contract value, or the value itself if a newer contract added it."""
        key = f"{table}.{value}"
        return self.text(key, language) if key in self else str(value).replace("_", " ")


def _read_folder(folder: Path) -> Texts:
    files = {language: folder / f"{language}.toml" for language in Language}
    if missing := [file.name for file in files.values() if not file.is_file()]:
        raise TranslationsError(f"{folder.name}: {', '.join(missing)}: no such file; each language has one")
    return {language: dict(_flat(file.name, "", _toml(file))) for language, file in files.items()}


def _read_file(file: Path) -> Texts:
    texts: Texts = {}
    for key, text in _flat(file.name, "", _toml(file)):
        entry, _, code = key.rpartition(".")
        if code not in set(Language):
            raise TranslationsError(f'{file.name}: {key}: is no language; write {{ ja = "...", en = "..." }}')
        texts.setdefault(Language(code), {})[entry] = text
    return texts


def _toml(file: Path) -> Mapping[str, Any]:
    return tomllib.loads(file.read_text(encoding="utf-8"))


def _flat(file: str, prefix: str, table: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for name, entry in table.items():
        if isinstance(entry, dict):
            yield from _flat(file, f"{prefix}{name}.", entry)
        elif isinstance(entry, str) and entry:
            yield f"{prefix}{name}", entry
        else:
            raise TranslationsError(f"{file}: {prefix}{name}: is no text; write a text in quotes, not an empty one")


def _check(source: str, texts: Texts) -> None:
    every = {key for entries in texts.values() for key in entries}
    gaps = [f"{key}: missing in {language}" for language in texts for key in sorted(every - texts[language].keys())]
    if missing := {Language.JA, Language.EN} - texts.keys():
        gaps.append(f"no texts in {', '.join(sorted(missing))}")
    if gaps:
        raise TranslationsError(f"{source}: {'; '.join(gaps)}")
