"""Days in the text of a mail or page, as each language writes them."""

import re

from libs.common.events.values import Language

_ENGLISH = "January February March April May June July August September October November December"
_GERMAN = "Januar Februar März April Mai Juni Juli August September Oktober November Dezember"
_MONTHS = {"en": _ENGLISH.split(), "de": _GERMAN.split()}
_JAPANESE = re.compile(r"(\d{1,2})月(\d{1,2})日")


def written_days(text: str, language: Language) -> set[tuple[int, int]]:
    """Return months and days. Raises `KeyError` for a language whose dates are not known here."""
    if language == Language.JA:
        return {(int(month), int(day)) for month, day in _JAPANESE.findall(text)}
    months = _MONTHS[language.value]
    found = re.findall(rf"\b(\d{{1,2}})\.? ({'|'.join(months)})\b", text)
    return {(months.index(month) + 1, int(day)) for day, month in found}
