"""Status page, `/s/{token}`: progress of an issue, collection window, and missing details.

Opening the page changes nothing, so that mail scanners may follow the link. The token in the URL authorizes its forms;
no other site knows it, so they need no CSRF token.
"""

from datetime import date
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from libs.common.events.issues import IssueCollectionWindowChosen
from libs.common.events.values import Reporter, TimeWindow
from libs.common.http.problems import Problem
from libs.common.http.signed_links import Purpose
from libs.common.web.carriers import carrier_name
from libs.common.web.forms import multiline, read_form
from libs.common.web.headers import page_headers
from libs.common.web.languages import next_page_query, page_language
from services.intake.customer_pages.context import CurrentPages, CustomerPages
from services.intake.customer_pages.faults import fault_of
from services.intake.customer_pages.milestones import CLOSED
from services.intake.customer_pages.status_view import (
    available_windows,
    build_status_view,
    current_resolution,
    customer_language,
)
from services.intake.domain.projections.withdrawable import can_withdraw
from services.intake.store.customer_pages import item_names, reported_items
from services.intake.store.issues import read_missing_details

router = APIRouter(tags=["customers"], default_response_class=HTMLResponse)


@router.get("/s/{token}", summary="Status of an issue; opening it changes nothing")
@router.head("/s/{token}", include_in_schema=False)
async def show(pages: CurrentPages, request: Request, token: str) -> Response:
    return await _status_page(pages, request, token)


@router.post("/s/{token}/window", summary="The customer's choice of a collection window, from the page's form")
async def choose_window(pages: CurrentPages, request: Request, token: str) -> Response:
    issue, form = await pages.read_linked_issue(Purpose.STATUS, token), await read_form(request)
    if issue is None:
        return pages.renderer.invalid_link(request)
    window = parse_window(form.get("window", ""))
    if window is None or window not in available_windows(
        issue["timeline"], issue["status"], pages.today(), pages.calendars.carrier()
    ):
        return await _status_page(pages, request, token, 422, "window")
    async with pages.service.transaction() as tx:
        chosen = IssueCollectionWindowChosen(
            issue_id=issue["issue_id"],
            order_id=issue["order_id"],
            customer_id=issue["customer_id"],
            window=window,
            chosen_at=tx.now,
        )
        await tx.write([chosen])
    return _redirect_back(request, token, "window")


@router.post("/s/{token}/photos", summary="Missing details of a report, from the page's form")
async def send_details(pages: CurrentPages, request: Request, token: str) -> Response:
    """Accept photos, names of missing parts, and a description."""
    issue = await pages.read_linked_issue(Purpose.STATUS, token)
    if issue is None:
        return pages.renderer.invalid_link(request)
    try:
        fields, photos = await pages.receive_form(request, f"issue {issue['issue_id']}")
        parts = _parts(fields)
        description = multiline(fields.get("description", ""), 4000) or None
        if not (photos or parts or description):
            return await _status_page(pages, request, token, 422, "nothing")
        await pages.commands.provide_details(
            issue["issue_id"],
            photos=tuple(photos),
            parts=parts,
            description=description,
            max_photos=pages.evidence.max_photos,
        )
    except Problem as problem:
        return await _status_page(pages, request, token, problem.status, fault_of(problem))
    return _redirect_back(request, token, "details")


@router.post("/s/{token}/withdraw", summary="The customer takes the report back, from the page's form")
async def withdraw(pages: CurrentPages, request: Request, token: str) -> Response:
    """Withdraw the report as `POST /v1/issues/{issue_id}/withdraw` does, or say what happens instead."""
    issue = await pages.read_linked_issue(Purpose.STATUS, token)
    if issue is None:
        return pages.renderer.invalid_link(request)
    if not _may_withdraw(issue):
        return await _status_page(pages, request, token, 409, "already_left")
    try:
        await pages.commands.withdraw(issue["issue_id"], issue["customer_id"])
    except Problem as problem:
        return await _status_page(pages, request, token, problem.status, fault_of(problem))
    return _redirect_back(request, token, "withdraw")


async def _status_page(
    pages: CustomerPages, request: Request, token: str, status: int = 200, fault: str | None = None
) -> HTMLResponse:
    issue = await _read(pages, token)
    if issue is None:
        return pages.renderer.invalid_link(request)
    timeline = issue["timeline"]
    is_resolved = current_resolution(timeline) is not None
    is_recipient = issue["reader"] == Reporter.RECIPIENT
    return pages.renderer.page(
        "status.html",
        page_language(request, customer_language(timeline)),
        status,
        issue=issue,
        view=build_status_view(
            timeline,
            issue["status"],
            pages.today(),
            pages.calendars.carrier(),
            is_missing_details=bool(issue["missing"]),
            is_recipient=is_recipient,
        ),
        can_withdraw=_may_withdraw(issue),
        is_recipient=is_recipient,
        is_closed=issue["status"] in CLOSED,
        carrier_name=carrier_name,
        survey_url=pages.links.survey(issue["issue_id"], pages.now()) if is_resolved else None,
        token=token,
        done=request.query_params.get("done", ""),
        fault=fault,
    )


async def _read(pages: CustomerPages, token: str) -> dict[str, Any] | None:
    """Return the issue of the link with item names and missing details."""
    issue = await pages.read_linked_issue(Purpose.STATUS, token)
    if issue is None:
        return None
    async with pages.service.pool.acquire() as conn:
        names = await item_names(conn, issue["order_id"])
        items = await reported_items(conn, issue["order_id"], issue["lines"])
        missing = await read_missing_details(conn, issue["issue_id"])
    lines = [{**line, "name": names.get(line["line_id"], line["line_id"])} for line in issue["lines"]]
    return {**issue, "lines": lines, "reported_items": items, "missing": missing}


def _may_withdraw(issue: dict[str, Any]) -> bool:
    """Return whether the reader may take the report back: the receiver of a gift only their own one."""
    is_own = issue["reader"] in (Reporter.CUSTOMER, issue["reported_by"])
    return is_own and can_withdraw(issue["status"], [event["type"] for event in issue["timeline"]])


def _parts(fields: dict[str, str]) -> dict[str, str]:
    """Return the names of missing parts by line id, from fields named `part:<line id>`."""
    parts = {name.removeprefix("part:"): text for name, text in fields.items() if name.startswith("part:")}
    return {line_id: text.strip()[:200] for line_id, text in parts.items() if text.strip()}


def parse_window(text: str) -> TimeWindow | None:
    """Parse `2026-03-12/14-16`; return None for anything else."""
    day, _, hours = text.partition("/")
    begin, _, end = hours.partition("-")
    try:
        return TimeWindow(day=date.fromisoformat(day), from_hour=int(begin), to_hour=int(end))
    except ValueError:
        return None


def _redirect_back(request: Request, token: str, done: str) -> Response:
    # Relative, because a proxy may serve the pages below a path.
    return RedirectResponse(f"../{token}{next_page_query(request, done=done)}", 303, page_headers())
