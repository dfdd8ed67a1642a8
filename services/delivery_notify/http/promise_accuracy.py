"""Accuracy of promises by HTTP: the share of first dates that were kept."""

from datetime import date, timedelta
from typing import Annotated

from fastapi import APIRouter, Depends, Query
from pydantic import BaseModel

from libs.common.events.values import Day
from libs.common.http.api_keys import require_caller
from libs.common.http.problems import PROBLEM_RESPONSE, Problem
from libs.common.runtime.dependencies import CurrentService
from services.delivery_notify.domain.promise_accuracy import Accuracy, Dimension, accuracies
from services.delivery_notify.store.promise_accuracy import count_outcomes

router = APIRouter(
    prefix="/v1/promises/accuracy",
    tags=["promises"],
    dependencies=[Depends(require_caller("ops"))],
    responses=PROBLEM_RESPONSE,
)

LONGEST_SPAN = timedelta(days=400)
DEFAULT_SPAN = timedelta(days=30)


class AccuracyView(BaseModel):
    """First dates of one subject and name. `share` is kept / (kept + missed), null without either; `low` and `high` are
    its 95 % Wilson interval."""

    subject: str
    name: str
    kept: int
    missed: int
    released: int
    open: int
    unknown: int
    share: float | None
    low: float
    high: float


class AccuracyList(BaseModel):
    by: Dimension
    since: date
    until: date
    groups: list[AccuracyView]


@router.get("", summary="Share of first dates that were kept, by warehouse, carrier or product group")
async def show_accuracy(
    service: CurrentService,
    by: Annotated[Dimension, Query(description="What the dates are grouped by; a name not known is `unknown`.")],
    since: Annotated[Day | None, Query(description="First day of the dates; default: 30 days before the last.")] = None,
    until: Annotated[Day | None, Query(description="Last day of the dates; default: today.")] = None,
) -> AccuracyList:
    zone = service.settings.zone
    today = service.clock.now().astimezone(zone).date()
    last = until or today
    first = since or max(last, date(1900, 1, 1) + DEFAULT_SPAN) - DEFAULT_SPAN
    if not timedelta(0) <= last - first <= LONGEST_SPAN:
        detail = f"since, until: not a span of at most {LONGEST_SPAN.days} days; write since <= until."
        raise Problem(422, "span", detail)
    async with service.pool.acquire() as conn:
        counts = await count_outcomes(conn, by, first, last, today, zone)
    return AccuracyList(by=by, since=first, until=last, groups=[_view(each) for each in accuracies(counts)])


def _view(accuracy: Accuracy) -> AccuracyView:
    kept = accuracy.kept
    return AccuracyView(
        subject=accuracy.subject,
        name=accuracy.name,
        kept=kept.part,
        missed=accuracy.missed,
        released=accuracy.released,
        open=accuracy.open,
        unknown=accuracy.unknown,
        share=kept.share,
        low=kept.low,
        high=kept.high,
    )
