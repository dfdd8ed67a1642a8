"""Rendering of desk pages for the signed-in member of staff."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fastapi.responses import HTMLResponse, Response

from libs.common.events.values import Language
from libs.common.web.headers import page_headers
from libs.common.web.templates import Templates
from services.intake.desk.sessions import StaffSession

TEMPLATES_FOLDER = Path(__file__).with_name("templates")
TRANSLATIONS_FILE = Path(__file__).with_name("translations.toml")


@dataclass
class DeskRenderer:
    templates: Templates
    shop: str
    has_passwords: bool = True
    has_openid: bool = False

    def page(self, template: str, session: StaffSession, status: int = 200, **values: Any) -> HTMLResponse:
        shown = {"session": session, "shop": self.shop, "active_page": "", **values}
        return self.templates.response(template, session.language, shown, page_headers(), status)

    def sign_in_page(self, language: Language, status: int = 200, **values: Any) -> HTMLResponse:
        ways = {"has_passwords": self.has_passwords, "has_openid": self.has_openid}
        shown = {"shop": self.shop, "session": None, "active_page": "", **ways, **values}
        return self.templates.response("sign_in.html", language, shown, page_headers(), status)

    def signed_in_page(self, language: Language, next_page: str) -> HTMLResponse:
        """Return a page that leads on to `next_page` at once."""
        shown = {"shop": self.shop, "session": None, "active_page": "", "next": next_page}
        return self.templates.response("signed_in.html", language, shown, page_headers())

    def message(
        self, session: StaffSession, code: str, status: int, *, back: str = "/desk", **values: Any
    ) -> HTMLResponse:
        """Return a page with one sentence and a link back."""
        return self.page("message.html", session, status, code=code, values=values, back=back)

    def forbidden(self, session: StaffSession) -> Response:
        return self.message(session, "forbidden", 403)

    def not_found(self, session: StaffSession) -> Response:
        return self.message(session, "not_found", 404)
