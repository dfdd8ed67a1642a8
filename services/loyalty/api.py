"""Routes of loyalty: what a customer has, and why. For the storefront and for ops, by API key."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Path, Query
from pydantic import BaseModel

from libs.common.service import Service
from services.loyalty import store
from services.loyalty.domain import Kind

CustomerId = Annotated[str, Path(min_length=1, max_length=128)]
NEWEST = 2**62


class Balance(BaseModel):
    """Points of one customer: `final` may be spent, `pending` not yet."""

    customer_id: str
    pending: int
    final: int
    total: int


class LedgerEntry(BaseModel):
    """One movement. `points` is the change of the total; `pending` and `final` are the changes of each column."""

    number: int
    entry_id: UUID
    kind: Kind
    cause: str
    issue_id: UUID | None
    points: int
    pending: int
    final: int
    pending_after: int
    final_after: int
    rule: str | None
    rule_version: str | None
    at: datetime


class LedgerPage(BaseModel):
    """Newest first. `next_before` is the `before` of the next page, absent on the last one."""

    customer_id: str
    entries: list[LedgerEntry]
    next_before: int | None


def routes(service: Service) -> APIRouter:
    router = APIRouter(
        prefix="/v1/customers/{customer_id}", dependencies=[Depends(service.caller("storefront", "ops"))]
    )

    @router.get("/balance")
    async def balance(customer_id: CustomerId) -> Balance:
        """Nobody is unknown here: a customer without points has none."""
        async with service.pool.acquire() as conn:
            pending, final = await store.balance_of(conn, customer_id)
        return Balance(customer_id=customer_id, pending=pending, final=final, total=pending + final)

    @router.get("/entries")
    async def entries(
        customer_id: CustomerId,
        before: Annotated[int, Query(ge=1, le=NEWEST)] = NEWEST,
        limit: Annotated[int, Query(ge=1, le=200)] = 50,
    ) -> LedgerPage:
        async with service.pool.acquire() as conn:
            rows = await store.page_of(conn, customer_id, before, limit)
        page = [LedgerEntry.model_validate(dict(row)) for row in rows]
        more = len(page) == limit and page[-1].number > 1
        return LedgerPage(customer_id=customer_id, entries=page, next_before=page[-1].number if more else None)

    return router
