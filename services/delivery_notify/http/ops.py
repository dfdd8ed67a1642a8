"""Ops routes: staff notices, and removal of an address from the suppression list."""

from typing import Annotated

from fastapi import APIRouter, Depends
from pydantic import BaseModel, ConfigDict, StringConstraints

from libs.common.events.values.texts import mail_address
from libs.common.http.api_keys import require_caller
from libs.common.http.problems import PROBLEM_RESPONSE
from libs.common.runtime.dependencies import CurrentService
from services.delivery_notify.http.preferences import ChannelName
from services.delivery_notify.store import preferences, staff_notices
from services.delivery_notify.store.contacts import reachable_number

router = APIRouter(
    prefix="/ops", tags=["ops"], dependencies=[Depends(require_caller("ops"))], responses=PROBLEM_RESPONSE
)

MAX_STAFF_NOTICES = 200


class AddressBody(BaseModel):
    model_config = ConfigDict(extra="forbid")

    channel: ChannelName
    address: Annotated[str, StringConstraints(min_length=1, max_length=254)]


class StaffNoticeView(BaseModel):
    kind: str
    status: str
    made_at: str
    facts: dict[str, str]


@router.get("/staff-notices", summary="Events that need staff, newest first, with their delivery status")
async def list_staff_notices(service: CurrentService) -> list[StaffNoticeView]:
    async with service.pool.acquire() as conn:
        rows = await staff_notices.list_latest(conn, MAX_STAFF_NOTICES)
    return [StaffNoticeView.model_validate(row) for row in rows]


@router.post("/addresses/allow", summary="Remove an address from the suppression list")
async def allow_address(body: AddressBody, service: CurrentService) -> dict[str, bool]:
    """Addresses are compared in the form in which they are stored: E.164 for SMS, an ASCII domain for mail."""
    stored = reachable_number(body.address) if body.channel == "sms" else mail_address(body.address)
    async with service.pool.acquire() as conn:
        lifted = await preferences.unsuppress_address(conn, body.channel, stored or body.address)
    return {"was_suppressed": lifted}
