"""Erasure requests over HTTP: published once, carried out by every service."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Path
from fastapi.responses import JSONResponse
from pydantic import BaseModel, StringConstraints

from libs.common.decisions.ids import derived_id
from libs.common.events.customers import CustomerErasureRequested
from libs.common.http.api_keys import require_caller
from libs.common.http.problems import PROBLEM_RESPONSE, Answer
from libs.common.runtime.dependencies import CurrentService, Key
from libs.common.runtime.service import ServiceTransaction

CustomerId = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=128), Path()]

router = APIRouter(
    prefix="/v1/customers/{customer_id:path}",
    tags=["customers"],
    dependencies=[Depends(require_caller("storefront", "ops"))],
    responses=PROBLEM_RESPONSE,
)


class ErasureAccepted(BaseModel):
    """Started; each service publishes `customer.erased` with this id when it is done."""

    customer_id: str
    erasure_id: UUID


@router.post("/erasure", status_code=202, response_model=ErasureAccepted)
async def erase(customer_id: CustomerId, key: Key, service: CurrentService) -> JSONResponse:
    """Erase this customer's personal data everywhere. Later orders are kept: they are a new consent."""
    accepted = ErasureAccepted(customer_id=customer_id, erasure_id=derived_id("erasure", key.caller, key.key))

    async def publish(tx: ServiceTransaction) -> Answer:
        await tx.write([CustomerErasureRequested(**dict(accepted), requested_at=tx.now)])
        return Answer(202, accepted.model_dump(mode="json"))

    return (await service.answer_once(key, publish)).response()
