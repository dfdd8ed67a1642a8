"""Titles of tiers, perks and campaigns in the language of a reader."""

from collections.abc import Iterable

from libs.common.events.loyalty.base import Title
from libs.common.events.values import Language


def title_of(code: str, titles: Iterable[Title], language: Language) -> str:
    """Return the title of a code; in English if the language has none, and the code as words without any."""
    known = {title.language: title.text for title in titles if title.code == code}
    return known.get(language) or known.get(Language.EN) or code.replace("_", " ").replace("-", " ")
