"""How the customer's pages answer: one look, the shop's name, and how to reach a person, on every one of them."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fastapi import Request
from fastapi.responses import HTMLResponse

from libs.common.events.values import Language
from services.intake.web.headers import page_headers
from services.intake.web.pages import Pages

TEMPLATES = Path(__file__).with_name("templates")
WORDS = Path(__file__).with_name("words.toml")


@dataclass
class Face:
    pages: Pages
    shop: str
    contact: str
    embedded_by: Sequence[str] = ()

    def show(
        self, template: str, language: Language, status: int = 200, *, embedded: bool = False, **values: Any
    ) -> HTMLResponse:
        headers = page_headers(embedded_by=self.embedded_by if embedded else ())
        shown = {"shop": self.shop, "contact": self.contact, **values}
        return self.pages.html(template, language, shown, headers, status)

    def closed(self, request: Request, *, embedded: bool = False) -> HTMLResponse:
        """There is nothing to see behind this link; why is not said, so that nobody learns from it."""
        return self.show("closed.html", asked_language(request), 404, embedded=embedded, code="bad_link")


def kept_language(request: Request) -> str:
    """The language that the reader chose on the page, as a query for the next one."""
    chosen = request.query_params.get("lang", "")
    return f"&lang={chosen}" if chosen in set(Language) else ""


def asked_language(request: Request, known: Language | None = None) -> Language:
    """What the reader chose on the page, else what we know of them, else what their browser asks for."""
    chosen = request.query_params.get("lang", "")
    if chosen in set(Language):
        return Language(chosen)
    browser = Language.EN if request.headers.get("accept-language", "").lower().startswith("en") else Language.JA
    return known or browser
