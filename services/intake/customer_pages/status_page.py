"""The status page, `/s/{token}`: where everything is; changing when the courier comes; sending what is missing.

Opening it changes nothing, so a mail scanner may follow the link. Whoever has the link is the customer: forms need no
token beside the one in the address, which no other site knows.
"""

from dataclasses import dataclass
from datetime import date
from typing import Any
from uuid import UUID

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from libs.common.events.issues import IssueCollectionWindowChosen
from libs.common.events.values import TimeWindow
from libs.common.http.problems import Problem
from libs.common.http.signed_links import LinkInvalidError, Purpose
from services.intake.customer_pages.forms import fields_of
from services.intake.customer_pages.links import CustomerLinks
from services.intake.customer_pages.rendering import Face, asked_language, kept_language
from services.intake.customer_pages.status_view import language_of, progress, resolution_of, windows
from services.intake.evidence.uploads import EvidenceUploads
from services.intake.http.commands import IntakeCommands
from services.intake.store import customer_pages as store
from services.intake.store import issues as intake_store
from services.intake.web.headers import page_headers


@dataclass
class StatusPage:
    calls: IntakeCommands
    evidence: EvidenceUploads
    links: CustomerLinks
    face: Face

    def today(self) -> date:
        return self.calls.service.clock.now().astimezone(self.calls.service.settings.zone).date()

    async def read(self, token: str) -> dict[str, Any] | None:
        """The issue behind the link; None where it opens nothing."""
        now = self.calls.service.clock.now()
        try:
            issue_id = self.links.issue_of(Purpose.STATUS, token, now)
        except LinkInvalidError:
            return None
        async with self.calls.service.pool.acquire() as conn:
            issue = await intake_store.read_issue(conn, issue_id)
            if issue is None:
                return None
            names = await store.item_names(conn, issue["order_id"])
            lines = [{**line, "name": names.get(line["line_id"], line["line_id"])} for line in issue["lines"]]
            return {**issue, "lines": lines, "missing": await intake_store.read_missing_details(conn, issue_id)}

    async def show(self, request: Request, token: str, status: int = 200, fault: str | None = None) -> HTMLResponse:
        issue = await self.read(token)
        if issue is None:
            return self.face.closed(request)
        story, language = issue["timeline"], asked_language(request, language_of(issue["timeline"]))
        now = self.calls.service.clock.now()
        rate = resolution_of(story) is not None
        return self.face.show(
            "status.html",
            language,
            status,
            issue=issue,
            way=progress(story, issue["status"], self.today()),
            survey=self.links.survey(issue["issue_id"], now) if rate else None,
            token=token,
            done=request.query_params.get("done", ""),
            fault=fault,
        )

    async def choose_window(self, request: Request, token: str) -> Response:
        issue, form = await self.read(token), await fields_of(request)
        if issue is None:
            return self.face.closed(request)
        wish = window_of(form.get("window", ""))
        if wish is None or wish not in windows(issue["timeline"], issue["status"], self.today()):
            return await self.show(request, token, 422, "window")
        async with self.calls.service.transaction() as tx:
            chosen = IssueCollectionWindowChosen(
                issue_id=issue["issue_id"],
                order_id=issue["order_id"],
                customer_id=issue["customer_id"],
                window=wish,
                chosen_at=tx.now,
            )
            await tx.write([chosen])
        return _back(request, token, "window")

    async def send_details(self, request: Request, token: str) -> Response:
        """Photos, the name of a missing part, some words: whatever the form holds."""
        issue = await self.read(token)
        if issue is None:
            return self.face.closed(request)
        try:
            fields, photos = await self.evidence.receive_form(request)
            parts = {name.removeprefix("part:"): text for name, text in fields.items() if name.startswith("part:")}
            given = {line_id: text.strip()[:200] for line_id, text in parts.items() if text.strip()}
            words = fields.get("description", "").strip()[:4000] or None
            if not (photos or given or words):
                return await self.show(request, token, 422, "nothing")
            await self._give(issue["issue_id"], photos, given, words)
        except Problem as problem:
            return await self.show(request, token, problem.status, fault_of(problem))
        return _back(request, token, "details")

    async def _give(self, issue_id: UUID, photos: Any, parts: dict[str, str], words: str | None) -> None:
        most = self.evidence.max_photos
        await self.calls.provide_details(
            issue_id, photos=tuple(photos), parts=parts, description=words, max_photos=most
        )


def fault_of(problem: Problem) -> str:
    """Which sentence tells a customer what to do about a problem."""
    if problem.status == 503:
        return "evidence_unavailable"
    known = {"photo_too_large", "wrong_photo_type", "unreadable_photo", "too_many_photos"}
    return problem.code if problem.code in known else "not_taken"


def window_of(text: str) -> TimeWindow | None:
    """`2026-03-12/14-16` as a window; None for anything else."""
    day, _, hours = text.partition("/")
    begin, _, end = hours.partition("-")
    try:
        return TimeWindow(day=date.fromisoformat(day), from_hour=int(begin), to_hour=int(end))
    except ValueError:
        return None


def _back(request: Request, token: str, done: str) -> Response:
    # relative: a proxy may serve us below a path
    return RedirectResponse(f"../{token}?done={done}{kept_language(request)}", 303, page_headers())


def routes(page: StatusPage) -> APIRouter:
    router = APIRouter(tags=["customers"], default_response_class=HTMLResponse)

    @router.get("/s/{token}", summary="Where an issue is; opening it changes nothing")
    async def show(request: Request, token: str) -> Response:
        return await page.show(request, token)

    @router.head("/s/{token}", include_in_schema=False)
    async def peek(request: Request, token: str) -> Response:
        return await page.show(request, token)

    @router.post("/s/{token}/window", summary="When the courier should come, from the page's form")
    async def choose_window(request: Request, token: str) -> Response:
        return await page.choose_window(request, token)

    @router.post("/s/{token}/photos", summary="What a report lacks, from the page's form")
    async def send_details(request: Request, token: str) -> Response:
        return await page.send_details(request, token)

    return router
