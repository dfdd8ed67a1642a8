"""The HTTP face of intake: report an issue, and see where it is. Photos, staff and lists have files of their own.

The storefront calls on behalf of its customers and shows each of them only what is theirs; ops see every issue.
"""

from datetime import date, datetime, timedelta
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends, Query, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ValidationError

from libs.common.events.storefront import IssueSubmitted
from libs.common.events.values import Reason, Remedy, ReportedLine
from libs.common.http.idempotency import IdempotencyKey, idempotency_key
from libs.common.http.problems import PROBLEM_RESPONSE, Answer, Problem
from services.intake.http.commands import IntakeCommands, Receipt, no_such_issue
from services.intake.projections.sla import Clock, Told, measure
from services.intake.projections.timeline import Status
from services.intake.store import orders as store


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


class ClockShown(BaseModel):
    """Open time of the shop in whole minutes; `due_at` is None once it is done or while the customer owes an answer."""

    target_minutes: int
    spent_minutes: int
    kept: bool
    due_at: datetime | None
    done_at: datetime | None


class ClocksShown(BaseModel):
    first_response: ClockShown
    decision: ClockShown


class Issue(BaseModel):
    """An issue and everything that happened to it, in the order in which it happened.

    `missing` is what the customer still owes; `version` counts decisions of staff; `decide_by` is when the shop owes a
    decision, in its open hours, while its clock runs.
    """

    issue_id: UUID
    order_id: str
    customer_id: str
    reason: Reason
    lines: list[ReportedLine]
    requested_remedy: Remedy | None
    reference: str | None
    noticed_on: date | None
    status: Status
    missing: list[str]
    version: int
    decide_by: datetime | None
    decided_at: datetime | None
    reported_at: datetime
    clocks: ClocksShown
    timeline: list[TimelineFact]
    photos: list[Photo]


def routes(calls: IntakeCommands) -> APIRouter:
    """The routes; `Depends` stand in the order in which they refuse: caller, size, key, content."""
    service = calls.service
    router = APIRouter(prefix="/v1/issues", tags=["issues"], responses=PROBLEM_RESPONSE)
    storefront = service.require_caller("storefront")
    anybody = service.require_caller("storefront", "ops")

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
        return told(await calls.report(said, key))

    @router.get("/{issue_id}", response_model=Issue, dependencies=[Depends(anybody)])
    async def show_issue(issue_id: UUID, customer_id: CustomerId = None) -> dict[str, Any]:
        """Where the issue is now, and its whole story."""
        async with service.pool.acquire() as conn:
            issue = await store.read_issue(conn, issue_id)
        if issue is None or (customer_id is not None and customer_id != issue["customer_id"]):
            raise no_such_issue(issue_id)
        return {**issue, "clocks": _clocks(issue, calls)}

    return router


def told(answer: Answer) -> JSONResponse:
    """What a report is answered with, and where to look for it from now on."""
    status_url = answer.body.get("status_url")
    return answer.response({"Location": status_url} if status_url else None)


def _clocks(issue: dict[str, Any], calls: IntakeCommands) -> dict[str, Any]:
    rules, now = calls.orders.rules, calls.service.clock.now()
    story = [Told(fact["at"], fact["type"], fact["data"]) for fact in issue["timeline"]]
    found = measure(issue["reported_at"], story, rules.hours, rules.targets, now)
    return {"first_response": _shown(found.first_response), "decision": _shown(found.decision)}


def _shown(clock: Clock) -> dict[str, Any]:
    minute = timedelta(minutes=1)
    minutes = {"target_minutes": clock.target // minute, "spent_minutes": clock.spent // minute}
    return {**minutes, "kept": clock.kept, "due_at": clock.due_at, "done_at": clock.done_at}


CustomerId = Annotated[
    str | None,
    Query(max_length=128, description="On whose behalf: an issue of anybody else is then not known (404)."),
]


async def _read_report(request: Request) -> IssueSubmitted:
    """The body as a report. Read here and not by FastAPI, which would read it before caller and size are checked."""
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
        raise Problem(415, "wrong_media_type", "Content-Type: send the report as application/json.")
    try:
        return IssueSubmitted.model_validate_json(await request.body())
    except ValidationError as error:
        faults = error.errors(include_url=False, include_context=False, include_input=False)
        raise RequestValidationError([{**fault, "loc": ("body", *fault["loc"])} for fault in faults]) from error


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
