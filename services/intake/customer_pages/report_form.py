"""Report form, `/r/{token}`: the customer chooses items and a reason, states a wish and adds photos.

A storefront requests the link of an order with its API key (`POST /v1/report-links`) and shows it to the customer, or
embeds the form (EMBED_ORIGINS); without a link the order lookup leads here (`find_order`). A report takes the same path
as any other (`IntakeCommands.report`). Each form carries an idempotency key, so that a repeated submission is one
report. The form lists the issues that its order has already.
"""

import hashlib
from collections.abc import Iterable
from dataclasses import asdict
from datetime import datetime
from typing import Annotated, Any
from uuid import UUID, uuid4

from fastapi import APIRouter, Depends, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from pydantic import BaseModel, ConfigDict, ValidationError

from libs.common.events.storefront import IssueSubmitted
from libs.common.events.values import Identifier, Language, Reason, Reporter
from libs.common.http.api_keys import require_caller
from libs.common.http.idempotency import IdempotencyKey
from libs.common.http.problems import PROBLEM_RESPONSE, Problem
from libs.common.http.signed_links import LinkInvalidError
from libs.common.web.forms import multiline
from libs.common.web.headers import page_headers
from libs.common.web.languages import next_page_query, page_language
from services.intake.customer_pages.context import CurrentPages, CustomerPages
from services.intake.customer_pages.faults import fault_of
from services.intake.customer_pages.links import LISTED_LINK_LIFETIME, ReportSubject
from services.intake.domain.orders import StoredPhoto
from services.intake.http.report_fields import WISHES, chosen_lines, reported_line
from services.intake.store.customer_pages import (
    ListedIssue,
    ReportableLine,
    is_issue_of,
    issues_of_order,
    reportable_lines,
)
from services.intake.store.evidence import record_uploads
from services.intake.store.issues import read_missing_details

_REFUSALS = frozenset(
    {"already_reported", "window_closed", "not_delivered", "too_many_units", "too_many_parts", "unknown_order"}
)
_KNOWN_ISSUE = ("already_reported", "issue_exists")

router = APIRouter(tags=["customers"], default_response_class=HTMLResponse)
api_router = APIRouter(prefix="/v1", tags=["issues"], responses=PROBLEM_RESPONSE)


class ReportLinkRequest(BaseModel):
    """The order of the report form, and its customer."""

    model_config = ConfigDict(extra="forbid")

    order_id: Identifier
    customer_id: Identifier
    language: Language = Language.JA
    reporter: Reporter = Reporter.CUSTOMER
    """Reader of the form; the pages behind a link for a gift's receiver show no money and no points."""


class ReportLink(BaseModel):
    """The URL of the form, and its expiry."""

    url: str
    expires_at: datetime


@api_router.post("/report-links", status_code=201, dependencies=[Depends(require_caller("storefront"))])
async def create_report_link(pages: CurrentPages, wanted: ReportLinkRequest) -> ReportLink:
    """Create a link to the report form of one order, to show to its customer or to embed. Safe to repeat."""
    subject = ReportSubject(wanted.order_id, wanted.customer_id, wanted.language, wanted.reporter)
    url, expires_at = pages.links.report(subject, pages.now())
    return ReportLink(url=url, expires_at=expires_at)


def report_subject(pages: CurrentPages, token: str) -> ReportSubject | None:
    """Dependency: the order of a report link; None if the link is invalid."""
    try:
        return pages.links.read_report(token, pages.now())
    except LinkInvalidError:
        return None


Subject = Annotated[ReportSubject | None, Depends(report_subject)]


@router.get("/r/{token}", summary="The report form of one order; opening it changes nothing")
@router.head("/r/{token}", include_in_schema=False)
async def show(pages: CurrentPages, request: Request, token: str, subject: Subject) -> Response:
    if subject is None:
        return pages.renderer.invalid_link(request, embedded=True)
    return await _form_page(pages, request, token, subject)


@router.post("/r/{token}/report", summary="A report with its photos, from the form")
async def submit(pages: CurrentPages, request: Request, token: str, subject: Subject) -> Response:
    if subject is None:
        return pages.renderer.invalid_link(request, embedded=True)
    fields: dict[str, str] = {}
    async with pages.service.pool.acquire() as conn:  # before the body is read
        lines = await reportable_lines(conn, subject.order_id, subject.customer_id)
    if lines is None:
        return await _form_page(pages, request, token, subject)
    try:
        fields, photos = await pages.receive_form(request, f"order {subject.order_id}")
        submission = _submission(subject, lines, fields, photos)
        issue_id = await _report(pages, subject, submission, fields, photos)
    except ValidationError:
        return await _form_page(pages, request, token, subject, 422, fault="incomplete", fields=fields)
    except Problem as problem:
        if await _leads_to_issue(pages, subject, problem, fields):
            return _redirect_to_confirmation(request, token, UUID(problem.members["issue_id"]), "again")
        fault = problem.code if problem.code in _REFUSALS else fault_of(problem)
        return await _form_page(pages, request, token, subject, problem.status, fault=fault, fields=fields)
    return _redirect_to_confirmation(request, token, issue_id, "new")


