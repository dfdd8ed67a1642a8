"""Rendering of customer pages with the shop's name and contact."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fastapi import Request
from fastapi.responses import HTMLResponse

from libs.common.events.values import Language
from libs.common.web.brand import Brand
from libs.common.web.headers import page_headers
from libs.common.web.languages import page_language
from libs.common.web.templates import Templates

TEMPLATES_FOLDER = Path(__file__).with_name("templates")
TRANSLATIONS_FOLDER = Path(__file__).with_name("translations")


@dataclass
class CustomerPageRenderer:
    """`embedded_by` are the origins of shops that may show the report form in a frame."""

    templates: Templates
    shop: Brand
    contact: str
    embedded_by: Sequence[str] = ()

    def page(
        self, template: str, language: Language, status: int = 200, *, embedded: bool = False, **values: Any
    ) -> HTMLResponse:
        headers = page_headers(embedded_by=self.embedded_by if embedded else (), logo_origin=self.shop.logo_origin)
        shown = {"shop": self.shop.name, "logo": self.shop.logo_url, "contact": self.contact, **values}
        return self.templates.response(template, language, shown, headers, status)

    def invalid_link(self, request: Request, *, embedded: bool = False) -> HTMLResponse:
        """Return the same page for every invalid link, so that it reveals no reason."""
        return self.page("closed.html", page_language(request), 404, embedded=embedded, code="bad_link")
