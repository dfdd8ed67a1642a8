"""Case routes for operators. HTTP statuses are chosen here only; no response contains an address."""

from collections.abc import Callable
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends, Path, Query
from fastapi.responses import JSONResponse

from libs.common.decisions.facts import Anomaly, Facts, Ignored, refusal_of
from libs.common.decisions.ids import derived_id
from libs.common.events.issues import IssueStaffDecided, IssueStaffDecisionApplied
from libs.common.events.values import StaffAction
from libs.common.http.api_keys import require_caller
from libs.common.http.idempotency import IdempotencyKey
from libs.common.http.problems import PROBLEM_RESPONSE, Answer, Problem, refused
from libs.common.postgres.pool import Connection
from libs.common.runtime.dependencies import CurrentService, Key
from libs.common.runtime.service import Service
from services.returns.domain.commands import AssignCount, CancelCase, CaseCommand, ReopenCase, SettleCount
from services.returns.domain.handlers.staff_decisions import REFUSALS
from services.returns.domain.state.case import Case
from services.returns.domain.state.case_status import CaseStatus
from services.returns.domain.state.exposure import CustomerExposure
from services.returns.domain.state.review_causes import ReviewCause
from services.returns.http.dependencies import CurrentCases
from services.returns.http.schemas import (
    AssignCountBody,
    CancelCaseBody,
    ReopenCaseBody,
    ReviewDecisionBody,
    SettleCountBody,
    StaffDecisionBody,
    case_document,
    exposure_document,
)
from services.returns.store.case_queries import CaseFilter, find_case, find_customer_exposure, list_cases
from services.returns.store.cases import Cases
from services.returns.store.kept_counts import list_kept_counts

router = APIRouter(
    prefix="/v1/cases",
    tags=["cases"],
    dependencies=[Depends(require_caller("ops"))],
    responses=PROBLEM_RESPONSE,
)

CountIdPath = Annotated[str, Path(min_length=1, max_length=300, description="`count_id` of the kept box.")]


@router.get("")
async def list_cases_page(
    service: CurrentService,
    status: CaseStatus | None = None,
    in_review: bool = False,
    order_id: Annotated[str | None, Query(max_length=128)] = None,
    after: Annotated[str, Query(max_length=64, description="`next` of the previous page.")] = "",
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
) -> dict[str, Any]:
    """List cases by status, review or order, in pages ordered by id."""
    wanted = CaseFilter(status, in_review, order_id, after, limit)
    async with service.pool.acquire() as conn:
        found = await list_cases(conn, wanted)
    last = str(found[-1].issue_id) if len(found) == limit else None
    return {"cases": [case_document(case) for case in found], "next": last}


@router.get("/kept-counts")
async def list_counts_without_case(
    service: CurrentService,
    after: Annotated[str, Query(max_length=300, description="`next` of the previous page.")] = "",
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
) -> dict[str, Any]:
    """List what the warehouse counted and no case has taken yet."""
    async with service.pool.acquire() as conn:
        found = await list_kept_counts(conn, after, limit)
    return {"counts": found, "next": found[-1]["count_id"] if len(found) == limit else None}


@router.post("/{issue_id}/kept-counts/{count_id:path}")
async def assign_count(
    issue_id: UUID,
    count_id: CountIdPath,
    key: Key,
    service: CurrentService,
    cases: CurrentCases,
    body: AssignCountBody | None = None,
) -> JSONResponse:
    """Count a kept box for this case, as staff recognized it. Refused for a box without any article of the case."""
    as_other_item = body is not None and body.as_other_item
    command = AssignCount(issue_id=issue_id, count_id=count_id, as_other_item=as_other_item)
    return await _execute(service, cases, command, key)


@router.post("/kept-counts/{count_id:path}/settle")
async def settle_count(
    count_id: CountIdPath, body: SettleCountBody, key: Key, service: CurrentService, cases: CurrentCases
) -> JSONResponse:
    """Close a kept box that belongs to no case, with what was done with it."""
    command = SettleCount(count_id=count_id, staff=body.staff, comment=body.comment)
    answer = await service.execute(cases, service.event(command), idempotency=key, answer=_answer_settled(count_id))
    return answer.response()


@router.get("/{issue_id}")
async def show_case(issue_id: UUID, service: CurrentService) -> dict[str, Any]:
    """Show one case with all its legs."""
    async with service.pool.acquire() as conn:
        return case_document(await _require_case(conn, issue_id))


