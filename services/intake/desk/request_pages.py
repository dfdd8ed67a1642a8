"""Routes of the requests that wait for an answer of the shop: the list, and the answer of staff.

An answer at the desk is published to the storefront's topic like one of the storefront itself; the list changes once
delivery_notify has settled the request.
"""

from typing import Annotated, Any
from uuid import UUID, uuid4

from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import Response

from libs.common.events.change_requests import ChangeAnswer, OrderChangeAnswered
from libs.common.web.forms import parse_uuid, read_form
from services.intake.desk.auth import Agent, DeskRoute, Viewer, redirect_to
from services.intake.desk.context import CurrentDesk
from services.intake.desk.cursors import parse_cursor
from services.intake.store import change_requests
from services.intake.store.desk import record_action
from services.intake.storefronts.api import Webhooks
from services.intake.storefronts.webhook_event import WebhookEvent

MAX_ROWS = 100
REASONS = ("out_of_stock", "already_packed", "not_possible")

router = APIRouter(include_in_schema=False, route_class=DeskRoute)


def _publisher(request: Request) -> Webhooks:
    publisher: Webhooks = request.app.state.webhooks
    return publisher


@router.get("/desk/requests")
async def list_requests(
    desk: CurrentDesk,
    session: Viewer,
    done: str | None = None,
    after: Annotated[str, Query(max_length=300)] = "",
) -> Response:
    cursor = parse_cursor(after)
    async with desk.service.pool.acquire() as conn:
        count = await change_requests.count_requests(conn)
        found = await change_requests.list_requests(conn, MAX_ROWS + 1, cursor[:2] if cursor else None)
    rows, last = found[:MAX_ROWS], found[MAX_ROWS - 1] if len(found) > MAX_ROWS else None
    model: dict[str, Any] = {
        "rows": rows,
        "count": count,
        "now": desk.service.clock.now(),
        "reasons": REASONS,
        "done": done,
        "action_ids": [uuid4() for _ in rows],
        "next_cursor": last and f"{last.due_at.isoformat()}~{last.choice_id}",
    }
    return desk.renderer.page("requests.html", session, active_page="home", **model)


@router.post("/desk/requests/{choice_id}")
async def answer(
    desk: CurrentDesk,
    request: Request,
    session: Agent,
    choice_id: UUID,
    publisher: Annotated[Webhooks, Depends(_publisher)],
) -> Response:
    """Answer a request for the shop; a second answer to the same row is published as a newer one."""
    form, now = await read_form(request), desk.service.clock.now()
    given, reason = form.get("answer", ""), form.get("reason", "")
    async with desk.service.pool.acquire() as conn:
        asked = await change_requests.find_request(conn, choice_id)
    if asked is None:
        return desk.renderer.message(session, "not_open", 409, back="/desk/requests")
    if given not in set(ChangeAnswer) or (given == ChangeAnswer.DECLINED and reason not in REASONS):
        return redirect_to("/desk/requests")
    event = OrderChangeAnswered(
        order_id=asked.order_id,
        request_id=choice_id,
        answer=ChangeAnswer(given),
        reason=reason if given == ChangeAnswer.DECLINED else None,
        answered_at=now,
    )
    action_id = parse_uuid(form.get("action_id")) or choice_id
    await publisher.publish("desk", [WebhookEvent(f"request:{action_id}", event)], action_id.bytes + given.encode())
    async with desk.service.pool.acquire() as conn:
        await record_action(conn, action_id, f"request:{choice_id}", session.staff, f"request_{given}", "", reason, now)
    return redirect_to(f"/desk/requests?done={given}")
