"""The report form, `/r/{token}`: choose the item, say what is wrong, add photos from the phone; under a minute.

A shop asks for the link of an order with its own key (`POST /v1/report-links`) and shows it to the customer, or shows
the form inside its own page (EMBED_ORIGINS). The report goes the way of every report (`Calls.report`). The form carries
a key of its own, so that a button pressed twice is one report.
"""

import hashlib
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID, uuid4

from fastapi import APIRouter, Depends, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from pydantic import BaseModel, ConfigDict, ValidationError

from libs.common.events.storefront import IssueSubmitted
from libs.common.events.values import Identifier, Language, Reason
from libs.common.http.idempotency import IdempotencyKey
from libs.common.http.problems import PROBLEM_RESPONSE, Problem
from libs.common.http.signed_links import LinkInvalidError
from services.intake.customer_pages.links import CustomerLinks, ReportPlace
from services.intake.customer_pages.rendering import Face, asked_language, kept_language
from services.intake.customer_pages.status_page import fault_of
from services.intake.domain.orders import StoredPhoto
from services.intake.evidence.uploads import Evidence
from services.intake.http.commands import IntakeCommands
from services.intake.store import customer_pages as store
from services.intake.store import evidence as evidence_store
from services.intake.web.headers import page_headers

_FAULTS = frozenset({"already_reported", "window_closed", "not_delivered", "too_many_units", "unknown_order"})


class WantedLink(BaseModel):
    """For which order of which customer the form is."""

    model_config = ConfigDict(extra="forbid")

    order_id: Identifier
    customer_id: Identifier
    language: Language = Language.JA


class ReportLink(BaseModel):
    """The address of the form, and until when it opens it."""

    url: str
    expires_at: datetime


@dataclass
class ReportForm:
    calls: IntakeCommands
    evidence: Evidence
    links: CustomerLinks
    face: Face

    def place(self, token: str) -> ReportPlace | None:
        try:
            return self.links.place_of(token, self.calls.service.clock.now())
        except LinkInvalidError:
            return None

    async def show(
        self,
        request: Request,
        token: str,
        status: int = 200,
        *,
        fault: str | None = None,
        filled: dict[str, str] | None = None,
    ) -> HTMLResponse:
        place = self.place(token)
        if place is None:
            return self.face.closed(request, embedded=True)
        language = asked_language(request, place.language)
        async with self.calls.service.pool.acquire() as conn:
            lines = await store.reportable(conn, place.order_id, place.customer_id)
        if lines is None:
            return self.face.show("closed.html", language, 404, embedded=True, code="unknown_order")
        return self.face.show(
            "report.html", language, status, embedded=True, place=place, lines=lines, reasons=list(Reason),
            fault=fault, filled=filled or {}, token=token, key=(filled or {}).get("key") or uuid4().hex,
            most_photos=self.evidence.most,
        )  # fmt: skip

    async def take(self, request: Request, token: str) -> Response:
        place = self.place(token)
        if place is None:
            return self.face.closed(request, embedded=True)
        fields: dict[str, str] = {}
        try:
            fields, photos = await self.evidence.receive_form(request)
            said = _report(place, fields, photos)
            issue_id = await self._file(place, said, fields, photos)
        except ValidationError:
            return await self.show(request, token, 422, fault="incomplete", filled=fields)
        except Problem as problem:
            if problem.code in ("already_reported", "issue_exists") and "issue_id" in problem.members:
                issue_id = UUID(problem.members["issue_id"])
                return _sent(request, token, issue_id, problem.code)
            fault = problem.code if problem.code in _FAULTS else fault_of(problem)
            return await self.show(request, token, problem.status, fault=fault, filled=fields)
        return _sent(request, token, issue_id, "new")

    async def _file(
        self, place: ReportPlace, said: IssueSubmitted, fields: dict[str, str], photos: list[StoredPhoto]
    ) -> UUID:
        """Keep the photos, then report. Raises `Problem`."""
        if photos:
            async with self.calls.service.transaction() as tx:
                await evidence_store.keep_uploads(tx.conn, photos, tx.now)
        fingerprint = hashlib.sha256(said.model_dump_json().encode()).digest()
        key = IdempotencyKey("report-form", f"{place.order_id}/{fields.get('key', '')[:64]}", fingerprint)
        answer = await self.calls.report(said, key)
        if answer.status >= 400:
            members: dict[str, Any] = {name: answer.body[name] for name in ("issue_id",) if name in answer.body}
            raise Problem(answer.status, answer.body["code"], answer.body["detail"], **members)
        return UUID(answer.body["issue_id"])

    async def thank(self, request: Request, token: str, issue_id: UUID, how: str) -> Response:
        """The report was taken: what follows, and where to see it."""
        place, now = self.place(token), self.calls.service.clock.now()
        if place is None:
            return self.face.closed(request, embedded=True)
        async with self.calls.service.pool.acquire() as conn:
            whose = await store.order_and_customer(conn, issue_id)
            missing = await evidence_store.missing_of(conn, issue_id) if whose else []
        if whose != (place.order_id, place.customer_id):
            return self.face.closed(request, embedded=True)
        language = asked_language(request, place.language)
        status_url = self.links.status(issue_id, now)
        return self.face.show(
            "thanks.html", language, embedded=True, how="again" if how != "new" else "new", status_url=status_url,
            missing=missing,
        )  # fmt: skip


