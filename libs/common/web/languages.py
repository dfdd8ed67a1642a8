"""Language of a page."""

from urllib.parse import urlencode

from fastapi import Request

from libs.common.events.values import Language
from libs.common.locales import find_language

_MAX_LANGUAGES = 20
"""Entries of `Accept-Language` that are read; browsers send fewer than ten."""


def browser_language(request: Request) -> Language:
    """Return the first language of `Accept-Language`, by its weights, that there are texts in; else Japanese."""
    accepted = map(_weighted, request.headers.get("accept-language", "").split(",")[:_MAX_LANGUAGES])
    for weight, tag in sorted(accepted, key=lambda each: -each[0]):
        if weight > 0 and (found := find_language(tag)):
            return Language(found)
    return Language.JA


def _weighted(entry: str) -> tuple[float, str]:
    """Return weight and tag of one entry, such as `de-AT;q=0.8`; weight 0 for a malformed one."""
    tag, _, parameter = entry.partition(";")
    name, _, weight = parameter.strip().partition("=")
    if name.strip() != "q":
        return 1.0, tag
    try:
        return float(weight), tag
    except ValueError:
        return 0.0, tag


def chosen_language(request: Request) -> Language | None:
    """Return the language chosen on the page, the query parameter `lang`."""
    chosen = request.query_params.get("lang", "")
    return Language(chosen) if chosen in set(Language) else None


def page_language(request: Request, known: Language | None = None) -> Language:
    """Return the language chosen on the page, else the customer's known language, else the browser's."""
    return chosen_language(request) or known or browser_language(request)


def next_page_query(request: Request, **parameters: str) -> str:
    """Return the query string of the next page: these parameters, and the language where one was chosen."""
    chosen = chosen_language(request)
    query = urlencode({**parameters, **({"lang": chosen} if chosen else {})})
    return f"?{query}" if query else ""
