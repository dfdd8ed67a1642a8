"""Routes of the desk's pages: work queue, issue, photos, sent mails and the change stream."""

from datetime import timedelta
from typing import Annotated
from uuid import UUID, uuid4

from fastapi import APIRouter, Query, Request
from fastapi.responses import RedirectResponse, Response
from sse_starlette import EventSourceResponse

from libs.common.events.values import Sha256
from libs.common.http.signed_links import Purpose
from libs.common.web.headers import page_headers
from services.intake.desk.auth import Agent, DeskRoute, PassiveViewer, Viewer, session_token
from services.intake.desk.context import CurrentDesk
from services.intake.desk.cursors import parse_cursor
from services.intake.http.photos import stream_photo
from services.intake.store.desk import Section, SectionKey
from services.intake.store.evidence import media_type_of

NOTICE_LINK_LIFETIME = timedelta(minutes=5)

router = APIRouter(include_in_schema=False, route_class=DeskRoute)


@router.get("/desk")
async def home(desk: CurrentDesk, session: Viewer) -> Response:
    return desk.renderer.page("home.html", session, active_page="home", **await desk.models.home(session))


@router.get("/desk/work/{section}")
async def work_section(
    desk: CurrentDesk, session: Viewer, section: str, after: Annotated[str, Query(max_length=300)] = ""
) -> Response:
    if section not in set(Section):
        return desk.renderer.not_found(session)
    model = await desk.models.section(Section(section), _section_key(after))
    return desk.renderer.page("section.html", session, active_page="home", **model)


@router.get("/desk/issues/{issue_id}")
async def issue(
    desk: CurrentDesk, session: Viewer, issue_id: UUID, done: str | None = None, response: str = ""
) -> Response:
    """Show an issue; `response` names the canned response from which a reply starts."""
    model = await desk.models.issue(issue_id, session, response)
    if model is None:
        return desk.renderer.not_found(session)
    return desk.renderer.page("issue.html", session, done=done, fault=None, note_id=uuid4(), **model)


@router.get("/desk/live")
async def change_stream(desk: CurrentDesk, request: Request, _: PassiveViewer) -> Response:
    headers = {**page_headers(), "X-Accel-Buffering": "no"}
    return EventSourceResponse(desk.changes.subscribe(session_token(desk, request)), headers=headers, ping=15)


@router.get("/desk/notices/{notice_id}")
async def sent_notice(desk: CurrentDesk, session: Agent, notice_id: UUID) -> Response:
    """Redirect to delivery_notify, which alone holds names and addresses, by a short-lived signed link."""
    if not desk.notices_url:
        return desk.renderer.not_found(session)
    expires = desk.service.clock.now() + NOTICE_LINK_LIFETIME
    token = desk.links.token(Purpose.STAFF_NOTICE, expires, str(notice_id), session.staff)
    return RedirectResponse(f"{desk.notices_url.rstrip('/')}/staff/notices/{token}", 303, page_headers())


@router.get("/desk/issues/{issue_id}/photos/{sha256}")
async def photo(desk: CurrentDesk, _: Viewer, issue_id: UUID, sha256: Sha256, small: bool = False) -> Response:
    async with desk.service.pool.acquire() as conn:
        media_type = await media_type_of(conn, issue_id, sha256)
    return await stream_photo(desk.evidence, sha256, media_type, thumbnail=small)


def _section_key(after: str) -> SectionKey | None:
    """Return the end of the page before; None (the first page) for anything malformed."""
    if (cursor := parse_cursor(after)) is None:
        return None
    due_at, issue_id, rest = cursor
    kind, _, about = rest.partition("~")
    return due_at, issue_id, kind, about
