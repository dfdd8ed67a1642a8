"""The door of the desk: every route names the least role that may use it, and forms prove where they come from."""

from collections.abc import Awaitable, Callable, Coroutine, Mapping
from typing import Any
from urllib.parse import parse_qs, quote

from fastapi import Request
from fastapi.responses import RedirectResponse, Response
from fastapi.routing import APIRoute

from services.intake.cli.staff import StaffRole
from services.intake.desk.sessions import Session, Sessions
from services.intake.web.headers import page_headers

SIGN_IN = "/desk/sign-in"


class TurnedAwayError(Exception):
    """The request ends here, with this answer."""

    def __init__(self, response: Response) -> None:
        super().__init__(str(response.status_code))
        self.response = response


class DeskRoute(APIRoute):
    """A route whose dependencies may end the request with a page of their own."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handler = super().get_route_handler()

        async def handle(request: Request) -> Response:
            try:
                return await handler(request)
            except TurnedAwayError as away:
                return away.response

        return handle


class Guard:
    """Finds the session of a request, and turns away who has none or may not."""

    def __init__(self, sessions: Sessions, *, secure: bool, forbidden: Callable[[Session], Response]) -> None:
        self.sessions, self._secure, self._forbidden = sessions, secure, forbidden
        # The prefix makes browsers refuse the cookie from anybody but this very host, over TLS.
        self.cookie = "__Host-desk" if secure else "desk"

    def least(self, role: StaffRole, *, active: bool = True) -> Callable[[Request], Awaitable[Session]]:
        """A dependency: the session, whose role is this one or a higher one."""

        async def session(request: Request) -> Session:
            found = await self.sessions.find(request.cookies.get(self.cookie), active=active)
            if found is None:
                raise TurnedAwayError(_to_sign_in(request))
            if not found.may(role):
                raise TurnedAwayError(self._forbidden(found))
            if request.method not in ("GET", "HEAD"):
                await self._check_form(request, found)
            return found

        return session

    async def _check_form(self, request: Request, session: Session) -> None:
        if is_foreign(request) or not session.is_from((await form_of(request)).get("csrf", "")):
            raise TurnedAwayError(self._forbidden(session))

    def let_in(self, response: Response, token: str) -> Response:
        response.set_cookie(self.cookie, token, httponly=True, secure=self._secure, samesite="strict", path="/")
        return response

    def let_out(self, response: Response) -> Response:
        response.delete_cookie(self.cookie, httponly=True, secure=self._secure, samesite="strict", path="/")
        response.headers["Clear-Site-Data"] = '"cache"'
        return response


def is_foreign(request: Request) -> bool:
    """Whether a browser says that another site sent this form; older ones say nothing, and have the token only."""
    return request.headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none")


async def form_of(request: Request) -> dict[str, str]:
    """The fields of a form; the first of each name, nothing where it is no form."""
    try:
        fields = parse_qs((await request.body()).decode(), max_num_fields=50)
    except ValueError:
        return {}
    return {name: values[0] for name, values in fields.items()}


def _to_sign_in(request: Request) -> Response:
    here = request.url.path + (f"?{request.url.query}" if request.url.query else "")
    back = f"?next={quote(here, safe='')}" if request.method == "GET" and here != "/desk" else ""
    return see(SIGN_IN + back)


def see(address: str, headers: Mapping[str, str] | None = None) -> RedirectResponse:
    """Go on to this page, by GET."""
    return RedirectResponse(address, 303, {**page_headers(), **(headers or {})})


def inside(address: str | None) -> str:
    """An address of the desk to go on to; anything else would send people to foreign places."""
    if address and (address == "/desk" or address.startswith(("/desk/", "/desk?"))) and "\\" not in address:
        return address
    return "/desk"