def _report(place: ReportPlace, fields: dict[str, str], photos: list[StoredPhoto]) -> IssueSubmitted:
    """Raises `ValidationError`."""
    line_id = fields.get("line", "")
    part = fields.get("part", "").strip()[:200]
    line: dict[str, object] = {"line_id": line_id, "quantity": fields.get(f"quantity:{line_id}") or "1"}
    if part and fields.get("reason") == Reason.MISSING_PART:
        line["part"] = part
    return IssueSubmitted.model_validate(
        {
            "order_id": place.order_id,
            "customer_id": place.customer_id,
            "reason": fields.get("reason", ""),
            "lines": [line],
            "description": fields.get("description", "").replace("\r\n", "\n").strip()[:4000] or None,
            "photos": tuple(dict.fromkeys(photo.sha256 for photo in photos)),
        }
    )


def _sent(request: Request, token: str, issue_id: UUID, how: str) -> Response:
    return RedirectResponse(f"../{token}/sent/{issue_id}?how={how}{kept_language(request)}", 303, page_headers())


def routes(form: ReportForm) -> APIRouter:
    router = APIRouter(tags=["customers"], default_response_class=HTMLResponse)

    @router.get("/r/{token}", summary="The report form of one order; opening it changes nothing")
    async def show(request: Request, token: str) -> Response:
        return await form.show(request, token)

    @router.head("/r/{token}", include_in_schema=False)
    async def peek(request: Request, token: str) -> Response:
        return await form.show(request, token)

    @router.post("/r/{token}/report", summary="A report with its photos, from the form")
    async def take(request: Request, token: str) -> Response:
        return await form.take(request, token)

    @router.get("/r/{token}/sent/{issue_id}", summary="The report was taken")
    async def thank(request: Request, token: str, issue_id: UUID, how: str = "new") -> Response:
        return await form.thank(request, token, issue_id, how)

    return router


def link_routes(form: ReportForm) -> APIRouter:
    """For storefronts."""
    service = form.calls.service
    router = APIRouter(prefix="/v1", tags=["issues"], responses=PROBLEM_RESPONSE)

    @router.post("/report-links", status_code=201, dependencies=[Depends(service.require_caller("storefront"))])
    async def make_link(wanted: WantedLink) -> ReportLink:
        """A link to the report form of one order, to be shown to its customer or embedded. Asking again is harmless."""
        place = ReportPlace(wanted.order_id, wanted.customer_id, wanted.language)
        url, expires_at = form.links.report(place, service.clock.now())
        return ReportLink(url=url, expires_at=expires_at)

    return router
