"""Tokens by which staff find an order's person from a fragment, and the check of what was found; pure.

Tokens are stored as keyed hashes only (`store.order_contacts`), so the choice of tokens is the choice of what a dump
shows. Words of names by their beginning, or by pairs of letters in scripts without spaces; mail addresses whole, by
domain and by the beginning of each part; telephone numbers by their last digits. Trigrams of everything were rejected:
trigrams of digits overlap, and from many rows the numbers can be put together again without any key.
"""

import re
import unicodedata
from collections.abc import Iterator

from services.intake.domain.order_contacts import Person

MIN_LETTERS, MAX_LETTERS = 2, 8
"""Letters of a beginning that are found; more are compared after decryption."""
MIN_DIGITS, MAX_DIGITS = 4, 9
"""Last digits of a telephone number that are found."""

_PARTS_OF_MAIL = re.compile(r"[^a-z0-9]+")
_SEPARATORS = re.compile(r"[\s・,;]+")
_NO_DIGITS = re.compile(r"[^0-9]")
_TELEPHONE = re.compile(r"[0-9+()\s./-]+")


def plain(text: str) -> str:
    """Return the text without differences of width and case."""
    return unicodedata.normalize("NFKC", text).casefold().strip()


def tokens_of(person: Person) -> frozenset[str]:
    """Return the tokens under which this person is found."""
    found = set(_of_name(person.name))
    for mail in filter(None, (person.email, person.recipient_email)):
        found.update(_of_mail(plain(mail)))
    digits = _NO_DIGITS.sub("", plain(person.phone))
    found.update(f"p:{digits[-length:]}" for length in range(MIN_DIGITS, min(MAX_DIGITS, len(digits)) + 1))
    return frozenset(found)


def _of_name(name: str) -> Iterator[str]:
    for word in _words(name):
        if word.isascii():
            yield from (f"n:{word[:length]}" for length in range(MIN_LETTERS, min(MAX_LETTERS, len(word)) + 1))
        else:
            yield from (f"n:{pair}" for pair in _pairs(word))
    yield from (f"n:{pair}" for pair in _pairs("".join(_words(name))) if not pair.isascii())


def _of_mail(mail: str) -> Iterator[str]:
    local, _, domain = mail.partition("@")
    yield f"m:{mail}"
    yield f"d:{domain}"
    for part in {local, *_PARTS_OF_MAIL.split(local)}:
        yield from (f"l:{part[:length]}" for length in range(MIN_LETTERS + 1, min(MAX_LETTERS, len(part)) + 1))


def _words(text: str) -> list[str]:
    return [word for word in _SEPARATORS.split(plain(text)) if word]


def _pairs(word: str) -> list[str]:
    return [word[place : place + 2] for place in range(len(word) - 1)]


def tokens_of_query(text: str) -> list[frozenset[str]]:
    """Return the sets of tokens of which a person must have one set whole; none for a text that finds no person."""
    sought = plain(text)
    if "@" in sought:
        local, _, domain = sought.partition("@")
        return [frozenset({f"m:{sought}" if local and domain else f"d:{domain}" if domain else f"l:{local[:8]}"})]
    sets: list[frozenset[str]] = []
    digits = _national(sought) if _TELEPHONE.fullmatch(sought) else ""
    if len(digits) >= MIN_DIGITS:
        sets.append(frozenset({f"p:{digits[-MAX_DIGITS:]}"}))
    if len(sought) > MIN_LETTERS and sought.isascii() and " " not in sought and not digits:
        sets.append(frozenset({f"l:{sought[:MAX_LETTERS]}"}))
    names = frozenset(token for word in _words(sought) for token in _of_word(word))
    return [*sets, names] if names and not digits else sets


def _of_word(word: str) -> list[str]:
    if word.isascii():
        return [f"n:{word[:MAX_LETTERS]}"] if len(word) >= MIN_LETTERS else []
    return [f"n:{pair}" for pair in _pairs(word)]


def _national(text: str) -> str:
    """Return the digits of a telephone number, without the leading zero that the international form drops."""
    digits = _NO_DIGITS.sub("", text)
    return digits.removeprefix("0") if len(digits) >= MAX_DIGITS else digits


def _is_end_of(digits: str, phone: str, *, is_international: bool) -> bool:
    """Return whether a number ends with these digits, or is the national form of what they are abroad."""
    known = _NO_DIGITS.sub("", plain(phone))
    national = known.removeprefix("0")
    is_same = is_international and len(national) >= MAX_DIGITS and digits.endswith(national)
    return known.endswith(digits) or is_same


def found_in(person: Person, text: str) -> str | None:
    """Return the field of a person in which this text stands; None where equal hashes misled."""
    sought, name = plain(text), "".join(_words(person.name))
    if any(sought in plain(mail) for mail in (person.email, person.recipient_email) if mail):
        return "mail"
    digits = _national(sought) if _TELEPHONE.fullmatch(sought) else ""
    if digits and _is_end_of(digits, person.phone, is_international=sought.startswith(("+", "00"))):
        return "phone"
    return "name" if sought and all(word in name for word in _words(sought)) else None
