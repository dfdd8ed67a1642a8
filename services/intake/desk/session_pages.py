"""Page of the open sessions: everybody sees and ends their own, an admin those of all staff."""

import re
from typing import Annotated

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response

from libs.common.web.forms import read_form
from services.intake.desk.auth import DeskRoute, Viewer, redirect_to
from services.intake.desk.context import CurrentDesk

router = APIRouter(include_in_schema=False, route_class=DeskRoute)

_FIELD = re.compile(r"end\.([0-9a-f]{64})")


@router.get("/desk/sessions")
async def show(desk: CurrentDesk, session: Viewer, offset: Annotated[int, Query(ge=0, le=100_000)] = 0) -> Response:
    shown, more = await desk.sessions.list_of(session, offset)
    next_offset = offset + len(shown) if more else None
    return desk.renderer.page("sessions.html", session, sessions=shown, next_offset=next_offset)


@router.post("/desk/sessions")
async def end(desk: CurrentDesk, request: Request, session: Viewer) -> Response:
    """End the sessions whose boxes are ticked; one that is over already, or another's, changes nothing."""
    chosen = [bytes.fromhex(match[1]) for name in await read_form(request) if (match := _FIELD.fullmatch(name))]
    await desk.sessions.end(session, chosen)
    return redirect_to("/desk/sessions")
