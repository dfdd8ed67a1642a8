"""Routes of the sign-in by OpenID Connect (see `openid`)."""

import logging
from contextlib import suppress
from datetime import timedelta
from hmac import compare_digest

from fastapi import APIRouter, Request
from fastapi.responses import Response

from libs.common.http.signed_links import LinkInvalidError, Purpose
from libs.common.web.languages import browser_language
from services.intake.desk.auth import DeskRoute, desk_address, redirect_to, session_token, set_session_cookie
from services.intake.desk.context import CurrentDesk, Desk
from services.intake.desk.openid import (
    CALLBACK_PATH,
    OpenIdClient,
    PendingSignIn,
    ProviderAnswerError,
    ProviderUnreachableError,
)
from services.intake.desk.sessions import session_digest

BEGIN_PATH = "/desk/sign-in/openid"
PENDING_LIFETIME = timedelta(minutes=10)
"""Time for the password and the second factor at the provider."""

log = logging.getLogger(__name__)
router = APIRouter(include_in_schema=False, route_class=DeskRoute)


@router.get(BEGIN_PATH)
async def begin(desk: CurrentDesk, request: Request, next: str | None = None) -> Response:
    if desk.openid is None:
        return _refused(desk, request, 404, "no_provider")
    try:
        pending = await desk.openid.begin()
    except ProviderUnreachableError as error:
        return _unreachable(desk, request, error)
    response = redirect_to(pending.address)
    expires_at = desk.service.clock.now() + PENDING_LIFETIME
    cookie = desk.links.token(
        Purpose.OPENID, expires_at, pending.state, pending.nonce, pending.verifier, desk_address(next),
        session_digest(session_token(desk, request)),
    )  # fmt: skip
    # The strict session cookie does not come back with the browser: the earlier session is named here.
    # Lax, not strict: the browser comes back from another site, and has to bring it.
    response.set_cookie(
        _cookie_name(desk), cookie, max_age=int(PENDING_LIFETIME.total_seconds()), httponly=True,
        secure=desk.secure_cookies, samesite="lax", path="/",
    )  # fmt: skip
    return response


@router.get(CALLBACK_PATH)
async def come_back(desk: CurrentDesk, request: Request, state: str = "", code: str = "", error: str = "") -> Response:
    if desk.openid is None:
        return _refused(desk, request, 404, "no_provider")
    pending, next_page, earlier = _pending(desk, request)
    if pending is None or not compare_digest(pending.state.encode(), state.encode()):
        return _refused(desk, request, 400, "openid_expired")
    if error or not code:
        log.info("the identity provider refused a sign-in error=%s", error[:100])
        return _ended(desk, _refused(desk, request, 403, "openid_refused"))
    try:
        return _ended(desk, await _sign_in(desk, desk.openid, request, code[:4000], pending, next_page, earlier))
    except ProviderUnreachableError as unreachable:
        return _ended(desk, _unreachable(desk, request, unreachable))
    except ProviderAnswerError as invalid:
        log.warning("invalid answer of the identity provider error=%.500s", invalid)
        return _ended(desk, _refused(desk, request, 400, "openid_invalid"))


async def _sign_in(
    desk: Desk, openid: OpenIdClient, request: Request, code: str, pending: PendingSignIn, next_page: str, earlier: str
) -> Response:
    identity = await openid.finish(code, pending)
    language = browser_language(request)
    token = await desk.sessions.sign_in_by_provider(identity, language, replaces=earlier)
    if token is None:
        return _refused(desk, request, 403, "no_role")
    # A page that leads on, not a redirect: a browser does not send the strict session cookie along a chain of
    # redirects that another site began.
    return set_session_cookie(desk, desk.renderer.signed_in_page(language, next_page), token)


def _pending(desk: Desk, request: Request) -> tuple[PendingSignIn | None, str, str]:
    """Return the sign-in that was begun, the page that it leads to, and the digest of the browser's earlier session."""
    with suppress(LinkInvalidError, ValueError):
        state, nonce, verifier, next_page, earlier = desk.links.read_until(
            Purpose.OPENID, request.cookies.get(_cookie_name(desk), ""), desk.service.clock.now()
        )
        return PendingSignIn("", state, nonce, verifier), desk_address(next_page), earlier
    return None, "", ""


def _cookie_name(desk: Desk) -> str:
    return "__Host-desk-openid" if desk.secure_cookies else "desk-openid"


def _ended(desk: Desk, response: Response) -> Response:
    """Forget the sign-in that was begun: its code is valid once."""
    response.delete_cookie(_cookie_name(desk), httponly=True, secure=desk.secure_cookies, samesite="lax", path="/")
    return response


def _refused(desk: Desk, request: Request, status: int, fault: str) -> Response:
    return desk.renderer.sign_in_page(browser_language(request), status, next="/desk", fault=fault, name="")


def _unreachable(desk: Desk, request: Request, error: ProviderUnreachableError) -> Response:
    log.error("cannot use the identity provider error=%.500s", error)
    response = _refused(desk, request, 503, "openid_unreachable")
    response.headers["Retry-After"] = "30"
    return response
