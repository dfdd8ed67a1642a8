"""Names and tracking pages of carriers, for mails and pages; the data is in `carriers.toml`."""

import re
import tomllib
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path
from urllib.parse import quote

from libs.common.events.values import Language

FILE = Path(__file__).with_name("carriers.toml")
_SEPARATORS = re.compile(r"[\s\-‐-―−ー]+")


@dataclass(frozen=True, slots=True)
class Carrier:
    """A known carrier. `url` contains `{number}`."""

    ja: str
    en: str
    url: str

    def name(self, language: Language) -> str:
        return self.ja if language == Language.JA else self.en


@cache
def _carriers() -> dict[str, Carrier]:
    """Return the carriers by each of their names, in lower case."""
    entries = tomllib.loads(FILE.read_text("utf-8")).values()
    return {name.casefold(): Carrier(e["ja"], e["en"], e["url"]) for e in entries for name in e["names"]}


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
