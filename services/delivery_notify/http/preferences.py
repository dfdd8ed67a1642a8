"""Contact preferences of a customer, set by storefront or ops. Service notices cannot be turned off."""

from typing import Annotated, Literal

import phonenumbers
from fastapi import APIRouter, Depends, Path
from fastapi.responses import JSONResponse
from pydantic import AfterValidator, BaseModel, ConfigDict, StringConstraints, field_validator

from libs.common.events.values import language_of
from libs.common.events.values.people import LanguageTag
from libs.common.http.api_keys import require_caller
from libs.common.http.idempotency import IdempotencyKey, idempotency_key
from libs.common.http.problems import PROBLEM_RESPONSE, Answer, Problem
from libs.common.runtime.dependencies import CurrentService
from libs.common.runtime.service import ServiceTransaction
from services.delivery_notify.store import preferences
from services.delivery_notify.store.preferences import ContactPreferences

router = APIRouter(
    prefix="/v1/customers/{customer_id:path}/preferences",
    tags=["customers"],
    dependencies=[Depends(require_caller("storefront", "ops"))],
    responses=PROBLEM_RESPONSE,
)

CustomerId = Annotated[str, Path(min_length=1, max_length=128)]
Key = Annotated[IdempotencyKey, Depends(idempotency_key)]
ChannelName = Literal["email", "line", "sms"]


def _to_e164(number: str) -> str:
    try:
        parsed = phonenumbers.parse(number, "JP")
    except phonenumbers.NumberParseException:
        raise ValueError("must be a telephone number with its country: +81 90 1234 5678") from None
    if not phonenumbers.is_possible_number(parsed):
        raise ValueError("must be a possible telephone number with its country: +81 90 1234 5678")
    return phonenumbers.format_number(parsed, phonenumbers.PhoneNumberFormat.E164)


class PreferencesBody(BaseModel):
    """`channels` in order of preference; channels that are not named are tried after them."""

    model_config = ConfigDict(extra="forbid")

    channels: tuple[ChannelName, ...] = ()
    language: LanguageTag | None = None
    line_user_id: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]{1,64}$")] | None = None
    phone: Annotated[str, StringConstraints(max_length=40), AfterValidator(_to_e164)] | None = None

    @field_validator("channels")
    @classmethod
    def _unique(cls, channels: tuple[str, ...]) -> tuple[str, ...]:
        if len(set(channels)) < len(channels):
            raise ValueError("contains a channel twice; name each channel once")
        return channels


@router.get("", summary="Contact preferences of this customer")
async def show_preferences(customer_id: CustomerId, service: CurrentService) -> PreferencesBody:
    async with service.pool.acquire() as conn:
        stored = await preferences.read_preferences(conn, customer_id)
    if stored is None:
        raise Problem(404, "no_preferences", "customer_id: no preferences stored; notices go by mail.")
    return PreferencesBody.model_validate(
        {
            "channels": stored.channels,
            "language": language_of(stored.language) if stored.language else None,
            "line_user_id": stored.line_user_id,
            "phone": stored.phone,
        }
    )


@router.put("", summary="Replace all contact preferences; fields that are left out are deleted")
async def put_preferences(
    customer_id: CustomerId, body: PreferencesBody, key: Key, service: CurrentService
) -> JSONResponse:
    new = ContactPreferences(body.channels, body.language, body.line_user_id, body.phone)

    async def save(tx: ServiceTransaction) -> Answer:
        await preferences.save_preferences(tx.conn, customer_id, new, tx.now)
        return Answer(200, {"customer_id": customer_id, "channels": list(body.channels)})

    return (await service.answer_once(key, save)).response()


@router.delete("", summary="Delete the contact preferences of this customer")
async def delete_preferences(customer_id: CustomerId, key: Key, service: CurrentService) -> JSONResponse:

    async def delete(tx: ServiceTransaction) -> Answer:
        deleted = await preferences.delete_preferences(tx.conn, customer_id)
        return Answer(200, {"customer_id": customer_id, "deleted": deleted})

    return (await service.answer_once(key, delete)).response()
