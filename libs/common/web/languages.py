"""Language of a page."""

from urllib.parse import urlencode

from fastapi import Request

from libs.common.events.values import Language


def browser_language(request: Request) -> Language:
    """Return the supported language that `Accept-Language` prefers; Japanese by default."""
    preferred = request.headers.get("accept-language", "").lower()
    return Language.EN if preferred.startswith("en") else Language.JA


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
