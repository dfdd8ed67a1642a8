"""The storefront's customer wants to be forgotten: said once here, heard by every service."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Path
from fastapi.responses import JSONResponse
from pydantic import BaseModel, StringConstraints

from libs.common.decisions.ids import derived_id
from libs.common.events.customers import CustomerErasureRequested
from libs.common.http.idempotency import IdempotencyKey, answer_once, idempotency_key
from libs.common.http.problems import PROBLEM_RESPONSE, Answer
from libs.common.runtime.service import Service

CustomerId = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=128), Path()]


class ErasureAsked(BaseModel):
    """Under way; each service tells by `customer.erased` with this id when it is done."""

    customer_id: str
    erasure_id: UUID


def routes(service: Service) -> APIRouter:
    router = APIRouter(
        prefix="/v1/customers/{customer_id}",
        tags=["customers"],
        dependencies=[Depends(service.require_caller("storefront", "ops"))],
        responses=PROBLEM_RESPONSE,
    )

    @router.post("/erasure", status_code=202, response_model=ErasureAsked)
    async def erase(customer_id: CustomerId, key: Annotated[IdempotencyKey, Depends(idempotency_key)]) -> JSONResponse:
        """Forget who this customer is, everywhere. Orders placed later are kept: they are a new consent."""
        asked = ErasureAsked(customer_id=customer_id, erasure_id=derived_id("erasure", key.caller, key.key))
        async with service.transaction() as tx:

            async def ask() -> Answer:
                await tx.write([CustomerErasureRequested(**dict(asked), requested_at=tx.now)])
                return Answer(202, asked.model_dump(mode="json"))

            answer = await answer_once(tx.conn, key, ask)
        return answer.response()

    return router
