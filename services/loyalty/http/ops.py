"""Staff routes: manual adjustments, and reviews of apologies over the rate limits."""

from collections.abc import Callable
from datetime import datetime
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Query
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field

from libs.common.decisions.facts import Facts, refusal_of
from libs.common.decisions.ids import derived_id
from libs.common.events.loyalty import PointsAdjusted, PointsGranted
from libs.common.events.values import Identifier
from libs.common.http.api_keys import require_caller
from libs.common.http.problems import PROBLEM_RESPONSE, Answer, Problem, refused
from libs.common.runtime.dependencies import CurrentService, Key
from services.loyalty.domain.commands import (
    MAX_POINTS,
    AdjustmentText,
    AdjustPoints,
    DecideReview,
    ReviewCause,
    StaffComment,
)
from services.loyalty.http.dependencies import CurrentLedger, CustomerId
from services.loyalty.store import queries

REFUSALS = {
    "nothing_to_adjust": "change: is 0; set the points to add, or a negative number to take points",
    "insufficient_points": "change: exceeds the available points; GET the balance for `available`",
    "already_adjusted": "Idempotency-Key: this adjustment was already made",
    "no_such_review": "cause: no open review with this cause; GET /v1/loyalty/reviews for the open ones",
}

router = APIRouter(
    prefix="/v1", tags=["ops"], dependencies=[Depends(require_caller("ops"))], responses=PROBLEM_RESPONSE
)


class AdjustmentRequest(BaseModel):
    model_config = ConfigDict(extra="forbid")

    change: Annotated[int, Field(ge=-MAX_POINTS, le=MAX_POINTS, description="Points to add; negative: to take.")]
    text: AdjustmentText = AdjustmentText.GOODWILL
    staff: Identifier
    comment: StaffComment


class ReviewDecisionRequest(BaseModel):
    model_config = ConfigDict(extra="forbid")

    approved: bool
    staff: Identifier
    comment: StaffComment


class ApologyReview(BaseModel):
    """An apology over the customer's limits: points that the rule would grant, and the deadline of the decision."""

    cause: str
    customer_id: str
    issue_id: UUID
    order_id: str | None
    code: str
    points: int
    at: datetime
    review_by: datetime


@router.post("/customers/{customer_id:path}/adjustments", status_code=201)
async def adjust(
    service: CurrentService, ledger: CurrentLedger, customer_id: CustomerId, body: AdjustmentRequest, key: Key
) -> JSONResponse:
    """Add or take points manually. `staff` and `comment` stay in the ledger; the customer reads `text`."""
    command = AdjustPoints(
        customer_id=customer_id,
        adjustment_id=derived_id("adjustment", customer_id, key.caller, key.key),
        **body.model_dump(),
    )
    answer = await service.execute(ledger, service.event(command), idempotency=key, answer=_adjustment_answer)
    return answer.response()


@router.get("/loyalty/reviews")
async def reviews(service: CurrentService, limit: Annotated[int, Query(ge=1, le=500)] = 100) -> list[ApologyReview]:
    """List open reviews of apologies, earliest deadline first."""
    async with service.pool.acquire() as conn:
        return [ApologyReview.model_validate(dict(row)) for row in await queries.reviews(conn, limit)]


@router.post("/customers/{customer_id:path}/reviews/{cause}")
async def decide_review(
    service: CurrentService,
    ledger: CurrentLedger,
    customer_id: CustomerId,
    cause: ReviewCause,
    body: ReviewDecisionRequest,
    key: Key,
) -> JSONResponse:
    command = DecideReview(customer_id=customer_id, cause=cause, **body.model_dump())
    answer = await service.execute(ledger, service.event(command), idempotency=key, answer=_review_answer(cause))
    return answer.response()


def _adjustment_answer(facts: Facts) -> Answer:
    for fact in facts:
        if isinstance(fact, PointsAdjusted):
            return Answer(201, {"entry_id": str(fact.entry_id), "cause": fact.cause, "change": fact.change})
    raise _refusal(facts)


def _review_answer(cause: str) -> Callable[[Facts], Answer]:
    def answer(facts: Facts) -> Answer:
        if refusal_of(facts):
            raise _refusal(facts)
        granted = sum(fact.points for fact in facts if isinstance(fact, PointsGranted))
        return Answer(200, {"cause": cause, "points": granted})

    return answer


def _refusal(facts: Facts) -> Problem:
    reason = refusal_of(facts) or "unknown"
    status = 422 if reason == "nothing_to_adjust" else 409
    return refused(reason, REFUSALS, status)
