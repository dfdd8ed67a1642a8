"""Spending points over HTTP: reserve at the checkout, commit when the order stands, release when it does not.

Each call takes an `Idempotency-Key`. A reservation that nobody decides comes back by itself.
"""

from collections.abc import Callable
from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field

from libs.common.decisions.facts import Facts, Ignored
from libs.common.decisions.ids import derived_id
from libs.common.events.loyalty import PointsRedeemed, PointsReleased, PointsReserved
from libs.common.events.values import Identifier
from libs.common.http.idempotency import IdempotencyKey, idempotency_key
from libs.common.http.problems import PROBLEM_RESPONSE, Answer, Problem
from libs.common.runtime.service import Service
from services.loyalty.domain.commands import MOST, CommitAsked, ReleaseAsked, ReserveAsked, ReturnAsked
from services.loyalty.http.balances import CustomerId
from services.loyalty.ledger.accounts import RedemptionState
from services.loyalty.store import queries
from services.loyalty.store.ledger import Ledger

Key = Annotated[IdempotencyKey, Depends(idempotency_key)]

REFUSALS = {
    "not_enough_points": "points: there are not as many to spend; GET the balance to see `available`",
    "already_reserved": "the points are reserved and not committed; commit or release them first",
    "already_released": "the reservation was released or ran out; reserve the points anew",
    "already_committed": "the points are spent; `return` them where the purchase is undone",
    "already_returned": "the points were given back; reserve them anew",
}


class Reservation(BaseModel):
    model_config = ConfigDict(extra="forbid")

    order_id: Identifier
    points: Annotated[int, Field(ge=1, le=MOST)]


class RedemptionView(BaseModel):
    redemption_id: UUID
    order_id: str
    points: int
    state: RedemptionState
    expires_at: datetime | None


def routes(service: Service, ledger: Ledger) -> APIRouter:
    caller = service.require_caller("storefront")
    router = APIRouter(
        prefix="/v1/customers/{customer_id}/redemptions",
        tags=["redemptions"],
        dependencies=[Depends(caller)],
        responses=PROBLEM_RESPONSE,
    )

    @router.post("", status_code=201)
    async def reserve(customer_id: CustomerId, body: Reservation, key: Key) -> JSONResponse:
        """Set points aside for an order, those that expire first in front; 409 where there are not as many."""
        redemption_id = derived_id("redemption", customer_id, key.caller, key.key)
        command = ReserveAsked(
            customer_id=customer_id, redemption_id=redemption_id, order_id=body.order_id, points=body.points
        )
        answer = await service.execute(ledger, service.event(command), idempotency=key, answer=told(None))
        return answer.response()

    @router.get("/{redemption_id}")
    async def show(customer_id: CustomerId, redemption_id: UUID) -> RedemptionView:
        async with service.pool.acquire() as conn:
            found = await queries.redemption(conn, customer_id, redemption_id)
        if found is None:
            raise _unknown()
        return RedemptionView(
            redemption_id=redemption_id,
            order_id=found.order_id,
            points=found.points,
            state=found.state,
            expires_at=found.expires_at,
        )

    @router.post("/{redemption_id}/commit")
    async def commit(customer_id: CustomerId, redemption_id: UUID, key: Key) -> JSONResponse:
        """The order stands: the points are spent. Said again, it stays so."""
        command = CommitAsked(customer_id=customer_id, redemption_id=redemption_id)
        done = told(RedemptionState.COMMITTED, redemption_id)
        return (await service.execute(ledger, service.event(command), idempotency=key, answer=done)).response()

    @router.post("/{redemption_id}/release")
    async def release(customer_id: CustomerId, redemption_id: UUID, key: Key) -> JSONResponse:
        """The order does not stand: the points may be spent again."""
        command = ReleaseAsked(customer_id=customer_id, redemption_id=redemption_id)
        done = told(RedemptionState.RELEASED, redemption_id)
        return (await service.execute(ledger, service.event(command), idempotency=key, answer=done)).response()

    @router.post("/{redemption_id}/return")
    async def give_back(customer_id: CustomerId, redemption_id: UUID, key: Key) -> JSONResponse:
        """The order for which points were spent was undone: they come back, with the validity that they had."""
        command = ReturnAsked(customer_id=customer_id, redemption_id=redemption_id)
        done = told(RedemptionState.RETURNED, redemption_id)
        return (await service.execute(ledger, service.event(command), idempotency=key, answer=done)).response()

    return router


def told(wanted: RedemptionState | None, redemption_id: UUID | None = None) -> Callable[[Facts], Answer]:
    """What a command's facts mean to its caller; `wanted` is where it leads, None for a reservation."""

    def answer(facts: Facts) -> Answer:
        for fact in facts:
            if isinstance(fact, PointsReserved):
                return Answer(201, _body(fact, RedemptionState.RESERVED) | {"expires_at": _text(fact.expires_at)})
            if isinstance(fact, PointsRedeemed | PointsReleased) and wanted:
                return Answer(200, _body(fact, wanted))
            if isinstance(fact, Ignored):
                return _refused(fact.reason, wanted, redemption_id)
        raise RuntimeError("a command about points came to nothing")

    return answer


def _refused(reason: str, wanted: RedemptionState | None, redemption_id: UUID | None) -> Answer:
    if reason == "unknown_redemption":
        raise _unknown()
    if wanted and reason == f"already_{wanted}":
        return Answer(200, {"redemption_id": str(redemption_id), "state": wanted.value})
    raise Problem(409, reason, REFUSALS.get(reason, reason))


def _body(fact: Any, state: RedemptionState) -> dict[str, Any]:
    return {
        "redemption_id": str(fact.redemption_id),
        "order_id": fact.order_id,
        "points": fact.points,
        "state": state.value,
    }


def _text(moment: datetime) -> str:
    return moment.isoformat().replace("+00:00", "Z")


def _unknown() -> Problem:
    return Problem(404, "unknown_redemption", "redemption_id: this customer has no such redemption")
