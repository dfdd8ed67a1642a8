"""The desk's pages to look at, and signing in and out. Every route names the least role that may see it."""

from datetime import UTC, datetime, timedelta
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import RedirectResponse, Response
from sse_starlette import EventSourceResponse

from libs.common.events.values import Language, Sha256
from libs.common.http.signed_links import Purpose, SignedLinks
from libs.common.runtime.service import Service
from services.intake.cli.staff import StaffRole
from services.intake.desk.auth import SIGN_IN, DeskRoute, Guard, form_of, inside, is_foreign, see
from services.intake.desk.change_stream import Live
from services.intake.desk.page_models import Views
from services.intake.desk.rendering import Face, language_of
from services.intake.desk.sessions import Session, TooManyAttemptsError, WrongPasswordError
from services.intake.evidence.uploads import EvidenceUploads
from services.intake.http.photos import stream_photo
from services.intake.store.desk import Section
from services.intake.store.evidence import media_type_of
from services.intake.web.headers import page_headers

MAIL_LINK_LIVES = timedelta(minutes=5)


def sign_in_routes(face: Face, guard: Guard) -> APIRouter:
    router = APIRouter(include_in_schema=False, route_class=DeskRoute)
    anybody = guard.least(StaffRole.VIEWER)

    @router.get(SIGN_IN)
    async def door(request: Request, next: str | None = None) -> Response:
        if await guard.sessions.find(request.cookies.get(guard.cookie)):
            return see(inside(next))
        return face.outside(language_of(request), next=inside(next), fault=None, name="")

    @router.post(SIGN_IN)
    async def enter(request: Request) -> Response:
        form, language = await form_of(request), language_of(request)
        name, onward = form.get("name", "").strip().lower()[:40], inside(form.get("next"))
        address = request.client.host if request.client else ""
        if is_foreign(request):
            return face.outside(language, 403, next=onward, fault="foreign", name="")
        try:
            before = request.cookies.get(guard.cookie)
            token = await guard.sessions.sign_in(name, form.get("password", "")[:200], address, before)
        except TooManyAttemptsError:
            answer = face.outside(language, 429, next=onward, fault="too_many", name=name)
            answer.headers["Retry-After"] = "900"
            return answer
        except WrongPasswordError:
            return face.outside(language, 401, next=onward, fault="wrong", name=name)
        return guard.let_in(see(onward), token)

    @router.post("/desk/sign-out")
    async def leave(session: Annotated[Session, Depends(anybody)]) -> Response:
        await guard.sessions.sign_out(session)
        return guard.let_out(see(SIGN_IN))

    @router.post("/desk/language")
    async def speak(request: Request, session: Annotated[Session, Depends(anybody)]) -> Response:
        form = await form_of(request)
        wanted = form.get("language", "")
        if wanted in set(Language):
            await guard.sessions.speak(session, Language(wanted))
        return see(inside(form.get("next")))

    return router


def page_routes(face: Face, guard: Guard, views: Views, live: Live) -> APIRouter:
    router = APIRouter(include_in_schema=False, route_class=DeskRoute)
    Anybody = Annotated[Session, Depends(guard.least(StaffRole.VIEWER))]  # noqa: N806 - a type
    Listener = Annotated[Session, Depends(guard.least(StaffRole.VIEWER, active=False))]  # noqa: N806

    @router.get("/desk")
    async def home(session: Anybody) -> Response:
        return face.show("home.html", session, here="home", **await views.home(session))

    @router.get("/desk/work/{section}")
    async def section(session: Anybody, section: str, after: Annotated[str, Query(max_length=100)] = "") -> Response:
        if section not in set(Section):
            return face.missing(session)
        return face.show("section.html", session, here="home", **await views.section(Section(section), _place(after)))

    @router.get("/desk/issues/{issue_id}")
    async def issue(session: Anybody, issue_id: UUID, done: str | None = None) -> Response:
        shown = await views.issue(issue_id, session)
        if shown is None:
            return face.missing(session)
        return face.show("issue.html", session, done=done, fault=None, **shown)

    @router.get("/desk/search")
    async def search(session: Anybody, q: Annotated[str, Query(max_length=128)] = "") -> Response:
        text = q.strip()
        found = await views.search(text) if text else []
        if len(found) == 1:
            return see(f"/desk/issues/{found[0].issue_id}")
        return face.show("search.html", session, here="search", text=text, found=found)

    @router.get("/desk/live")
    async def listen(request: Request, session: Listener) -> Response:
        headers = {**page_headers(), "X-Accel-Buffering": "no"}
        return EventSourceResponse(live.listen(request.cookies.get(guard.cookie)), headers=headers, ping=15)

    return router


def mail_routes(face: Face, guard: Guard, views: Views, links: SignedLinks, notices_url: str | None) -> APIRouter:
    """Mails as they were sent: they hold names and addresses, so they stay with delivery_notify, which shows one
    mail to the one who holds a link that is signed for it and lives some minutes."""
    router = APIRouter(include_in_schema=False, route_class=DeskRoute)
    Agent = Annotated[Session, Depends(guard.least(StaffRole.AGENT))]  # noqa: N806 - a type

    @router.get("/desk/notices/{notice_id}")
    async def mail(session: Agent, notice_id: UUID) -> Response:
        if not notices_url:
            return face.missing(session)
        expires = views.service.clock.now() + MAIL_LINK_LIVES
        token = links.token(Purpose.STAFF_NOTICE, expires, str(notice_id), session.staff)
        return RedirectResponse(f"{notices_url.rstrip('/')}/staff/notices/{token}", 303, page_headers())

    return router


def photo_routes(guard: Guard, service: Service, evidence: EvidenceUploads) -> APIRouter:
    router = APIRouter(include_in_schema=False, route_class=DeskRoute)
    Anybody = Annotated[Session, Depends(guard.least(StaffRole.VIEWER))]  # noqa: N806 - a type

    @router.get("/desk/issues/{issue_id}/photos/{sha256}")
    async def photo(session: Anybody, issue_id: UUID, sha256: Sha256, small: bool = False) -> Response:
        async with service.pool.acquire() as conn:
            media_type = await media_type_of(conn, issue_id, sha256)
        return await stream_photo(evidence, sha256, media_type, thumbnail=small)

    return router


def _place(after: str) -> tuple[datetime, UUID] | None:
    """Where the page before ended; from the start for what is not such a place."""
    moment, _, issue_id = after.partition("~")
    try:
        at, known = datetime.fromisoformat(moment), UUID(issue_id)
    except ValueError:
        return None
    return (at if at.tzinfo else at.replace(tzinfo=UTC)), known
