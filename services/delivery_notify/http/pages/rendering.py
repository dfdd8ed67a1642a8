"""Rendering of the pages with the shop's name."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from fastapi import Request
from fastapi.responses import HTMLResponse

from libs.common.events.values import Language
from libs.common.web import CUSTOMER_ASSETS
from libs.common.web.assets import Assets
from libs.common.web.brand import Brand
from libs.common.web.headers import page_headers
from libs.common.web.languages import page_language
from libs.common.web.templates import Templates
from libs.common.web.translations import Translations, read_translations

TEMPLATES_FOLDER = Path(__file__).with_name("templates")
TRANSLATIONS_FOLDER = Path(__file__).with_name("translations")


@dataclass(frozen=True, slots=True)
class PageRenderer:
    templates: Templates
    assets: Assets
    shop: Brand

    @property
    def translations(self) -> Translations:
        return self.templates.translations

    def page(self, template: str, language: Language, status: int = 200, **values: Any) -> HTMLResponse:
        shown = {"shop": self.shop.name, "logo": self.shop.logo_url, **values}
        headers = page_headers(logo_origin=self.shop.logo_origin)
        return self.templates.response(template, language, shown, headers, status)

    def invalid_link(self, request: Request, code: str) -> HTMLResponse:
        """Return the same page for every invalid link of a kind, so that it reveals no reason."""
        return self.page("closed.html", page_language(request), 404, code=code)


def open_renderer(public_url: str, shop: Brand, zone: ZoneInfo) -> PageRenderer:
    """`public_url` may have a path, below which a proxy serves this service."""
    # Below /c, so that a proxy which routes customer pages of several services by path needs no rule of its own.
    assets = Assets(CUSTOMER_ASSETS, prefix="/c/assets", made=shop.style_sheet()).below(public_url)
    return PageRenderer(Templates(TEMPLATES_FOLDER, read_translations(TRANSLATIONS_FOLDER), assets, zone), assets, shop)
