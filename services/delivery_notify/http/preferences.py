"""How a customer wants to be reached: told by the storefront, or by ops. Turning service notices off is not offered."""

from typing import Annotated, Literal

import phonenumbers
from fastapi import APIRouter, Depends, Path
from fastapi.responses import JSONResponse
from pydantic import AfterValidator, BaseModel, ConfigDict, StringConstraints, field_validator

from libs.common.events.values import Language
from libs.common.http.idempotency import answer_once
from libs.common.http.problems import PROBLEM_RESPONSE, Answer, IdempotencyKey, Problem, idempotency_key
from libs.common.runtime.service import Service
from services.delivery_notify.store import preferences
from services.delivery_notify.store import staff_notices as staff_store
from services.delivery_notify.store.preferences import ContactPreferences

CustomerId = Annotated[str, Path(min_length=1, max_length=128)]


def _telephone(number: str) -> str:
    try:
        parsed = phonenumbers.parse(number, "JP")
    except phonenumbers.NumberParseException:
        raise ValueError("write a telephone number, with its country: +81 90 1234 5678") from None
    if not phonenumbers.is_possible_number(parsed):
        raise ValueError("no telephone has this number; write it with its country: +81 90 1234 5678")
    return phonenumbers.format_number(parsed, phonenumbers.PhoneNumberFormat.E164)


class PreferencesBody(BaseModel):
    """`channels` in the order in which to try them; those that are not named are tried after them."""

    model_config = ConfigDict(extra="forbid")

    channels: tuple[Literal["email", "line", "sms"], ...] = ()
    language: Language | None = None
    line_user_id: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]{1,64}$")] | None = None
    phone: Annotated[str, StringConstraints(max_length=40), AfterValidator(_telephone)] | None = None

    @field_validator("channels")
    @classmethod
    def _once_each(cls, channels: tuple[str, ...]) -> tuple[str, ...]:
        if len(set(channels)) < len(channels):
            raise ValueError("name each channel once")
        return channels


class AddressBody(BaseModel):
    model_config = ConfigDict(extra="forbid")

    channel: Literal["email", "line", "sms"]
    address: Annotated[str, StringConstraints(min_length=1, max_length=254)]


def routes(service: Service) -> APIRouter:
    allowed = Depends(service.require_caller("storefront", "ops"))
    router = APIRouter(
        prefix="/v1/customers/{customer_id}/preferences",
        tags=["customers"],
        dependencies=[allowed],
        responses=PROBLEM_RESPONSE,
    )
    Key = Annotated[IdempotencyKey, Depends(idempotency_key)]  # noqa: N806 - a type

    @router.get("", summary="How this customer wants to be reached")
    async def show(customer_id: CustomerId) -> PreferencesBody:
        async with service.pool.acquire() as conn:
            found = await preferences.read_preferences(conn, customer_id)
        if found is None:
            raise Problem(404, "no_preferences", "customer_id: has chosen nothing; notices go by mail.")
        language = Language(found.language) if found.language else None
        return PreferencesBody.model_validate(
            {
                "channels": found.channels,
                "language": language,
                "line_user_id": found.line_user_id,
                "phone": found.phone,
            }
        )

    @router.put("", summary="All of it at once: what is left out is forgotten")
    async def put(customer_id: CustomerId, body: PreferencesBody, key: Key) -> JSONResponse:
        wanted = ContactPreferences(body.channels, body.language, body.line_user_id, body.phone)
        async with service.transaction() as tx:

            async def save() -> Answer:
                await preferences.save_preferences(tx.conn, customer_id, wanted, tx.now)
                return Answer(200, {"customer_id": customer_id, "channels": list(body.channels)})

            answer = await answer_once(tx.conn, key, save)
        return answer.response()

    @router.delete("", summary="Forget what this customer chose")
    async def forget(customer_id: CustomerId, key: Key) -> JSONResponse:
        async with service.transaction() as tx:

            async def delete() -> Answer:
                found = await preferences.delete_preferences(tx.conn, customer_id)
                return Answer(200, {"customer_id": customer_id, "forgotten": found})

            answer = await answer_once(tx.conn, key, delete)
        return answer.response()

    return router


class StaffNoticeView(BaseModel):
    kind: str
    status: str
    made_at: str
    facts: dict[str, str]


def ops_routes(service: Service) -> APIRouter:
    ops = Depends(service.require_caller("ops"))
    router = APIRouter(prefix="/ops", tags=["ops"], dependencies=[ops], responses=PROBLEM_RESPONSE)

    @router.get("/staff-notices", summary="What needed a human, the newest first, told to staff or not")
    async def staff_notices() -> list[StaffNoticeView]:
        async with service.pool.acquire() as conn:
            return [StaffNoticeView.model_validate(row) for row in await staff_store.list_latest(conn, 200)]

    @router.post("/addresses/allow", summary="Write to an address again that had been suppressed")
    async def allow(body: AddressBody) -> dict[str, bool]:
        async with service.pool.acquire() as conn:
            return {"was_suppressed": await preferences.unsuppress_address(conn, body.channel, body.address)}

    return router
