"""Redemption of points: reserve at checkout, commit when the order is placed, release when it is abandoned.

Each call needs an `Idempotency-Key`. An unfinished reservation expires.
"""

from collections.abc import Callable
from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field

from libs.common.decisions.facts import Facts, refusal_of
from libs.common.decisions.ids import derived_id
from libs.common.events.loyalty import PointsRedeemed, PointsReleased, PointsReserved
from libs.common.events.values import Identifier
from libs.common.http.api_keys import require_caller
from libs.common.http.problems import PROBLEM_RESPONSE, Answer, Problem, refused
from libs.common.privacy.customer_merges import current_customer
from libs.common.runtime.dependencies import CurrentService, Key
from services.loyalty.domain.commands import (
    MAX_POINTS,
    CommitRedemption,
    RedemptionCommand,
    ReleaseRedemption,
    ReservePoints,
    ReturnRedemption,
)
from services.loyalty.http.dependencies import CurrentLedger, CustomerId
from services.loyalty.ledger.accounts import RedemptionState
from services.loyalty.store import queries

REFUSALS = {
    "insufficient_points": "points: exceeds the available points; GET the balance for `available`",
    "already_reserved": "redemption_id: is reserved and not committed; commit or release it first",
    "already_released": "redemption_id: was released or expired; reserve the points again",
    "already_committed": "redemption_id: is committed; use `return` if the purchase is undone",
    "already_returned": "redemption_id: was returned; reserve the points again",
}

router = APIRouter(
    prefix="/v1/customers/{customer_id:path}/redemptions",
    tags=["redemptions"],
    dependencies=[Depends(require_caller("storefront"))],
    responses=PROBLEM_RESPONSE,
)


class ReservationRequest(BaseModel):
    model_config = ConfigDict(extra="forbid")

    order_id: Identifier
    points: Annotated[int, Field(ge=1, le=MAX_POINTS)]


class RedemptionView(BaseModel):
    redemption_id: UUID
    order_id: str
    points: int
    state: RedemptionState
    expires_at: datetime | None


@router.post("", status_code=201)
async def reserve(
    service: CurrentService, ledger: CurrentLedger, customer_id: CustomerId, body: ReservationRequest, key: Key
) -> JSONResponse:
    """Reserve points for an order, earliest expiry first; 409 if there are not enough."""
    redemption_id = derived_id("redemption", customer_id, key.caller, key.key)
    command = ReservePoints(
        customer_id=customer_id, redemption_id=redemption_id, order_id=body.order_id, points=body.points
    )
    answer = await service.execute(ledger, service.event(command), idempotency=key, answer=_answer(None))
    return answer.response()


@router.get("/{redemption_id}")
async def show(service: CurrentService, customer_id: CustomerId, redemption_id: UUID) -> RedemptionView:
    async with service.pool.acquire() as conn:
        account = await current_customer(conn, customer_id)
        redemption = await queries.redemption(conn, account, redemption_id)
    if redemption is None:
        raise _unknown()
    return RedemptionView(
        redemption_id=redemption_id,
        order_id=redemption.order_id,
        points=redemption.points,
        state=redemption.state,
        expires_at=redemption.expires_at,
    )


@router.post("/{redemption_id}/commit")
async def commit(
    service: CurrentService, ledger: CurrentLedger, customer_id: CustomerId, redemption_id: UUID, key: Key
) -> JSONResponse:
    """Spend the reserved points, because the order was placed. Repeating the call changes nothing."""
    command = CommitRedemption(customer_id=customer_id, redemption_id=redemption_id)
    return await _finish(service, ledger, key, command, RedemptionState.COMMITTED)


@router.post("/{redemption_id}/release")
async def release(
    service: CurrentService, ledger: CurrentLedger, customer_id: CustomerId, redemption_id: UUID, key: Key
) -> JSONResponse:
    """Make reserved points available again, because the order was not placed."""
    command = ReleaseRedemption(customer_id=customer_id, redemption_id=redemption_id)
    return await _finish(service, ledger, key, command, RedemptionState.RELEASED)


@router.post("/{redemption_id}/return")
async def return_points(
    service: CurrentService, ledger: CurrentLedger, customer_id: CustomerId, redemption_id: UUID, key: Key
) -> JSONResponse:
    """Return spent points, because their order was undone; they keep their expiry."""
    command = ReturnRedemption(customer_id=customer_id, redemption_id=redemption_id)
    return await _finish(service, ledger, key, command, RedemptionState.RETURNED)


async def _finish(
    service: CurrentService, ledger: CurrentLedger, key: Key, command: RedemptionCommand, target: RedemptionState
) -> JSONResponse:
    respond = _answer(target, command.redemption_id)
    return (await service.execute(ledger, service.event(command), idempotency=key, answer=respond)).response()


def _answer(target: RedemptionState | None, redemption_id: UUID | None = None) -> Callable[[Facts], Answer]:
    """Return a function from facts to the answer; `target` is the state after success, None for a reservation."""

    def answer(facts: Facts) -> Answer:
        for fact in facts:
            if isinstance(fact, PointsReserved):
                expires_at = fact.expires_at.isoformat().replace("+00:00", "Z")
                return Answer(201, _body(fact, RedemptionState.RESERVED) | {"expires_at": expires_at})
            if isinstance(fact, PointsRedeemed | PointsReleased) and target:
                return Answer(200, _body(fact, target))
        if reason := refusal_of(facts):
            return _without_effect(reason, target, redemption_id)
        raise RuntimeError("redemption command without an event and without a reason")

    return answer


def _without_effect(reason: str, target: RedemptionState | None, redemption_id: UUID | None) -> Answer:
    if reason == "unknown_redemption":
        raise _unknown()
    if target and reason == f"already_{target}":
        return Answer(200, {"redemption_id": str(redemption_id), "state": target.value})
    raise refused(reason, REFUSALS)


def _body(fact: Any, state: RedemptionState) -> dict[str, Any]:
    return {
        "redemption_id": str(fact.redemption_id),
        "order_id": fact.order_id,
        "points": fact.points,
        "state": state.value,
    }


def _unknown() -> Problem:
    return Problem(404, "unknown_redemption", "redemption_id: this customer has no redemption with this id")
