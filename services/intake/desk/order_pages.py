"""The page of one order at the desk: its lines, its issues and its customer, and a report for a caller."""

from typing import Any
from uuid import uuid4

from fastapi import APIRouter, Request
from fastapi.responses import Response

from libs.common.events.values import Reason
from libs.common.web.forms import MAX_STAFF_FIELDS, read_form
from services.intake.desk.accounts import StaffRole
from services.intake.desk.auth import Agent, DeskRoute, Viewer, redirect_to
from services.intake.desk.caller_reports import ReportIncompleteError, ReportRefusedError
from services.intake.desk.context import CurrentDesk, Desk
from services.intake.desk.customer_panels import open_panel
from services.intake.desk.sessions import StaffSession
from services.intake.http.report_fields import WISHES
from services.intake.store.customer_pages import issues_of_order, reportable_lines
from services.intake.store.customer_panel import customer_of_order

router = APIRouter(include_in_schema=False, route_class=DeskRoute)


@router.post("/desk/orders/{order_id:path}/reports")
async def file_report(desk: CurrentDesk, request: Request, session: Agent, order_id: str) -> Response:
    """File a report for a caller; a refusal shows the form again with its reason and what was entered."""
    form, model = await read_form(request, MAX_STAFF_FIELDS), await read_order(desk, session, order_id)
    if model is None:
        return desk.renderer.not_found(session)
    fault, refusal, status = "report_incomplete", "", 422
    try:
        issue_id = await desk.reports.file(order_id, model["customer_id"], session, form)
        return redirect_to(f"/desk/issues/{issue_id}?done=filed")
    except ReportIncompleteError:
        pass
    except ReportRefusedError as error:
        fault, refusal, status = "report_refused", str(error), 409
    return _page(desk, session, status, {**model, "fields": form, "fault": fault, "refusal": refusal})


@router.get("/desk/orders/{order_id:path}")
async def order(desk: CurrentDesk, session: Viewer, order_id: str) -> Response:
    model = await read_order(desk, session, order_id)
    return _page(desk, session, 200, model) if model else desk.renderer.not_found(session)


def _page(desk: Desk, session: StaffSession, status: int, model: dict[str, Any]) -> Response:
    shown = {"fields": {}, "fault": None, "refusal": "", **model}
    may_file = session.may(StaffRole.AGENT)
    return desk.renderer.page(
        "order.html",
        session,
        status,
        may_file=may_file,
        reasons=list(Reason),
        wishes=WISHES,
        action_id=uuid4(),
        **shown,
    )


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
