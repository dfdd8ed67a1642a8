"""What ops see and decide over HTTP. Statuses are chosen here only; no address leaves the service this way."""

from collections.abc import Callable
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends, Query
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field

from libs.common.decision import Anomaly, Facts, Ignored
from libs.common.events.values import Remedy
from libs.common.http import PROBLEM_RESPONSE, Answer, IdempotencyKey, Problem, idempotency_key
from libs.common.service import Service
from services.returns.case import Case, ReviewCause
from services.returns.commands import CancelRequested, Cause, Command, ReopenRequested, ReviewDecided
from services.returns.headline import Headline, headline
from services.returns.store import CASE, CaseFilter, Cases, find_case, list_cases

Key = Annotated[IdempotencyKey, Depends(idempotency_key)]

REFUSALS = {
    "no_such_review": "cause: no review with this cause is open; GET the case to see which are",
    "only_yes_is_possible": "approved: goods or money have moved, so there is no way back; only true is possible",
    "lines_cannot_be_added_up": "approved: the lines have different currencies; refuse, and report each by itself",
    "too_late_to_cancel": "the case has shipped, received or paid something, or is closed; it cannot be cancelled",
    "not_resolved": "only a resolved case can be reopened",
    "already_refunded": "the units were paid back; nothing is left to put right",
    "remedy_not_allowed": "remedy: the policy has no such remedy for this reason",
}
"""Why a command was not carried out, by the reason that the domain gives."""


class Body(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Decision(Body):
    approved: bool = Field(description="true: do what the review proposes; false: do not.")


class Cancellation(Body):
    cause: Cause


class Reopening(Body):
    cause: Cause
    remedy: Remedy | None = Field(default=None, description="Another remedy than the one that did not hold.")


def shown(case: Case) -> dict[str, Any]:
    """A case as ops read it: its legs, and the headline that follows from them."""
    return {"headline": headline(case), **CASE.dump_python(case, mode="json")}


def told(issue_id: UUID) -> Callable[[Facts], Answer]:
    """What a command's facts mean to its caller."""

    def answer(facts: Facts) -> Answer:
        for fact in facts:
            if isinstance(fact, Ignored):
                raise Problem(409, fact.reason, REFUSALS.get(fact.reason, fact.reason))
            if isinstance(fact, Anomaly) and fact.reason == "unknown_issue":
                raise _unknown(issue_id)
        return Answer(200, {"issue_id": str(issue_id), "status": "done"})

    return answer


def _unknown(issue_id: UUID) -> Problem:
    return Problem(404, "unknown_case", f"issue_id: there is no case for {issue_id}")


def routes(service: Service, cases: Cases) -> APIRouter:
    ops = service.caller("ops")
    router = APIRouter(prefix="/v1/cases", tags=["cases"], dependencies=[Depends(ops)], responses=PROBLEM_RESPONSE)

    async def order(command: Command, key: IdempotencyKey) -> JSONResponse:
        answer = await service.execute(cases, service.event(command), idempotency=key, answer=told(command.issue_id))
        return answer.response()

    @router.get("")
    async def list_them(
        headline: Headline | None = None,
        in_review: bool = False,
        order_id: Annotated[str | None, Query(max_length=128)] = None,
        after: Annotated[str, Query(max_length=64, description="`next` of the page before.")] = "",
        limit: Annotated[int, Query(ge=1, le=200)] = 50,
    ) -> dict[str, Any]:
        """Cases by headline, those in review, or those of one order; a page at a time, in the order of their ids."""
        wanted = CaseFilter(headline, in_review, order_id, after, limit)
        async with service.pool.acquire() as conn:
            found = await list_cases(conn, wanted)
        last = str(found[-1].issue_id) if len(found) == limit else None
        return {"cases": [shown(case) for case in found], "next": last}

    @router.get("/{issue_id}")
    async def show(issue_id: UUID) -> dict[str, Any]:
        """One case with all its legs."""
        async with service.pool.acquire() as conn:
            case = await find_case(conn, str(issue_id))
        if case is None:
            raise _unknown(issue_id)
        return shown(case)

    @router.post("/{issue_id}/reviews/{cause}")
    async def decide_review(issue_id: UUID, cause: ReviewCause, body: Decision, key: Key) -> JSONResponse:
        """Decide what waits for a human."""
        return await order(ReviewDecided(issue_id=issue_id, cause=cause, approved=body.approved), key)

    @router.post("/{issue_id}/cancel")
    async def cancel(issue_id: UUID, body: Cancellation, key: Key) -> JSONResponse:
        """Stop a case of which nothing has left, come back or been paid."""
        return await order(CancelRequested(issue_id=issue_id, cause=body.cause), key)

    @router.post("/{issue_id}/reopen")
    async def reopen(issue_id: UUID, body: Reopening, key: Key) -> JSONResponse:
        """Go on with a resolved case: what was put right was not."""
        return await order(ReopenRequested(issue_id=issue_id, cause=body.cause, remedy=body.remedy), key)

    return router
