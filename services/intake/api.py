"""The HTTP face of intake: report an issue, add photos, see where it is.

The storefront calls on behalf of its customers and shows each of them only what is theirs; ops see every issue.
"""

from collections.abc import Callable
from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ValidationError

from libs.common.decision import Facts
from libs.common.events.storefront import IssueSubmitted
from libs.common.events.values import Reason, ReportedLine
from libs.common.http import PROBLEM_RESPONSE, Answer, IdempotencyKey, Problem, idempotency_key
from libs.common.ids import derived_id
from libs.common.service import Service
from services.intake import store
from services.intake.domain import ReportFiled, ReportRefused
from services.intake.store import Orders
from services.intake.timeline import Status, headline
from services.intake.uploads import Evidence

_STATUS_OF_REFUSAL = {"unknown_order": 404, "foreign_customer": 403, "already_reported": 409, "issue_exists": 409}
"""Every other refusal is 422: the report is understood and does not stand."""


class Receipt(BaseModel):
    """The report was accepted, and this is where to see how it goes on."""

    issue_id: UUID
    status_url: str
    status: Status


class TimelineFact(BaseModel):
    at: datetime
    type: str
    data: dict[str, Any]


class Photo(BaseModel):
    sha256: str
    media_type: str
    size_bytes: int
    width: int
    height: int


class Issue(BaseModel):
    """An issue and everything that happened to it, in the order in which it happened."""

    issue_id: UUID
    order_id: str
    customer_id: str
    reason: Reason
    lines: list[ReportedLine]
    status: Status
    reported_at: datetime
    timeline: list[TimelineFact]
    photos: list[Photo]


class Photos(BaseModel):
    photos: list[Photo]


def routes(service: Service, orders: Orders, evidence: Evidence) -> APIRouter:
    """The routes; `Depends` stand in the order in which they refuse: caller, size, key, content."""
    router = APIRouter(prefix="/v1/issues", tags=["issues"], responses=PROBLEM_RESPONSE)
    storefront = service.caller("storefront")
    anybody = service.caller("storefront", "ops")

    @router.post(
        "",
        status_code=202,
        response_model=Receipt,
        dependencies=[Depends(storefront)],
        openapi_extra={"requestBody": _json_body(IssueSubmitted)},
    )
    async def report_issue(
        key: Annotated[IdempotencyKey, Depends(idempotency_key)],
        said: Annotated[IssueSubmitted, Depends(_read_report)],
    ) -> JSONResponse:
        """Report what is wrong with delivered pieces of an order. Accepted at once, or refused with the remedy."""
        issue_id = said.issue_id or derived_id("issue", f"/{key.caller}", key.key)
        event = service.event(ReportFiled(issue_id=issue_id, report=said))
        answer = await service.execute(orders, event, idempotency=key, answer=_answer_of(issue_id))
        status_url = answer.body.get("status_url")
        return answer.response({"Location": status_url} if status_url else None)

    @router.post(
        "/{issue_id}/photos",
        status_code=201,
        response_model=Photos,
        dependencies=[Depends(storefront)],
        openapi_extra={"requestBody": _PHOTO_BODY},
    )
    async def add_photos(request: Request, issue_id: UUID) -> dict[str, Any]:
        """Add photos. They are known by their content, so the same upload again changes nothing and needs no key."""
        async with service.pool.acquire() as conn:
            if not await store.issue_exists(conn, issue_id):
                raise _no_such_issue(issue_id)
        photos = await evidence.receive(request)
        async with service.transaction() as tx:
            if not await store.add_photos(tx.conn, issue_id, photos, tx.now, evidence.most):
                raise Problem(422, "too_many_photos", f"photos: an issue holds {evidence.most}; leave some out.")
        return {"photos": photos}

    @router.get("/{issue_id}", response_model=Issue, dependencies=[Depends(anybody)])
    async def show_issue(issue_id: UUID) -> dict[str, Any]:
        """Where the issue is now, and its whole story."""
        async with service.pool.acquire() as conn:
            issue = await store.read_issue(conn, issue_id)
        if issue is None:
            raise _no_such_issue(issue_id)
        return issue

    return router


async def _read_report(request: Request) -> IssueSubmitted:
    """The body as a report. Read here and not by FastAPI, which would read it before caller and size are checked."""
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
        raise Problem(415, "wrong_media_type", "Content-Type: send the report as application/json.")
    try:
        return IssueSubmitted.model_validate_json(await request.body())
    except ValidationError as error:
        faults = error.errors(include_url=False, include_context=False, include_input=False)
        raise RequestValidationError([{**fault, "loc": ("body", *fault["loc"])} for fault in faults]) from error


def _answer_of(issue_id: UUID) -> Callable[[Facts], Answer]:
    def answer(facts: Facts) -> Answer:
        refused = next((fact.refusal for fact in facts if isinstance(fact, ReportRefused)), None)
        if refused is None:
            receipt = Receipt(
                issue_id=issue_id, status_url=f"/v1/issues/{issue_id}", status=headline(refused=False, types=())
            )
            return Answer(202, receipt.model_dump(mode="json"))
        members: dict[str, Any] = {"field": refused.field}
        if refused.issue_id:
            members |= {"issue_id": str(refused.issue_id), "issue_url": f"/v1/issues/{refused.issue_id}"}
        status = _STATUS_OF_REFUSAL.get(refused.code, 422)
        raise Problem(status, refused.code, f"{refused.field}: {refused.message}.", **members)

    return answer


def _no_such_issue(issue_id: UUID) -> Problem:
    return Problem(404, "unknown_issue", f"issue_id: {issue_id} is not known; send the id that the report was given.")


def _json_body(model: type[BaseModel]) -> dict[str, Any]:
    return {"required": True, "content": {"application/json": {"schema": _inlined(model.model_json_schema())}}}


def _inlined(schema: dict[str, Any]) -> dict[str, Any]:
    """The schema without references, because those would point into a document of their own."""
    shared = schema.pop("$defs", {})

    def inline(part: Any) -> Any:
        if isinstance(part, list):
            return [inline(item) for item in part]
        if not isinstance(part, dict):
            return part
        if "$ref" in part:
            return inline(shared[part["$ref"].rpartition("/")[2]])
        return {name: inline(value) for name, value in part.items()}

    inlined: dict[str, Any] = inline(schema)
    return inlined


_PHOTO_BODY = {
    "required": True,
    "content": {
        "multipart/form-data": {
            "schema": {
                "type": "object",
                "required": ["photos"],
                "properties": {"photos": {"type": "array", "items": {"type": "string", "format": "binary"}}},
            }
        }
    },
}
