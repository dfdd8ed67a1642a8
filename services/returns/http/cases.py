"""What ops see and decide over HTTP. Statuses are chosen here only; no address leaves the service this way."""

from collections.abc import Callable
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends, Query
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from libs.common.decisions.facts import Anomaly, Facts, Ignored
from libs.common.decisions.ids import derived_id
from libs.common.events.issues import IssueStaffDecided, IssueStaffDecisionApplied
from libs.common.events.values import Identifier, Money, Remedy, StaffAction
from libs.common.http.idempotency import IdempotencyKey, idempotency_key
from libs.common.http.problems import PROBLEM_RESPONSE, Answer, Problem
from libs.common.runtime.service import Service
from services.returns.domain.case import Case
from services.returns.domain.case_status import Headline, headline
from services.returns.domain.commands import CancelRequested, Cause, Command, ReopenRequested
from services.returns.domain.exposure import Customer
from services.returns.domain.handlers.staff_decisions import REFUSALS
from services.returns.domain.review_causes import ReviewCause
from services.returns.domain.unit_report import quantities
from services.returns.store.cases import CASE, CUSTOMER, CaseFilter, Cases, find_case, find_customer, list_cases

Why = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=1000)]
Key = Annotated[IdempotencyKey, Depends(idempotency_key)]


class Body(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Decision(Body):
    approved: bool = Field(description="true: do what the review proposes; false: do not.")
    staff: Identifier = Field(default="ops", description="Who decides.")
    comment: Why = Field(default="decided over HTTP", description="What stands in the issue's timeline.")


class Cancellation(Body):
    cause: Cause


class Reopening(Body):
    cause: Cause
    remedy: Remedy | None = Field(default=None, description="Another remedy than the one that did not hold.")


class StaffDecision(Body):
    action: StaffAction
    review: Annotated[str, StringConstraints(max_length=100)] | None = Field(
        default=None, description="The cause of the review that is approved or refused."
    )
    remedy: Remedy | None = Field(default=None, description="The remedy that is chosen, or reopened with.")
    staff: Identifier = Field(description="Who decides.")
    comment: Why


def shown(case: Case) -> dict[str, Any]:
    """A case as ops read it: its legs, their counted units by line, and the headline that follows from them."""
    return {"headline": headline(case), "quantities": quantities(case), **CASE.dump_python(case, mode="json")}


def told(issue_id: UUID) -> Callable[[Facts], Answer]:
    """What a command's facts mean to its caller."""

    def answer(facts: Facts) -> Answer:
        for fact in facts:
            if isinstance(fact, IssueStaffDecisionApplied) and fact.code:
                raise _unknown(issue_id) if fact.code == "unknown_case" else Problem(409, fact.code, fact.message or "")
            if isinstance(fact, Ignored):
                raise Problem(409, fact.reason, REFUSALS.get(fact.reason, fact.reason))
            if isinstance(fact, Anomaly) and fact.reason == "unknown_issue":
                raise _unknown(issue_id)
        return Answer(200, {"issue_id": str(issue_id), "status": "done"})

    return answer


def _unknown(issue_id: UUID) -> Problem:
    return Problem(404, "unknown_case", f"issue_id: there is no case for {issue_id}")


def routes(service: Service, cases: Cases) -> APIRouter:
    ops = service.require_caller("ops")
    router = APIRouter(prefix="/v1/cases", tags=["cases"], dependencies=[Depends(ops)], responses=PROBLEM_RESPONSE)

    async def order(command: Command | IssueStaffDecided, key: IdempotencyKey) -> JSONResponse:
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

    @router.get("/{issue_id}/exposure")
    async def exposure(issue_id: UUID) -> dict[str, Any]:
        """What is out with the customer of this case and not yet back, and what is known of how it went before."""
        async with service.pool.acquire() as conn:
            case = await find_case(conn, str(issue_id))
            customer = await find_customer(conn, case.customer_id) if case else None
        if case is None:
            raise _unknown(issue_id)
        found = customer or Customer()
        amount = Money(amount=found.exposed(case.currency), currency=case.currency)
        return {"exposure": amount.model_dump(mode="json"), **CUSTOMER.dump_python(found, mode="json")}

    @router.post("/{issue_id}/decisions")
    async def decide(issue_id: UUID, body: StaffDecision, key: Key) -> JSONResponse:
        """Decide about a case, with who and why; what cannot be done is refused by name."""
        async with service.pool.acquire() as conn:
            case = await find_case(conn, str(issue_id))
        if case is None:
            raise _unknown(issue_id)
        # The same key is the same decision, so that a repeated call is answered once.
        named = {
            "decision_id": derived_id("decision", issue_id, key.caller, key.key),
            "decided_at": service.clock.now(),
        }
        ids = {"issue_id": issue_id, "order_id": case.order_id, "customer_id": case.customer_id}
        return await order(IssueStaffDecided(**ids, **named, **body.model_dump()), key)

    @router.post("/{issue_id}/reviews/{cause}")
    async def decide_review(issue_id: UUID, cause: ReviewCause, body: Decision, key: Key) -> JSONResponse:
        """Decide what waits for a human; it is recorded with who and why."""
        action = StaffAction.APPROVE_REVIEW if body.approved else StaffAction.REFUSE_REVIEW
        decision = StaffDecision(action=action, review=cause, staff=body.staff, comment=body.comment)
        return await decide(issue_id, decision, key)

    @router.post("/{issue_id}/cancel")
    async def cancel(issue_id: UUID, body: Cancellation, key: Key) -> JSONResponse:
        """Stop a case of which nothing has left, come back or been paid."""
        return await order(CancelRequested(issue_id=issue_id, cause=body.cause), key)

    @router.post("/{issue_id}/reopen")
    async def reopen(issue_id: UUID, body: Reopening, key: Key) -> JSONResponse:
        """Go on with a resolved case: what was put right was not."""
        return await order(ReopenRequested(issue_id=issue_id, cause=body.cause, remedy=body.remedy), key)

    return router
