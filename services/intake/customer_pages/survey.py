"""Survey, `/v/{token}`: one question after a resolution, answered from 0 to 10. Opening it changes nothing.

The first answer to a resolution counts. The comment is personal data and stays in a table; the score is published as
`issue.rated`. An unhappy score opens work at the desk.
"""

from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from libs.common.events.issues import IssueRated
from libs.common.http.signed_links import Purpose
from libs.common.runtime.service import ServiceTransaction
from libs.common.web.forms import multiline, read_form
from libs.common.web.headers import page_headers
from libs.common.web.languages import next_page_query, page_language
from services.intake.customer_pages.context import CurrentPages, CustomerPages
from services.intake.customer_pages.status_view import current_resolution, customer_language
from services.intake.domain.projections.work_queue import UNHAPPY_SCORE
from services.intake.store.customer_pages import read_rating, record_rating

MAX_COMMENT_LENGTH = 2000
SCORES = frozenset(str(score) for score in range(11))

router = APIRouter(tags=["customers"], default_response_class=HTMLResponse)


@router.get("/v/{token}", summary="The question after a resolution; opening it changes nothing")
@router.head("/v/{token}", include_in_schema=False)
async def show(pages: CurrentPages, request: Request, token: str) -> Response:
    return await _survey_page(pages, request, token)


@router.post("/v/{token}", summary="The customer's answer, from the page's form")
async def submit(pages: CurrentPages, request: Request, token: str) -> Response:
    issue, form = await pages.read_linked_issue(Purpose.SURVEY, token), await read_form(request)
    if issue is None:
        return pages.renderer.invalid_link(request)
    score, resolution = form.get("score", ""), current_resolution(issue["timeline"])
    if resolution is None or score not in SCORES:
        return await _survey_page(pages, request, token, 422, "score")
    comment = multiline(form.get("comment", ""), MAX_COMMENT_LENGTH) or None
    await _record_rating(pages, issue, resolution, int(score), comment)
    return RedirectResponse(token + next_page_query(request, done="1"), 303, page_headers())


async def _survey_page(
    pages: CustomerPages, request: Request, token: str, status: int = 200, fault: str | None = None
) -> HTMLResponse:
    issue = await pages.read_linked_issue(Purpose.SURVEY, token)
    if issue is None:
        return pages.renderer.invalid_link(request)
    language = page_language(request, customer_language(issue["timeline"]))
    resolution = current_resolution(issue["timeline"])
    if resolution is None:
        return pages.renderer.page("closed.html", language, 409, code="not_resolved")
    async with pages.service.pool.acquire() as conn:
        score = await read_rating(conn, issue["issue_id"], resolution)
    contact_by = pages.calendars.shop.add_open_days(pages.today(), 1)
    return pages.renderer.page(
        "survey.html", language, status, score=score, unhappy=UNHAPPY_SCORE, fault=fault, contact_by=contact_by
    )


async def _record_rating(
    pages: CustomerPages, issue: dict[str, Any], resolution: int, score: int, comment: str | None
) -> None:
    async def record(tx: ServiceTransaction) -> None:
        if await record_rating(tx.conn, issue["issue_id"], resolution, score, comment, tx.now):
            rated = IssueRated(
                issue_id=issue["issue_id"],
                order_id=issue["order_id"],
                customer_id=issue["customer_id"],
                score=score,
                resolution=resolution,
                rated_at=tx.now,
            )
            await tx.write([rated])

    await pages.service.transact(record)
