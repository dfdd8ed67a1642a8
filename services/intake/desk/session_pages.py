"""Page of the open sessions: everybody sees and ends their own, an admin those of all staff."""

import re

from fastapi import APIRouter, Request
from fastapi.responses import Response

from libs.common.web.forms import read_form
from services.intake.desk.auth import DeskRoute, Viewer, redirect_to
from services.intake.desk.context import CurrentDesk

router = APIRouter(include_in_schema=False, route_class=DeskRoute)

_FIELD = re.compile(r"end\.([0-9a-f]{64})")


@router.get("/desk/sessions")
async def show(desk: CurrentDesk, session: Viewer) -> Response:
    return desk.renderer.page("sessions.html", session, sessions=await desk.sessions.list_of(session))


@router.post("/desk/sessions")
async def end(desk: CurrentDesk, request: Request, session: Viewer) -> Response:
    """End the sessions whose boxes are ticked; one that is over already, or another's, changes nothing."""
    chosen = [bytes.fromhex(match[1]) for name in await read_form(request) if (match := _FIELD.fullmatch(name))]
    await desk.sessions.end(session, chosen)
    return redirect_to("/desk/sessions")
