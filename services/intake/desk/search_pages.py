"""The search of the desk: issues and orders by a fragment, grouped.

A search for a person shows names, so viewers find numbers and products only, and every search is recorded: who, when,
how many were found, and a keyed digest of the text, which may itself be a name.
"""

from typing import Annotated
from uuid import uuid4

from fastapi import APIRouter, Query
from fastapi.responses import Response

from libs.common.postgres.column_keys import keys_of
from services.intake.desk.accounts import StaffRole
from services.intake.desk.auth import DeskRoute, Viewer, redirect_to
from services.intake.desk.context import CurrentDesk, Desk
from services.intake.desk.sessions import StaffSession
from services.intake.store.desk import record_action
from services.intake.store.desk_search import FoundIssue, ListedOrder, search_issues, search_orders

MAX_RESULTS = 50

router = APIRouter(include_in_schema=False, route_class=DeskRoute)


@router.get("/desk/search")
async def search(desk: CurrentDesk, session: Viewer, q: Annotated[str, Query(max_length=128)] = "") -> Response:
    text = q.replace("\x00", "").strip()
    issues, orders = await _find(desk, session, text) if text else ([], [])
    if len(issues) == 1 and all(order.order_id == issues[0].order_id for order in orders):
        return redirect_to(f"/desk/issues/{issues[0].issue_id}")
    return desk.renderer.page(
        "search.html", session, active_page="search", text=text, issues=issues, orders=orders,
        may_find_persons=session.may(StaffRole.AGENT), most=MAX_RESULTS,
    )  # fmt: skip


async def _find(desk: Desk, session: StaffSession, text: str) -> tuple[list[FoundIssue], list[ListedOrder]]:
    async with desk.service.pool.acquire() as conn:
        issues = await search_issues(conn, text, MAX_RESULTS)
        orders = await search_orders(conn, text, MAX_RESULTS) if session.may(StaffRole.AGENT) else []
        digest, found = keys_of(conn).digest(text).hex(), f"issues {len(issues)}, orders {len(orders)}"
        await record_action(conn, uuid4(), "search", session.staff, "search", digest, found, desk.service.clock.now())
    return issues, orders
