"""Names and tracking pages of carriers, for mails and pages; the data is in `carriers.toml`."""

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path
from typing import Any
from urllib.parse import quote

from libs.common.events.values import Language

FILE = Path(__file__).with_name("carriers.toml")
_SEPARATORS = re.compile(r"[\s\-‐-―−ー]+")


@dataclass(frozen=True, slots=True)
class Carrier:
    """A known carrier, with its names by language (English for those without one). `url` contains `{number}`."""

    names: Mapping[str, str]
    url: str

    def name(self, language: Language) -> str:
        return self.names.get(language) or self.names[Language.EN]


@cache
def _carriers() -> dict[str, Carrier]:
    """Return the carriers by each of their names, in lower case."""
    entries = tomllib.loads(FILE.read_text("utf-8")).values()
    return {name.casefold(): _carrier(entry) for entry in entries for name in entry["names"]}


def _carrier(entry: Mapping[str, Any]) -> Carrier:
    return Carrier({code: entry[code] for code in Language if code in entry}, entry["url"])


def carrier_name(carrier: str, language: Language) -> str:
    """Return the customer's name of a carrier; an unknown one as the partner wrote it."""
    known = _carriers().get(carrier.strip().casefold())
    return known.name(language) if known else carrier


# Cached: text and HTML of one mail, and each view of a page, ask for the same parcel.
@lru_cache(maxsize=1_000)
def tracking_url(carrier: str | None, tracking_number: str | None) -> str:
    """Return the carrier's public page about this parcel; "" if the carrier is unknown or there is no number."""
    known = _carriers().get((carrier or "").strip().casefold())
    number = _SEPARATORS.sub("", tracking_number or "")
    return known.url.format(number=quote(number, safe="")) if known and number else ""
