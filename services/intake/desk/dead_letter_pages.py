"""Routes of dead letters. They may contain addresses, so they require the role admin."""

from datetime import datetime
from typing import Any
from uuid import uuid4

from fastapi import APIRouter, Request
from fastapi.responses import Response

from libs.common.runtime.ops_api import MAX_ID
from libs.common.web.forms import multiline, read_form
from services.intake.desk.auth import Admin, DeskRoute, redirect_to
from services.intake.desk.context import CurrentDesk, Desk
from services.intake.desk.dead_letters import OpsUnreachableError
from services.intake.desk.decisions import MAX_COMMENT_LENGTH
from services.intake.desk.sessions import StaffSession
from services.intake.store.desk import record_action

ACTIONS = ("replay", "discard")

router = APIRouter(include_in_schema=False, route_class=DeskRoute)


@router.get("/desk/dead-letters")
async def list_dead_letters(desk: CurrentDesk, session: Admin, done: str | None = None) -> Response:
    listings = await desk.dead_letters.list_all()
    return desk.renderer.page("dead_letters.html", session, active_page="dead_letters", listings=listings, done=done)


@router.get("/desk/dead-letters/{owner}/{dead_letter_id}")
async def show_dead_letter(desk: CurrentDesk, session: Admin, owner: str, dead_letter_id: int) -> Response:
    return await _page(desk, session, owner, dead_letter_id)


@router.post("/desk/dead-letters/{owner}/{dead_letter_id}/confirm")
async def confirm(desk: CurrentDesk, request: Request, session: Admin, owner: str, dead_letter_id: int) -> Response:
    form = await read_form(request)
    requested = {"action": form.get("action", ""), "comment": _comment(form)}
    if requested["action"] not in ACTIONS or not requested["comment"]:
        return await _page(desk, session, owner, dead_letter_id, 422, fault="comment_missing")
    return await _page(desk, session, owner, dead_letter_id, requested=requested)


@router.post("/desk/dead-letters/{owner}/{dead_letter_id}/{action}")
async def resolve(
    desk: CurrentDesk, request: Request, session: Admin, owner: str, dead_letter_id: int, action: str
) -> Response:
    """Replay or discard a dead letter."""
    comment = _comment(await read_form(request))
    known = owner in desk.dead_letters.services and _is_id(dead_letter_id)
    if action not in ACTIONS or not comment or not known:
        return desk.renderer.not_found(session)
    try:
        resolved = await desk.dead_letters.resolve(owner, dead_letter_id, action, session.staff)
    except OpsUnreachableError:
        return _unreachable_page(desk, session, owner)
    if not resolved:
        return desk.renderer.message(session, "not_open", 409, back="/desk/dead-letters")
    subject = f"dead_letter:{owner}:{dead_letter_id}"
    async with desk.service.pool.acquire() as conn:
        await record_action(conn, uuid4(), subject, session.staff, action, "", comment, desk.service.clock.now())
    return redirect_to(f"/desk/dead-letters?done={action}")


def _comment(form: dict[str, str]) -> str:
    return multiline(form.get("comment", ""), MAX_COMMENT_LENGTH)


async def _page(
    desk: Desk,
    session: StaffSession,
    owner: str,
    dead_letter_id: int,
    status: int = 200,
    *,
    requested: dict[str, str] | None = None,
    fault: str | None = None,
) -> Response:
    try:
        found = await _find(desk, owner, dead_letter_id)
    except OpsUnreachableError:
        return _unreachable_page(desk, session, owner)
    if found is None:
        return desk.renderer.not_found(session)
    dead_letter = {**found, "stored_at": datetime.fromisoformat(found["stored_at"])}
    return desk.renderer.page(
        "dead_letter.html", session, status, active_page="dead_letters", owner=owner, dead_letter=dead_letter,
        requested=requested, fault=fault,
    )  # fmt: skip


def _is_id(number: int) -> bool:
    return 0 < number <= MAX_ID


async def _find(desk: Desk, owner: str, dead_letter_id: int) -> dict[str, Any] | None:
    if owner not in desk.dead_letters.services or not _is_id(dead_letter_id):
        return None
    return await desk.dead_letters.find(owner, dead_letter_id)


def _unreachable_page(desk: Desk, session: StaffSession, owner: str) -> Response:
    return desk.renderer.message(session, "unreachable", 502, service=owner, back="/desk/dead-letters")