@router.get("/r/{token}/sent/{issue_id}", summary="Confirmation of the report")
async def confirmation(
    pages: CurrentPages, request: Request, token: str, subject: Subject, issue_id: UUID, outcome: str = "new"
) -> Response:
    """Show the next steps and the link to the status page."""
    if subject is None:
        return pages.renderer.invalid_link(request, embedded=True)
    async with pages.service.pool.acquire() as conn:
        is_theirs = await is_issue_of(conn, issue_id, subject.order_id, subject.customer_id, subject.reporter)
        missing = await read_missing_details(conn, issue_id) if is_theirs else []
    if not is_theirs:
        return pages.renderer.invalid_link(request, embedded=True)
    return pages.renderer.page(
        "thanks.html", page_language(request, subject.language), embedded=True,
        outcome="new" if outcome == "new" else "again", missing=missing,
        status_url=pages.links.status_from_form(token, issue_id, pages.now(), subject.reporter),
    )  # fmt: skip


async def _leads_to_issue(
    pages: CustomerPages, subject: ReportSubject, problem: Problem, fields: dict[str, str]
) -> bool:
    """Return whether the refusal names an issue of this reader that is all the form is about."""
    if problem.code not in _KNOWN_ISSUE or "issue_id" not in problem.members:
        return False
    if problem.code != "issue_exists" and len(chosen_lines(fields)) != 1:
        return False
    issue_id = UUID(problem.members["issue_id"])
    async with pages.service.pool.acquire() as conn:
        return await is_issue_of(conn, issue_id, subject.order_id, subject.customer_id, subject.reporter)


async def _form_page(
    pages: CustomerPages,
    request: Request,
    token: str,
    subject: ReportSubject,
    status: int = 200,
    *,
    fault: str | None = None,
    fields: dict[str, str] | None = None,
) -> HTMLResponse:
    language, fields = page_language(request, subject.language), fields or {}
    async with pages.service.pool.acquire() as conn:
        lines = await reportable_lines(conn, subject.order_id, subject.customer_id)
        listed = await issues_of_order(conn, subject.order_id, subject.customer_id, subject.reporter)
    if lines is None:
        return pages.renderer.page("closed.html", language, 404, embedded=True, code="unknown_order")
    return pages.renderer.page(
        "report.html", language, status, embedded=True, lines=lines, reasons=list(Reason), fault=fault, fields=fields,
        token=token, wishes=WISHES, issues=[_listed(pages, subject, each) for each in listed],
        key=fields.get("key") or uuid4().hex, max_photos=pages.evidence.max_photos,
    )  # fmt: skip


async def _report(
    pages: CustomerPages,
    subject: ReportSubject,
    submission: IssueSubmitted,
    fields: dict[str, str],
    photos: list[StoredPhoto],
) -> UUID:
    """Store the photos, then submit the report. Raises `Problem`."""
    if photos:
        await pages.service.transact(lambda tx: record_uploads(tx.conn, photos, tx.now))
    fingerprint = hashlib.sha256(submission.model_dump_json().encode()).digest()
    key = IdempotencyKey("report-form", f"{subject.order_id}/{fields.get('key', '')[:64]}", fingerprint)
    answer = await pages.commands.submit(submission, key)
    if answer.status >= 400:
        members: dict[str, Any] = {name: answer.body[name] for name in ("issue_id",) if name in answer.body}
        raise Problem(answer.status, answer.body["code"], answer.body["detail"], **members)
    return UUID(answer.body["issue_id"])


def _submission(
    subject: ReportSubject, lines: Iterable[ReportableLine], fields: dict[str, str], photos: list[StoredPhoto]
) -> IssueSubmitted:
    """Raises `ValidationError`."""
    reason, part = fields.get("reason", ""), fields.get("part", "").strip()[:200]
    known = {line.line_id: line for line in lines}
    reported = [reported_line(known.get(each), each, fields, part, reason) for each in chosen_lines(fields)]
    return IssueSubmitted.model_validate(
        {
            "order_id": subject.order_id,
            "customer_id": subject.customer_id,
            "reason": reason,
            "lines": reported,
            "requested_remedy": fields.get("remedy") or None,
            "description": multiline(fields.get("description", ""), 4000) or None,
            "reported_by": subject.reporter,
            "photos": tuple(dict.fromkeys(photo.sha256 for photo in photos)),
        }
    )


def _listed(pages: CustomerPages, subject: ReportSubject, issue: ListedIssue) -> dict[str, Any]:
    """Return an issue with its link, which lives as long as a customer looks at the list."""
    url = pages.links.status(issue.issue_id, pages.now(), subject.reporter, LISTED_LINK_LIFETIME)
    return {**asdict(issue), "url": url}


def _redirect_to_confirmation(request: Request, token: str, issue_id: UUID, outcome: str) -> Response:
    address = f"../{token}/sent/{issue_id}{next_page_query(request, outcome=outcome)}"
    return RedirectResponse(address, 303, page_headers())
