"""Read routes for storefront and ops: the notices of an order, its promises, and a requested delivery address."""

from datetime import date, datetime
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Path
from pydantic import BaseModel

from libs.common.events.notices import NoticeKind
from libs.common.events.values import Address, Language
from libs.common.http.api_keys import require_caller
from libs.common.http.problems import PROBLEM_RESPONSE, Problem
from libs.common.runtime.dependencies import CurrentService
from services.delivery_notify.store import conversations, promises

router = APIRouter(
    prefix="/v1/orders",
    tags=["orders"],
    dependencies=[Depends(require_caller("storefront", "ops"))],
    responses=PROBLEM_RESPONSE,
)

OrderId = Annotated[str, Path(min_length=1, max_length=128)]


class NoticeView(BaseModel):
    notice_id: UUID
    kind: NoticeKind | str  # a notice written by a newer version has a kind that this one does not know
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
    day: date
    source: str
    promised_at: datetime
    notified_at: datetime | None
    notified_surface: str | None
    notice_id: UUID | None


class PromiseList(BaseModel):
    order_id: str
    promises: list[PromiseView]


async def existing_order(order_id: OrderId, service: CurrentService) -> str:
    async with service.pool.acquire() as conn:
        if await conversations.read_conversation(conn, order_id) is None:
            raise Problem(404, "unknown_order", "order_id: unknown; no event about this order has arrived.")
    return order_id


ExistingOrder = Annotated[str, Depends(existing_order)]


@router.get("/{order_id:path}/notices", summary="Every notice about this order, oldest first")
async def list_notices(order_id: ExistingOrder, service: CurrentService) -> NoticeList:
    async with service.pool.acquire() as conn:
        rows = await conversations.list_notices(conn, order_id)
    return NoticeList(order_id=order_id, notices=[NoticeView.model_validate(row) for row in rows])


@router.get("/{order_id:path}/promises", summary="Every date ever promised for this order")
async def list_promises(order_id: ExistingOrder, service: CurrentService) -> PromiseList:
    async with service.pool.acquire() as conn:
        rows = await promises.list_promises(conn, order_id)
    return PromiseList(order_id=order_id, promises=[PromiseView.model_validate(row) for row in rows])


@router.get("/{order_id:path}/choices/{choice_id}/address", summary="The delivery address that a customer requested")
async def requested_address(order_id: ExistingOrder, choice_id: UUID, service: CurrentService) -> Address:
    async with service.pool.acquire() as conn:
        body = await conversations.requested_address(conn, order_id, choice_id)
    if body is None:
        raise Problem(404, "no_address", "choice_id: this answer requested no other address.")
    return Address.model_validate_json(body)
