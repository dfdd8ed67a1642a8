"""Routes to sign in and out, and to change the language."""

from fastapi import APIRouter, Request
from fastapi.responses import Response

from libs.common.events.values import Language
from libs.common.http.client_network import caller_network
from libs.common.web.forms import is_cross_site, read_form
from libs.common.web.languages import browser_language
from services.intake.desk.auth import (
    SIGN_IN_PATH,
    DeskRoute,
    Viewer,
    clear_session_cookie,
    desk_address,
    device_token,
    redirect_to,
    session_token,
    set_device_cookie,
    set_session_cookie,
)
from services.intake.desk.context import CurrentDesk
from services.intake.desk.sessions import TooManyAttemptsError, WrongPasswordError

RETRY_AFTER_SECONDS = 900

router = APIRouter(include_in_schema=False, route_class=DeskRoute)


@router.get(SIGN_IN_PATH)
async def sign_in_page(desk: CurrentDesk, request: Request, next: str | None = None) -> Response:
    if await desk.sessions.find(session_token(desk, request)):
        return redirect_to(desk_address(next))
    return desk.renderer.sign_in_page(browser_language(request), next=desk_address(next), fault=None, name="")


@router.post(SIGN_IN_PATH)
async def sign_in(desk: CurrentDesk, request: Request) -> Response:
    form, language = await read_form(request), browser_language(request)
    name, next_page = form.get("name", "").strip().lower()[:40], desk_address(form.get("next"))
    address = caller_network(request)
    if is_cross_site(request):
        return desk.renderer.sign_in_page(language, 403, next=next_page, fault="foreign", name="")
    if not desk.renderer.has_passwords:
        return desk.renderer.sign_in_page(language, 403, next=next_page, fault="no_passwords", name="")
    try:
        token = await desk.sessions.sign_in(
            name,
            form.get("password", "")[:200],
            address,
            device=device_token(desk, request),
            replaces=session_token(desk, request),
        )
    except TooManyAttemptsError:
        response = desk.renderer.sign_in_page(language, 429, next=next_page, fault="too_many", name=name)
        response.headers["Retry-After"] = str(RETRY_AFTER_SECONDS)
        return response
    except WrongPasswordError:
        return desk.renderer.sign_in_page(language, 401, next=next_page, fault="wrong", name=name)
    signed_in = set_session_cookie(desk, redirect_to(next_page), token)
    return set_device_cookie(desk, signed_in, desk.sessions.new_device(name))


@router.post("/desk/sign-out")
async def sign_out(desk: CurrentDesk, session: Viewer) -> Response:
    await desk.sessions.sign_out(session)
    return clear_session_cookie(desk, redirect_to(SIGN_IN_PATH))


@router.post("/desk/language")
async def set_language(desk: CurrentDesk, request: Request, session: Viewer) -> Response:
    form = await read_form(request)
    language = form.get("language", "")
    if language in set(Language):
        await desk.sessions.set_language(session, Language(language))
    return redirect_to(desk_address(form.get("next")))
