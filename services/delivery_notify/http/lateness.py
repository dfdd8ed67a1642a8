"""Forecast of lateness by HTTP: the delays of each warehouse and carrier, and the promises due today."""

from datetime import date

from fastapi import APIRouter, Depends
from pydantic import BaseModel

from libs.common.http.api_keys import require_caller
from libs.common.http.problems import PROBLEM_RESPONSE
from libs.common.runtime.dependencies import CurrentService
from services.delivery_notify.domain.lateness import Forecast, Party, expected_day, forecasts, is_too_late
from services.delivery_notify.domain.promise_accuracy import Dimension
from services.delivery_notify.store.conversations import Conversations
from services.delivery_notify.store.lateness import read_due, read_history

router = APIRouter(
    prefix="/v1/promises/forecast",
    tags=["promises"],
    dependencies=[Depends(require_caller("ops"))],
    responses=PROBLEM_RESPONSE,
)


class ForecastView(BaseModel):
    """Delays of one party in its open days: of `dates` first dates `late` were missed, half by no more than
    `median_delay`, the share `level` by no more than `delay`. `due_today` promises are not kept yet, by the history
    until `expected_day`; `too_late` of them are useful only before. Without enough dates the figures are null."""

    by: Dimension
    name: str
    dates: int | None
    late: int | None
    median_delay: int | None
    delay: int | None
    due_today: int
    expected_day: date | None
    too_late: int


class ForecastList(BaseModel):
    today: date
    level: float
    minimum_dates: int
    parties: list[ForecastView]


@router.get("", summary="Delays to expect of each warehouse and carrier, from the shop's own history")
async def show_forecast(service: CurrentService) -> ForecastList:
    conversations = service.aggregates["conversations"]
    assert isinstance(conversations, Conversations)
    rules = conversations.rules
    today = rules.calendar.day(service.clock.now())
    async with service.pool.acquire() as conn:
        history = await read_history(conn, today - rules.forecast.history, today, rules.calendar.zone)
        due = await read_due(conn, today)
    known = forecasts(history, today, rules.calendars, rules.forecast)

    def view(party: Party, found: Forecast | None) -> ForecastView:
        promises = [each for each in due if each.party == party]
        return ForecastView(
            by=party.dimension,
            name=party.name,
            dates=found and found.dates,
            late=found and found.late,
            median_delay=found and found.median,
            delay=found and found.delay,
            due_today=len(promises),
            expected_day=found and expected_day(today, found, party.calendar(rules.calendars)),
            too_late=sum(is_too_late(each, found, rules.calendars) for each in promises) if found else 0,
        )

    parties = sorted({*known, *(each.party for each in due)})
    return ForecastList(
        today=today,
        level=rules.forecast.level,
        minimum_dates=rules.forecast.minimum_dates,
        parties=[view(party, known.get(party)) for party in parties],
    )
