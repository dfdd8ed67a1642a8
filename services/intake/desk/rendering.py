"""How the desk answers: a template, with what every page of it shows, for the one who is signed in."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fastapi import Request
from fastapi.responses import HTMLResponse, Response

from libs.common.events.values import Language
from services.intake.desk.sessions import Session
from services.intake.web.headers import page_headers
from services.intake.web.pages import Pages

TEMPLATES = Path(__file__).with_name("templates")
WORDS = Path(__file__).with_name("words.toml")


@dataclass
class Face:
    pages: Pages
    shop: str

    def show(self, template: str, session: Session, status: int = 200, **values: Any) -> HTMLResponse:
        shown: Mapping[str, Any] = {"session": session, "shop": self.shop, "here": "", **values}
        return self.pages.html(template, session.language, shown, page_headers(), status)

    def outside(self, language: Language, status: int = 200, **values: Any) -> HTMLResponse:
        """The page for those who are not signed in."""
        shown = {"shop": self.shop, "session": None, "here": "", **values}
        return self.pages.html("sign_in.html", language, shown, page_headers(), status)

    def message(self, session: Session, code: str, status: int, **values: Any) -> HTMLResponse:
        """A page with one sentence, and the way back."""
        return self.show("message.html", session, status, code=code, values=values, back=values.pop("back", "/desk"))

    def forbidden(self, session: Session) -> Response:
        return self.message(session, "forbidden", 403)

    def missing(self, session: Session) -> Response:
        return self.message(session, "missing", 404)


def language_of(request: Request) -> Language:
    """The language that a browser asks for, before anybody is known."""
    asked = request.headers.get("accept-language", "").lower()
    return Language.EN if asked.startswith("en") else Language.JA
