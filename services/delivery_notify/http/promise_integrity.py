"""Promise integrity per day: promises kept, announced before they broke, and broken in silence.

The figures come from the auditor, which reads the topics and shares no code with this service; it stores them here.
"""

from datetime import date, datetime, timedelta
from typing import Annotated

from fastapi import APIRouter, Depends, Query
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field

from libs.common.events.values import Day, UtcTime
from libs.common.http.api_keys import require_caller
from libs.common.http.idempotency import IdempotencyKey, idempotency_key
from libs.common.http.problems import PROBLEM_RESPONSE, Answer, Problem
from libs.common.runtime.dependencies import CurrentService
from libs.common.runtime.service import ServiceTransaction
from services.delivery_notify.store.promise_integrity import IntegrityOfDay, list_integrity, save_integrity

router = APIRouter(
    prefix="/v1/promises/integrity",
    tags=["promises"],
    dependencies=[Depends(require_caller("ops"))],
    responses=PROBLEM_RESPONSE,
)

LONGEST_SPAN = timedelta(days=400)
Count = Annotated[int, Field(ge=0, le=2**31 - 1)]


class OutcomesOfDay(BaseModel):
    """Promises of one day by outcome; `silent` is the number that broke without a notice before (target 0)."""

    model_config = ConfigDict(extra="ignore")

    day: Day
    kept: Count
    announced_before: Count
    silent: Count
    released: Count
    open: Count


class AuditedDays(BaseModel):
    """Result of an audit."""

    model_config = ConfigDict(extra="forbid")

    audited_at: UtcTime
    days: Annotated[list[OutcomesOfDay], Field(max_length=4000)]


class IntegrityView(OutcomesOfDay):
    made: Count
    audited_at: datetime


class IntegrityList(BaseModel):
    days: list[IntegrityView]


@router.get("", summary="Promises of each day: kept, announced before they broke, broken in silence")
async def show_integrity(
    service: CurrentService,
    first: Annotated[Day | None, Query(description="First day; default: 30 days before the last.")] = None,
    last: Annotated[Day | None, Query(description="Last day; default: today.")] = None,
) -> IntegrityList:
    to_day = last or service.clock.now().astimezone(service.settings.zone).date()
    from_day = first or max(to_day - timedelta(days=30), date(1900, 1, 1))
    if not timedelta(0) <= to_day - from_day <= LONGEST_SPAN:
        raise Problem(422, "span", f"first, last: not a span of at most {LONGEST_SPAN.days} days; write first <= last.")
    async with service.pool.acquire() as conn:
        rows = await list_integrity(conn, from_day, to_day)
    return IntegrityList(days=[IntegrityView.model_validate(row) for row in rows])


@router.put("", summary="Store the result of an audit; an older one changes nothing")
async def store_integrity(
    body: AuditedDays, key: Annotated[IdempotencyKey, Depends(idempotency_key)], service: CurrentService
) -> JSONResponse:
    days = {
        each.day: IntegrityOfDay(each.day, each.kept, each.announced_before, each.silent, each.released, each.open)
        for each in body.days
    }

    async def save(tx: ServiceTransaction) -> Answer:
        await save_integrity(tx.conn, list(days.values()), body.audited_at)
        return Answer(200, {"days": len(days)})

    return (await service.answer_once(key, save)).response()
