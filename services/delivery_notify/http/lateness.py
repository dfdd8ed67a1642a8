"""Forecast of lateness by HTTP: the delays of each warehouse and carrier, and the promises due today."""

from collections.abc import Mapping
from datetime import date, timedelta

from fastapi import APIRouter, Depends
from pydantic import BaseModel

from libs.common.http.api_keys import require_caller
from libs.common.http.problems import PROBLEM_RESPONSE
from libs.common.runtime.dependencies import CurrentService
from services.delivery_notify.domain.lateness import Forecast, Party, expected_day, forecasts, is_too_late
from services.delivery_notify.domain.promise_accuracy import Dimension
from services.delivery_notify.domain.staff_notices import StaffKind
from services.delivery_notify.store.conversations import Conversations
from services.delivery_notify.store.lateness import read_due, read_history
from services.delivery_notify.store.staff_notices import list_facts

WARNED_SPAN = timedelta(days=30)
MAX_WARNINGS = 50

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


class WarningView(BaseModel):
    """A warning to staff before the cutoff of `day`: of the `due` promises of that day `expected_late` were expected to
    be late, by the history until `expected_by`; `order_ids` are those with the earliest limit."""

    by: Dimension
    name: str
    day: date
    due: int
    expected_late: int
    expected_by: date
    order_ids: list[str]


class ForecastList(BaseModel):
    """Forecast of today, and the warnings of the last 30 days, newest first."""

    today: date
    level: float
    minimum_dates: int
    parties: list[ForecastView]
    warnings: list[WarningView]


@router.get("", summary="Delays to expect of each warehouse and carrier, from the shop's own history, and warnings")
async def show_forecast(service: CurrentService) -> ForecastList:
    conversations = service.aggregates["conversations"]
    assert isinstance(conversations, Conversations)
    rules = conversations.rules
    today = rules.calendar.day(service.clock.now())
    async with service.pool.acquire() as conn:
        history = await read_history(conn, today - rules.forecast.history, today, rules.calendar.zone)
        due = await read_due(conn, today)
        warned = await list_facts(conn, StaffKind.LATENESS_EXPECTED, service.clock.now() - WARNED_SPAN, MAX_WARNINGS)
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
        warnings=[_warning(facts) for facts in warned],
    )


def _warning(facts: Mapping[str, str]) -> WarningView:
    dimension, _, name = facts["party"].partition(" ")
    return WarningView(
        by=Dimension(dimension),
        name=name,
        day=date.fromisoformat(facts["day"]),
        due=int(facts["due"]),
        expected_late=int(facts["expected_late"]),
        expected_by=date.fromisoformat(facts["expected_by"]),
        order_ids=facts["orders"].split(", "),
    )
