"""Locales: one file per language of customer texts, with the way it writes dates, money and addresses.

The files are the list of languages: `libs.common.events.values.Language` has one member for each. A file is named by
its BCP 47 tag in lower case (`de.toml`, `pt-br.toml`). See `docs/how-to/add-a-language.md`.
"""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from functools import lru_cache
from pathlib import Path
from types import MappingProxyType

FOLDER = Path(__file__).parent
_ADDRESS_FIELDS = frozenset({"name", "postal_code", "country", "region", "city", "street", "building", "phone"})


class LocaleFileError(ValueError):
    """A locale file is incomplete; the message names file and field."""


@dataclass(frozen=True, slots=True)
class Locale:
    """Conventions of one language.

    `name` is what it calls itself, `locale` the CLDR locale of numbers and names of days, `aliases` are further tags
    for it. `date` and `short_datetime` are CLDR patterns, `datetime` has the placeholders `date`, `time` and `zone`.
    `address` is the order in which the fields of an address are written, `money` a CLDR pattern per currency where the
    one of the locale is not used.
    """

    name: str
    locale: str
    date: str
    short_datetime: str
    datetime: str
    address: tuple[str, ...]
    aliases: tuple[str, ...] = ()
    money: Mapping[str, str] = field(default_factory=dict)


def read_locale(file: Path) -> Locale:
    """Read one file. Raises `LocaleFileError` that names every missing or unknown field."""
    table = tomllib.loads(file.read_text(encoding="utf-8"))
    known = {each.name for each in fields(Locale)}
    faults = [f"{name}: missing" for name in sorted(known - {"aliases", "money"} - table.keys())]
    faults += [f"{name}: unknown" for name in sorted(table.keys() - known)]
    if set(table.get("address", _ADDRESS_FIELDS)) != _ADDRESS_FIELDS:
        faults.append(f"address: must name each of {', '.join(sorted(_ADDRESS_FIELDS))} once")
    if faults:
        raise LocaleFileError(f"{file.name}: {'; '.join(faults)}")
    lists = {name: tuple(table.get(name, ())) for name in ("address", "aliases")}
    return Locale(**{**table, **lists})


def _read_all() -> Mapping[str, Locale]:
    return MappingProxyType({file.stem: read_locale(file) for file in sorted(FOLDER.glob("*.toml"))})


LOCALES = _read_all()
"""Locales by language tag."""


# Cached: contacts repeat few tags; the limit bounds those that a partner makes up.
@lru_cache(maxsize=1_000)
def find_language(tag: str) -> str | None:
    """Return the language for a BCP 47 tag (RFC 4647, lookup), None without one: `de-AT` is found as `de`."""
    subtags = tag.strip().replace("_", "-").lower().split("-")
    while subtags:
        wanted = "-".join(subtags)
        for code, locale in LOCALES.items():
            if wanted == code or wanted in locale.aliases:
                return code
        subtags.pop()
    return None
