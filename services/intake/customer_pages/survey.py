"""The survey, `/v/{token}`: one question after a resolution, 0 to 10, and comment. Opening it changes nothing.

The first answer to a resolution stands. Why stays in our table, for it is the customer's own text; the score becomes
`issue.rated`, which feeds the insights, and an unhappy one waits at the desk until somebody has talked to them.
"""

from dataclasses import dataclass
from datetime import date
from typing import Any
from uuid import UUID

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from libs.common.decisions.shop_calendar import ShopCalendar
from libs.common.events.issues import IssueRated
from libs.common.http.signed_links import LinkInvalidError, Purpose
from libs.common.runtime.service import Service
from services.intake.customer_pages.forms import fields_of
from services.intake.customer_pages.links import CustomerLinks
from services.intake.customer_pages.rendering import Face, asked_language, kept_language
from services.intake.customer_pages.status_view import language_of, resolution_of
from services.intake.projections.work_queue import UNHAPPY_SCORE
from services.intake.store import customer_pages as store
from services.intake.store import issues as intake_store
from services.intake.web.headers import page_headers

LONGEST_WHY = 2000


@dataclass
class Survey:
    service: Service
    links: CustomerLinks
    face: Face
    calendar: ShopCalendar

    async def show(self, request: Request, token: str, status: int = 200, fault: str | None = None) -> HTMLResponse:
        issue = await self._issue(token)
        if issue is None:
            return self.face.closed(request)
        language, resolution = asked_language(request, language_of(issue["timeline"])), resolution_of(issue["timeline"])
        if resolution is None:
            return self.face.show("closed.html", language, 409, code="not_resolved")
        async with self.service.pool.acquire() as conn:
            score = await store.read_rating(conn, issue["issue_id"], resolution)
        return self.face.show(
            "survey.html", language, status, issue=issue, score=score, unhappy=UNHAPPY_SCORE, fault=fault,
            answer_by=self._answer_by(),
        )  # fmt: skip

    async def take(self, request: Request, token: str) -> Response:
        issue, form = await self._issue(token), await fields_of(request)
        if issue is None:
            return self.face.closed(request)
        score, resolution = form.get("score", ""), resolution_of(issue["timeline"])
        if resolution is None or score not in {str(number) for number in range(11)}:
            return await self.show(request, token, 422, "score")
        comment = form.get("comment", "").replace("\r\n", "\n").strip()[:LONGEST_WHY] or None
        await self._rate(issue, resolution, int(score), comment)
        return RedirectResponse(f"{token}?done=1{kept_language(request)}", 303, page_headers())

    async def _rate(self, issue: dict[str, Any], resolution: int, score: int, comment: str | None) -> None:
        issue_id: UUID = issue["issue_id"]
        async with self.service.transaction() as tx:
            if await store.record_rating(tx.conn, issue_id, resolution, score, comment, tx.now):
                rated = IssueRated(
                    issue_id=issue_id,
                    order_id=issue["order_id"],
                    customer_id=issue["customer_id"],
                    score=score,
                    resolution=resolution,
                    rated_at=tx.now,
                )
                await tx.write([rated])

    async def _issue(self, token: str) -> dict[str, Any] | None:
        try:
            issue_id = self.links.issue_of(Purpose.SURVEY, token, self.service.clock.now())
        except LinkInvalidError:
            return None
        async with self.service.pool.acquire() as conn:
            return await intake_store.read_issue(conn, issue_id)

    def _answer_by(self) -> date:
        """The open day by which an unhappy customer hears from a person."""
        return self.calendar.add_open_days(self.calendar.day(self.service.clock.now()), 1)


def routes(survey: Survey) -> APIRouter:
    router = APIRouter(tags=["customers"], default_response_class=HTMLResponse)

    @router.get("/v/{token}", summary="The question after a resolution; opening it changes nothing")
    async def show(request: Request, token: str) -> Response:
        return await survey.show(request, token)

    @router.head("/v/{token}", include_in_schema=False)
    async def peek(request: Request, token: str) -> Response:
        return await survey.show(request, token)

    @router.post("/v/{token}", summary="The customer's answer, from the page's form")
    async def take(request: Request, token: str) -> Response:
        return await survey.take(request, token)

    return router
