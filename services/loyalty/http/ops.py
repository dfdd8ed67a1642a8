"""What ops see and do: points by hand with who and why, reviews of the governor, and what the holdout says."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Path, Query
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field

from libs.common.decisions.facts import Facts, Ignored
from libs.common.decisions.ids import derived_id
from libs.common.events.loyalty import PointsAdjusted, PointsGranted
from libs.common.events.values import Identifier
from libs.common.http.idempotency import IdempotencyKey, idempotency_key
from libs.common.http.problems import PROBLEM_RESPONSE, Answer, Problem
from libs.common.runtime.service import Service
from services.loyalty.domain.commands import MOST, AdjustAsked, AdjustmentText, ReviewAnswered, Why
from services.loyalty.domain.holdout import CONFIDENCE, POINTS, WORDS, difference, wilson
from services.loyalty.http.balances import CustomerId
from services.loyalty.store import queries
from services.loyalty.store.ledger import Ledger

Key = Annotated[IdempotencyKey, Depends(idempotency_key)]

REFUSALS = {
    "nothing_to_adjust": "change: 0 changes nothing; write how many points to give, or below 0 to take",
    "not_enough_points": "change: the customer has not as many to spend; GET the balance to see `available`",
    "already_adjusted": "this adjustment was made already",
    "no_such_review": "cause: no review with this cause is open; GET /v1/loyalty/reviews to see which are",
}
SOURCE = (
    "Newcombe 1998, Statistics in Medicine 17:873-890, method 10, of Wilson 1927 intervals; by arm as drawn, "
    "customers followed for the whole period only"
)


class Adjustment(BaseModel):
    model_config = ConfigDict(extra="forbid")

    change: Annotated[int, Field(ge=-MOST, le=MOST, description="Points to give; below 0: to take.")]
    text: AdjustmentText = AdjustmentText.GOODWILL
    staff: Identifier
    comment: Why


class ReviewDecision(BaseModel):
    model_config = ConfigDict(extra="forbid")

    approved: bool
    staff: Identifier
    comment: Why


class Review(BaseModel):
    """An apology over the customer's limits: what the rule would have given, and until when somebody may decide."""

    cause: str
    customer_id: str
    issue_id: UUID
    order_id: str | None
    code: str
    points: int
    at: datetime
    review_by: datetime


class Arm(BaseModel):
    """Of `customers` so many `came_back` with another order; `low` and `high` bound the share."""

    customers: int
    came_back: int
    share: float | None
    low: float
    high: float


class Difference(BaseModel):
    """Share of those with points minus share of those with words; the interval holds the truth 95 times in 100."""

    value: float | None
    low: float
    high: float


class HoldoutReport(BaseModel):
    experiment: str
    on: bool
    held_out_share: float
    follow_up_days: int
    confidence: float
    points: Arm
    words: Arm
    difference: Difference
    method: str


def routes(service: Service, ledger: Ledger) -> APIRouter:
    router = APIRouter(
        prefix="/v1", tags=["ops"], dependencies=[Depends(service.require_caller("ops"))], responses=PROBLEM_RESPONSE
    )

    @router.post("/customers/{customer_id}/adjustments", status_code=201)
    async def adjust(customer_id: CustomerId, body: Adjustment, key: Key) -> JSONResponse:
        """Give or take points by hand. Who and why stay in the ledger; the customer reads `text`."""
        command = AdjustAsked(
            customer_id=customer_id,
            adjustment_id=derived_id("adjustment", customer_id, key.caller, key.key),
            **body.model_dump(),
        )
        answer = await service.execute(ledger, service.event(command), idempotency=key, answer=_adjusted)
        return answer.response()

    @router.get("/loyalty/reviews")
    async def reviews(limit: Annotated[int, Query(ge=1, le=500)] = 100) -> list[Review]:
        """Apologies that wait for a human, the most urgent first."""
        async with service.pool.acquire() as conn:
            return [Review.model_validate(dict(row)) for row in await queries.reviews(conn, limit)]

    @router.post("/customers/{customer_id}/reviews/{cause}")
    async def decide(
        customer_id: CustomerId,
        cause: Annotated[str, Path(pattern=r"^issue:[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}:[0-9]{1,6}$")],
        body: ReviewDecision,
        key: Key,
    ) -> JSONResponse:
        command = ReviewAnswered(customer_id=customer_id, cause=cause, **body.model_dump())
        answer = await service.execute(ledger, service.event(command), idempotency=key, answer=_decided(cause))
        return answer.response()

    @router.get("/loyalty/holdout")
    async def holdout(days: Annotated[int, Query(ge=1, le=730, description="Follow-up.")] = 90) -> HoldoutReport:
        """Whether points bring customers back: both arms with intervals, and the interval of the difference."""
        drawn = ledger.terms.holdout
        async with service.pool.acquire() as conn:
            arms = await queries.holdout(conn, drawn.experiment, service.clock.now(), timedelta(days=days))
        points, words = arms[POINTS], arms[WORDS]
        bounds = difference(points, words)
        both = points[1] and words[1]
        return HoldoutReport(
            experiment=drawn.experiment,
            on=drawn.on,
            held_out_share=drawn.share,
            follow_up_days=days,
            confidence=CONFIDENCE,
            points=_arm(points),
            words=_arm(words),
            difference=Difference(
                value=points[0] / points[1] - words[0] / words[1] if both else None, low=bounds.low, high=bounds.high
            ),
            method=SOURCE,
        )

    return router


def _arm(counted: tuple[int, int]) -> Arm:
    came_back, customers = counted
    bounds = wilson(came_back, customers)
    share = came_back / customers if customers else None
    return Arm(customers=customers, came_back=came_back, share=share, low=bounds.low, high=bounds.high)


def _adjusted(facts: Facts) -> Answer:
    for fact in facts:
        if isinstance(fact, PointsAdjusted):
            return Answer(201, {"entry_id": str(fact.entry_id), "cause": fact.cause, "change": fact.change})
    raise _refusal(facts)


def _decided(cause: str) -> Callable[[Facts], Answer]:
    def answer(facts: Facts) -> Answer:
        if any(isinstance(fact, Ignored) for fact in facts):
            raise _refusal(facts)
        given = sum(fact.points for fact in facts if isinstance(fact, PointsGranted))
        return Answer(200, {"cause": cause, "points": given})

    return answer


def _refusal(facts: Facts) -> Problem:
    reason = next((fact.reason for fact in facts if isinstance(fact, Ignored)), "unknown")
    status = 422 if reason == "nothing_to_adjust" else 409
    return Problem(status, reason, REFUSALS.get(reason, reason))
