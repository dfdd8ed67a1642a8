"""Reports and issues over HTTP: report an issue, and read where it is.

The storefront calls on behalf of its customers and shows each of them only their own issues; ops read every issue.
"""

from datetime import date, datetime, timedelta
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends, Query, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ValidationError

from libs.common.events.storefront import IssueSubmitted
from libs.common.events.values import Reason, Remedy, ReportedLine, Reporter
from libs.common.http.api_keys import require_caller
from libs.common.http.problems import PROBLEM_RESPONSE, Answer, Problem
from libs.common.http.request_schema import json_body
from libs.common.privacy.customer_merges import is_customer
from libs.common.runtime.dependencies import Key
from services.intake.domain.projections.issue_status import IssueStatus
from services.intake.domain.projections.sla import SlaClock, SlaEvent, measure_sla
from services.intake.http.commands import IntakeCommands, ReportReceipt, unknown_issue
from services.intake.http.dependencies import CurrentCommands
from services.intake.store import issues as store


class TimelineEvent(BaseModel):
    at: datetime
    type: str
    data: dict[str, Any]


class IssuePhoto(BaseModel):
    sha256: str
    media_type: str
    size_bytes: int
    width: int
    height: int


class ClockModel(BaseModel):
    """Business time in whole minutes; `due_at` is null once done or while the customer owes an answer."""

    target_minutes: int
    spent_minutes: int
    within_target: bool
    due_at: datetime | None
    done_at: datetime | None


class ClocksModel(BaseModel):
    first_response: ClockModel
    decision: ClockModel


class IssueDetails(BaseModel):
    """An issue with its timeline, in time order.

    `missing` are the details that the customer still owes; `version` counts staff decisions; `decide_by` is the shop's
    decision deadline, in business hours, while its clock runs.
    """

    issue_id: UUID
    order_id: str
    customer_id: str
    reason: Reason
    lines: list[ReportedLine]
    requested_remedy: Remedy | None
    reference: str | None
    noticed_on: date | None
    status: IssueStatus
    missing: list[str]
    version: int
    decide_by: datetime | None
    decided_at: datetime | None
    reported_at: datetime
    reported_by: Reporter
    clocks: ClocksModel
    timeline: list[TimelineEvent]
    photos: list[IssuePhoto]


router = APIRouter(prefix="/v1/issues", tags=["issues"], responses=PROBLEM_RESPONSE)

_PRIVATE = frozenset({"staff", "comment", "note", "notes"})
"""Fields that hold names and words of staff, of the warehouse's inspectors, or a customer's words for staff."""

CustomerId = Annotated[
    str | None,
    Query(max_length=128, description="On whose behalf: an issue of anybody else is then not known (404)."),
]


async def _read_report(request: Request) -> IssueSubmitted:
    """Parse the body here and not by FastAPI, which would read it before caller and size are checked."""
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
        raise Problem(415, "wrong_media_type", "Content-Type: send the report as application/json.")
    try:
        return IssueSubmitted.model_validate_json(await request.body())
    except ValidationError as error:
        faults = error.errors(include_url=False, include_context=False, include_input=False)
        raise RequestValidationError([{**fault, "loc": ("body", *fault["loc"])} for fault in faults]) from error


# Dependencies are checked in this order: caller, size, key, content.
@router.post(
    "",
    status_code=202,
    response_model=ReportReceipt,
    dependencies=[Depends(require_caller("storefront"))],
    openapi_extra={"requestBody": json_body(IssueSubmitted)},
)
async def report_issue(
    key: Key, submission: Annotated[IssueSubmitted, Depends(_read_report)], commands: CurrentCommands
) -> JSONResponse:
    """Report what is wrong with delivered units of an order. Accepted at once, or refused with the remedy."""
    return report_response(await commands.submit(submission, key))


@router.get("/{issue_id}", response_model=IssueDetails)
async def show_issue(
    issue_id: UUID,
    commands: CurrentCommands,
    caller: Annotated[str, Depends(require_caller("storefront", "ops"))],
    customer_id: CustomerId = None,
) -> dict[str, Any]:
    """Return an issue with its status and timeline; names and words of staff only to staff's own key."""
    async with commands.service.pool.acquire() as conn:
        issue = await store.read_issue(conn, issue_id)
        if issue is None or not await is_customer(conn, customer_id, issue["customer_id"]):
            raise unknown_issue(issue_id)
    shown = {**issue, "clocks": _clocks(issue, commands)}
    return shown if caller == "ops" else {**shown, "timeline": [_without_staff(event) for event in issue["timeline"]]}


def _without_staff(event: dict[str, Any]) -> dict[str, Any]:
    """Return an event of the timeline without what staff and warehouse wrote for themselves."""
    return {**event, "data": _without_private(event["data"])}


def _without_private(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _without_private(inner) for name, inner in value.items() if name not in _PRIVATE}
    return [_without_private(inner) for inner in value] if isinstance(value, list) else value


def report_response(answer: Answer) -> JSONResponse:
    """Build the response to a report, with the location of its issue."""
    status_url = answer.body.get("status_url")
    return answer.response({"Location": status_url} if status_url else None)


def _clocks(issue: dict[str, Any], commands: IntakeCommands) -> dict[str, Any]:
    rules, now = commands.orders.rules, commands.service.clock.now()
    timeline = [SlaEvent(event["at"], event["type"], event["data"]) for event in issue["timeline"]]
    found = measure_sla(issue["reported_at"], timeline, rules.hours, rules.targets, now)
    return {"first_response": _shown(found.first_response), "decision": _shown(found.decision)}


def _shown(clock: SlaClock) -> dict[str, Any]:
    minute = timedelta(minutes=1)
    minutes = {"target_minutes": clock.target // minute, "spent_minutes": clock.spent // minute}
    return {**minutes, "within_target": clock.within_target, "due_at": clock.due_at, "done_at": clock.done_at}
