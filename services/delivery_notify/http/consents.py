"""Consents of a customer to advertising, stated by the storefront. Service notices need none."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict

from libs.common.decisions.facts import Facts
from libs.common.events.customers import ConsentChannel, ConsentPurpose, ConsentSource
from libs.common.events.values import UtcTime
from libs.common.http.api_keys import require_caller
from libs.common.http.problems import PROBLEM_RESPONSE, Answer
from libs.common.privacy.customer_merges import current_customer
from libs.common.runtime.dependencies import CurrentService
from services.delivery_notify.domain.consents import RecordConsent
from services.delivery_notify.http.preferences import CustomerId, Key
from services.delivery_notify.store import consents
from services.delivery_notify.store.consents import Consents

router = APIRouter(
    prefix="/v1/customers/{customer_id:path}/consents",
    tags=["customers"],
    dependencies=[Depends(require_caller("storefront", "ops"))],
    responses=PROBLEM_RESPONSE,
)


class ConsentBody(BaseModel):
    """Statement of a customer; `changed_at` is when it was made, `source` where, as a code of the shop."""

    model_config = ConfigDict(extra="forbid")

    purpose: ConsentPurpose = ConsentPurpose.LOYALTY
    channel: ConsentChannel
    granted: bool
    source: ConsentSource
    changed_at: UtcTime


class Consent(BaseModel):
    """Newest statement about one purpose and channel."""

    purpose: str
    channel: str
    granted: bool
    source: str
    stated_at: UtcTime


class ConsentRecord(Consent):
    """One statement as evidence, with the time at which it was recorded here."""

    recorded_at: UtcTime


class ConsentList(BaseModel):
    """Consents that count now, and all statements that they follow from, oldest first."""

    customer_id: str
    current: list[Consent]
    records: list[ConsentRecord]


def get_consents(request: Request) -> Consents:
    stated: Consents = request.app.state.consents
    return stated


CurrentConsents = Annotated[Consents, Depends(get_consents)]


@router.get("", summary="Consents of this customer, with their evidence")
async def show_consents(customer_id: CustomerId, service: CurrentService) -> ConsentList:
    async with service.pool.acquire() as conn:
        customer = await current_customer(conn, customer_id)
        current = await consents.current_consents(conn, customer)
        records = await consents.consent_records(conn, customer)
    return ConsentList.model_validate({"customer_id": customer_id, "current": current, "records": records})


@router.post("", status_code=201, summary="Record a consent or its withdrawal; the newest by `changed_at` counts")
async def record_consent(
    customer_id: CustomerId, body: ConsentBody, key: Key, service: CurrentService, aggregate: CurrentConsents
) -> JSONResponse:
    stated = RecordConsent(customer_id=customer_id, **body.model_dump())

    def answer(facts: Facts) -> Answer:
        recorded: dict[str, Any] = {"customer_id": customer_id, **body.model_dump(mode="json")}
        return Answer(201, recorded)

    return (await service.execute(aggregate, service.event(stated), idempotency=key, answer=answer)).response()
