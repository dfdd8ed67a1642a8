"""What the storefront and ops may ask: which notices an order has, and every date it was ever promised."""

from datetime import date, datetime
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Path
from pydantic import BaseModel

from libs.common.events.notices import NoticeKind
from libs.common.events.values import Address, Language
from libs.common.http.problems import PROBLEM_RESPONSE, Problem
from libs.common.runtime.service import Service
from services.delivery_notify.store import conversations
from services.delivery_notify.store import promises as promise_store

OrderId = Annotated[str, Path(min_length=1, max_length=128)]


class NoticeView(BaseModel):
    notice_id: UUID
    kind: NoticeKind
    issue_id: UUID | None
    status: str
    promised_date: date | None
    made_at: datetime
    due_at: datetime
    settled_at: datetime | None
    language: Language | None
    channel: str | None
    cause: str | None
    attempts: int
    facts: dict[str, object]


class NoticeList(BaseModel):
    order_id: str
    notices: list[NoticeView]


class PromiseView(BaseModel):
    subject: str
    subject_id: str
    version: int
    ship_date: date
    source: str
    promised_at: datetime
    notified_at: datetime | None
    notified_surface: str | None
    notice_id: UUID | None


class PromiseList(BaseModel):
    order_id: str
    promises: list[PromiseView]


def routes(service: Service) -> APIRouter:
    allowed = Depends(service.require_caller("storefront", "ops"))
    router = APIRouter(prefix="/v1/orders", tags=["orders"], dependencies=[allowed], responses=PROBLEM_RESPONSE)

    async def known(order_id: OrderId) -> str:
        async with service.pool.acquire() as conn:
            if await conversations.read_conversation(conn, order_id) is None:
                raise Problem(404, "unknown_order", "order_id: we have heard nothing of this order.")
        return order_id

    Known = Annotated[str, Depends(known)]  # noqa: N806 - a type

    @router.get("/{order_id}/notices", summary="Every notice about this order, oldest first")
    async def notices(order_id: Known) -> NoticeList:
        async with service.pool.acquire() as conn:
            rows = await conversations.list_notices(conn, order_id)
        return NoticeList(order_id=order_id, notices=[NoticeView.model_validate(row) for row in rows])

    @router.get("/{order_id}/promises", summary="Every date ever promised for this order")
    async def promises(order_id: Known) -> PromiseList:
        async with service.pool.acquire() as conn:
            rows = await promise_store.list_promises(conn, order_id)
        return PromiseList(order_id=order_id, promises=[PromiseView.model_validate(row) for row in rows])

    @router.get("/{order_id}/choices/{choice_id}/address", summary="The address a customer asked for, by their answer")
    async def wished_address(order_id: Known, choice_id: UUID) -> Address:
        async with service.pool.acquire() as conn:
            body = await conversations.requested_address(conn, order_id, choice_id)
        if body is None:
            raise Problem(404, "no_address", "choice_id: this answer asked for no other address.")
        return Address.model_validate_json(body)

    return router
