"""Language of a page: chosen on it, known of the customer, or preferred by the browser."""

import pytest
from fastapi import Request

from libs.common.events.values import Language
from libs.common.web.languages import browser_language, page_language


def request(accepted: str, query: str = "") -> Request:
    headers = [(b"accept-language", accepted.encode())]
    return Request({"type": "http", "headers": headers, "query_string": query.encode()})


@pytest.mark.parametrize(
    ("accepted", "language"),
    [
        ("de-AT", "de"),
        ("fr-CH, de;q=0.9, en;q=0.8", "de"),
        ("en;q=0.5, ja;q=0.9", "ja"),
        ("en, de", "en"),
        ("de;q=0, en;q=0.1", "en"),
        ("de;q=much, en;q=0.1", "en"),
        ("fr", "ja"),
        ("*", "ja"),
        ("", "ja"),
    ],
)
def test_the_browsers_first_language_with_texts_is_used(accepted: str, language: str) -> None:
    assert browser_language(request(accepted)) == language


def test_the_language_chosen_on_the_page_comes_first_and_the_customers_second() -> None:
    assert page_language(request("en", "lang=de"), Language.JA) == "de"
    assert page_language(request("en", "lang=xx"), Language.JA) == "ja"