@router.get("/{issue_id}/exposure")
async def show_exposure(issue_id: UUID, service: CurrentService) -> dict[str, Any]:
    """Show the exposure and the history of this case's customer."""
    async with service.pool.acquire() as conn:
        case = await _require_case(conn, issue_id)
        exposure = await find_customer_exposure(conn, case.customer_id)
    return exposure_document(exposure or CustomerExposure(), case.currency)


@router.post("/{issue_id}/decisions")
async def decide_case(
    issue_id: UUID, body: StaffDecisionBody, key: Key, service: CurrentService, cases: CurrentCases
) -> JSONResponse:
    """Decide a case, with the decider and a comment; a refused decision is answered by its code."""
    async with service.pool.acquire() as conn:
        case = await _require_case(conn, issue_id)
    # The id follows from the idempotency key, so that a repeated call is the same decision.
    decision = IssueStaffDecided(
        issue_id=issue_id,
        order_id=case.order_id,
        customer_id=case.customer_id,
        decision_id=derived_id("decision", issue_id, key.caller, key.key),
        decided_at=service.clock.now(),
        **body.model_dump(),
    )
    return await _execute(service, cases, decision, key)


@router.post("/{issue_id}/reviews/{cause}")
async def decide_review(
    issue_id: UUID,
    cause: ReviewCause,
    body: ReviewDecisionBody,
    key: Key,
    service: CurrentService,
    cases: CurrentCases,
) -> JSONResponse:
    """Approve or refuse a review, with the decider and a comment."""
    action = StaffAction.APPROVE_REVIEW if body.approved else StaffAction.REFUSE_REVIEW
    decision = StaffDecisionBody(action=action, review=cause, staff=body.staff, comment=body.comment)
    return await decide_case(issue_id, decision, key, service, cases)


@router.post("/{issue_id}/cancel")
async def cancel_case(
    issue_id: UUID, body: CancelCaseBody, key: Key, service: CurrentService, cases: CurrentCases
) -> JSONResponse:
    """Cancel a case while nothing has shipped, come back or been refunded."""
    return await _execute(service, cases, CancelCase(issue_id=issue_id, cause=body.cause), key)


@router.post("/{issue_id}/reopen")
async def reopen_case(
    issue_id: UUID, body: ReopenCaseBody, key: Key, service: CurrentService, cases: CurrentCases
) -> JSONResponse:
    """Reopen a resolved case whose remedy failed."""
    command = ReopenCase(issue_id=issue_id, cause=body.cause, remedy=body.remedy)
    return await _execute(service, cases, command, key)


def _answer_settled(count_id: str) -> Callable[[Facts], Answer]:
    def answer(facts: Facts) -> Answer:
        if code := refusal_of(facts):
            raise Problem(404, code, REFUSALS[code]) if code == "unknown_count" else refused(code, REFUSALS)
        return Answer(200, {"count_id": count_id, "status": "done"})

    return answer


async def _require_case(conn: Connection, issue_id: UUID) -> Case:
    case = await find_case(conn, str(issue_id))
    if case is None:
        raise _unknown_case(issue_id)
    return case


async def _execute(
    service: Service, cases: Cases, command: CaseCommand | IssueStaffDecided, key: IdempotencyKey
) -> JSONResponse:
    event = service.event(command)
    answer = await service.execute(cases, event, idempotency=key, answer=_answer_for(command.issue_id))
    return answer.response()


def _answer_for(issue_id: UUID) -> Callable[[Facts], Answer]:
    """Return the mapping from a command's facts to its HTTP answer."""

    def answer(facts: Facts) -> Answer:
        for fact in facts:
            if isinstance(fact, IssueStaffDecisionApplied) and fact.code:
                unknown = fact.code == "unknown_case"
                raise _unknown_case(issue_id) if unknown else Problem(409, fact.code, fact.message or "")
            if isinstance(fact, Ignored):
                raise refused(fact.reason, REFUSALS)
            if isinstance(fact, Anomaly) and fact.reason == "unknown_issue":
                raise _unknown_case(issue_id)
        return Answer(200, {"issue_id": str(issue_id), "status": "done"})

    return answer


def _unknown_case(issue_id: UUID) -> Problem:
    return Problem(404, "unknown_case", f"issue_id: no case has the id {issue_id}; only accepted reports have one")
