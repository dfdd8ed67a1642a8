"""The page of one order at the desk: its lines, its issues and its customer."""

from typing import Any

from fastapi import APIRouter
from fastapi.responses import Response

from services.intake.desk.auth import DeskRoute, Viewer
from services.intake.desk.context import CurrentDesk, Desk
from services.intake.desk.customer_panels import open_panel
from services.intake.desk.sessions import StaffSession
from services.intake.store.customer_pages import issues_of_order, reportable_lines
from services.intake.store.customer_panel import customer_of_order

router = APIRouter(include_in_schema=False, route_class=DeskRoute)


@router.get("/desk/orders/{order_id:path}")
async def order(desk: CurrentDesk, session: Viewer, order_id: str) -> Response:
    model = await read_order(desk, session, order_id)
    if model is None:
        return desk.renderer.not_found(session)
    return desk.renderer.page("order.html", session, **model)


async def read_order(desk: Desk, session: StaffSession, order_id: str) -> dict[str, Any] | None:
    """Return the model of the page; None for an order that is not known here."""
    async with desk.service.pool.acquire() as conn:
        customer_id = await customer_of_order(conn, order_id)
        if customer_id is None:
            return None
        lines = await reportable_lines(conn, order_id, customer_id)
        issues = await issues_of_order(conn, order_id, customer_id, "customer")
        panel = await open_panel(conn, desk.service, session, customer_id, order_id)
    return {"order_id": order_id, "customer_id": customer_id, "lines": lines or [], "issues": issues, "panel": panel}
