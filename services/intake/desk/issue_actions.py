"""Routes of staff decisions: choose an action, confirm it, apply it."""

from uuid import UUID, uuid4

from fastapi import APIRouter, Request
from fastapi.responses import Response

from libs.common.web.forms import read_form
from services.intake.desk.auth import Agent, DeskRoute, redirect_to
from services.intake.desk.context import CurrentDesk, Desk
from services.intake.desk.decisions import (
    ActionRequest,
    ClaimedError,
    ConfirmedAction,
    DecisionRefusedError,
    StaleVersionError,
)
from services.intake.desk.replies import Reply
from services.intake.desk.sessions import StaffSession

router = APIRouter(include_in_schema=False, route_class=DeskRoute)


@router.post("/desk/issues/{issue_id}/confirm")
async def confirm(desk: CurrentDesk, request: Request, session: Agent, issue_id: UUID) -> Response:
    """Claim the issue and show the confirmation."""
    model, requested = await desk.models.issue(issue_id, session), ActionRequest.from_form(await read_form(request))
    if model is None:
        return desk.renderer.not_found(session)
    is_available = requested.action in model["actions"]
    if not is_available or not requested.comment:
        fault = "comment_missing" if is_available else "not_available"
        return desk.renderer.page("issue.html", session, 422, done=None, fault=fault, note_id=uuid4(), **model)
    try:
        await desk.decisions.claim(issue_id, session)
    except ClaimedError as error:
        return _claimed_page(desk, session, issue_id, error)
    return desk.renderer.page("confirm.html", session, requested=requested, action_id=uuid4(), **model)


@router.post("/desk/issues/{issue_id}/decide")
async def decide(desk: CurrentDesk, request: Request, session: Agent, issue_id: UUID) -> Response:
    """Apply a confirmed action."""
    confirmed, back = ConfirmedAction.from_form(await read_form(request)), f"/desk/issues/{issue_id}"
    if confirmed is None:
        return redirect_to(back)
    try:
        await desk.decisions.execute(issue_id, session, confirmed)
    except ClaimedError as error:
        return _claimed_page(desk, session, issue_id, error)
    except StaleVersionError:
        return desk.renderer.message(session, "stale", 409, back=back)
    except DecisionRefusedError as error:
        return desk.renderer.message(session, "refused", 409, back=back, reason=str(error))
    return redirect_to(f"{back}?done={confirmed.action.name}")


@router.post("/desk/issues/{issue_id}/notes")
async def note(desk: CurrentDesk, request: Request, session: Agent, issue_id: UUID) -> Response:
    """Keep a note of staff on the issue; customers and the storefront do not see it."""
    if await desk.models.issue(issue_id, session) is None:
        return desk.renderer.not_found(session)
    kept = await desk.reports.note(issue_id, session, await read_form(request))
    return redirect_to(f"/desk/issues/{issue_id}{'?done=note' if kept else ''}")


@router.post("/desk/issues/{issue_id}/reply")
async def preview_reply(desk: CurrentDesk, request: Request, session: Agent, issue_id: UUID) -> Response:
    """Claim the issue and show the reply with its recipient."""
    reply = Reply.from_form(await read_form(request))
    if not reply.text:
        return await _unsent_page(desk, session, issue_id, reply, 422, "reply_missing")
    model = await desk.models.issue(issue_id, session)
    if model is None:
        return desk.renderer.not_found(session)
    try:
        await desk.decisions.claim(issue_id, session)
    except ClaimedError:
        return await _unsent_page(desk, session, issue_id, reply, 409, "reply_claimed")
    return desk.renderer.page("reply.html", session, reply=reply, message_id=uuid4(), **model)


@router.post("/desk/issues/{issue_id}/reply/send")
async def send_reply(desk: CurrentDesk, request: Request, session: Agent, issue_id: UUID) -> Response:
    """Send the reply once, and end the work of the messages that it answers."""
    reply, back = Reply.from_form(await read_form(request)), f"/desk/issues/{issue_id}"
    try:
        is_sent = await desk.replies.send(issue_id, session, reply)
    except ClaimedError:
        return await _unsent_page(desk, session, issue_id, reply, 409, "reply_claimed")
    except StaleVersionError:
        return await _unsent_page(desk, session, issue_id, reply, 409, "reply_stale")
    return redirect_to(f"{back}{'?done=reply' if is_sent else ''}")


async def _unsent_page(
    desk: Desk, session: StaffSession, issue_id: UUID, reply: Reply, status: int, fault: str
) -> Response:
    """Return the issue as it is now, with the words that were not sent in the form."""
    model = await desk.models.issue(issue_id, session)
    if model is None:
        return desk.renderer.not_found(session)
    shown = {**model, "draft": reply.text}
    return desk.renderer.page("issue.html", session, status, done=None, fault=fault, note_id=uuid4(), **shown)


@router.post("/desk/issues/{issue_id}/release")
async def release(desk: CurrentDesk, session: Agent, issue_id: UUID) -> Response:
    """Release the claim."""
    await desk.decisions.release(issue_id, session)
    return redirect_to(f"/desk/issues/{issue_id}")


def _claimed_page(desk: Desk, session: StaffSession, issue_id: UUID, error: ClaimedError) -> Response:
    claim, back = error.claim, f"/desk/issues/{issue_id}"
    return desk.renderer.message(session, "claimed", 409, staff=claim.staff, until=claim.until, back=back)
