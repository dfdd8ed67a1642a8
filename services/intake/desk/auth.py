"""Access control of the desk: a session cookie, a minimum role per route, and CSRF checks of forms."""

from collections.abc import Awaitable, Callable, Coroutine
from typing import Annotated, Any
from urllib.parse import quote

from fastapi import Depends, Request
from fastapi.responses import RedirectResponse, Response
from fastapi.routing import APIRoute

from libs.common.web.forms import MAX_STAFF_FIELDS, is_cross_site, read_form
from libs.common.web.headers import page_headers
from services.intake.desk.accounts import StaffRole
from services.intake.desk.context import Desk, current_desk
from services.intake.desk.sessions import DEVICE_LIFETIME, StaffSession

SIGN_IN_PATH = "/desk/sign-in"


class AccessDeniedError(Exception):
    """The caller may not use the route; `response` is the answer."""

    def __init__(self, response: Response) -> None:
        super().__init__(str(response.status_code))
        self.response = response


class DeskRoute(APIRoute):
    """A route that answers with the response of an `AccessDeniedError`."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handler = super().get_route_handler()

        async def handle(request: Request) -> Response:
            try:
                return await handler(request)
            except AccessDeniedError as denied:
                return denied.response

        return handle


def require_role(role: StaffRole, *, active: bool = True) -> Callable[[Request], Awaitable[StaffSession]]:
    """Return a FastAPI dependency that yields the session of a member of staff with at least this role.

    Raises `AccessDeniedError`. `active`: the request prolongs the session.
    """

    async def session(request: Request) -> StaffSession:
        desk = current_desk(request)
        found = await desk.sessions.find(session_token(desk, request), active=active)
        if found is None:
            raise AccessDeniedError(_redirect_to_sign_in(request))
        if not found.may(role) or (request.method not in ("GET", "HEAD") and await _is_forged(request, found)):
            raise AccessDeniedError(desk.renderer.forbidden(found))
        return found

    return session


Viewer = Annotated[StaffSession, Depends(require_role(StaffRole.VIEWER))]
PassiveViewer = Annotated[StaffSession, Depends(require_role(StaffRole.VIEWER, active=False))]
Agent = Annotated[StaffSession, Depends(require_role(StaffRole.AGENT))]
Admin = Annotated[StaffSession, Depends(require_role(StaffRole.ADMIN))]


async def _is_forged(request: Request, session: StaffSession) -> bool:
    form = await read_form(request, MAX_STAFF_FIELDS)
    return is_cross_site(request) or not session.has_csrf_token(form.get("csrf", ""))


def _cookie_name(desk: Desk) -> str:
    # The prefix makes browsers accept the cookie from this host only, over TLS.
    return "__Host-desk" if desk.secure_cookies else "desk"


def session_token(desk: Desk, request: Request) -> str | None:
    return request.cookies.get(_cookie_name(desk))


def set_session_cookie(desk: Desk, response: Response, token: str) -> Response:
    response.set_cookie(
        _cookie_name(desk), token, httponly=True, secure=desk.secure_cookies, samesite="strict", path="/"
    )
    return response


def _device_cookie_name(desk: Desk) -> str:
    return "__Host-desk-device" if desk.secure_cookies else "desk-device"


def device_token(desk: Desk, request: Request) -> str | None:
    return request.cookies.get(_device_cookie_name(desk))


def set_device_cookie(desk: Desk, response: Response, token: str) -> Response:
    """Mark this browser as known; the cookie survives the session and signs nobody in."""
    response.set_cookie(
        _device_cookie_name(desk), token, max_age=int(DEVICE_LIFETIME.total_seconds()), httponly=True,
        secure=desk.secure_cookies, samesite="strict", path="/",
    )  # fmt: skip
    return response


def clear_session_cookie(desk: Desk, response: Response) -> Response:
    response.delete_cookie(_cookie_name(desk), httponly=True, secure=desk.secure_cookies, samesite="strict", path="/")
    response.headers["Clear-Site-Data"] = '"cache"'
    return response


def _redirect_to_sign_in(request: Request) -> Response:
    address = request.url.path + (f"?{request.url.query}" if request.url.query else "")
    next_ = f"?next={quote(address, safe='')}" if request.method == "GET" and address != "/desk" else ""
    return redirect_to(SIGN_IN_PATH + next_)


def redirect_to(address: str) -> RedirectResponse:
    """Redirect to a page by GET."""
    return RedirectResponse(address, 303, page_headers())


def desk_address(address: str | None) -> str:
    """Return an address of the desk unchanged, and its first page for anything else (open redirects)."""
    if address and (address == "/desk" or address.startswith(("/desk/", "/desk?"))) and "\\" not in address:
        return address
    return "/desk"
