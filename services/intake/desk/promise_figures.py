"""Accuracy of promises for the insights page, read from delivery_notify, which owns the promises.

Read at each view by the ops key of the desk. Rejected: an event per promise into a read model of intake, which would be
a second figure for one question and wrong after each restore of one of the two; and a link to another page, which
separates the figure from those that it explains.
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date

from pydantic import BaseModel, TypeAdapter, ValidationError

from services.intake.desk.dead_letters import DeadLetterClient, OpsUnreachableError

OWNER = "delivery_notify"
DIMENSIONS = ("warehouse", "carrier", "product_group")


class AccuracyRow(BaseModel):
    """First dates of one subject and name, as delivery_notify answers; shares are from 0 to 1."""

    subject: str
    name: str
    kept: int
    missed: int
    released: int
    open: int
    share: float | None
    low: float
    high: float


class ForecastRow(BaseModel):
    """Delays of one warehouse or carrier in open days, as delivery_notify answers; None without enough dates."""

    by: str
    name: str
    dates: int | None
    late: int | None
    delay: int | None
    due_today: int
    expected_day: date | None
    too_late: int


class LatenessWarningRow(BaseModel):
    """A warning before the cutoff of a day, as delivery_notify answers."""

    by: str
    name: str
    day: date
    due: int
    expected_late: int
    expected_by: date
    order_ids: list[str]


class LatenessForecast(BaseModel):
    level: float
    parties: list[ForecastRow]
    warnings: list[LatenessWarningRow]


_ROWS = TypeAdapter(list[AccuracyRow])


@dataclass(frozen=True, slots=True)
class PromiseFigures:
    """Accuracy by dimension and subject; without `answers` delivery_notify did not answer."""

    answers: bool
    groups: Mapping[tuple[str, str], Sequence[AccuracyRow]]
    forecast: LatenessForecast | None = None

    @property
    def has_outcomes(self) -> bool:
        """Return whether some first date was kept or missed."""
        return any(row.share is not None for rows in self.groups.values() for row in rows)


async def read_promise_figures(client: DeadLetterClient, first: date, last: date) -> PromiseFigures | None:
    """Return the figures of these days; None if the desk does not know the address of delivery_notify."""
    if OWNER not in client.urls:
        return None
    forecast = asyncio.ensure_future(_read_forecast(client))
    try:
        found = await asyncio.gather(*(_read(client, dimension, first, last) for dimension in DIMENSIONS))
    except (OpsUnreachableError, ValidationError):
        return PromiseFigures(False, {}, await forecast)
    groups: dict[tuple[str, str], list[AccuracyRow]] = {}
    for dimension, rows in zip(DIMENSIONS, found, strict=True):
        for row in rows:
            groups.setdefault((dimension, row.subject), []).append(row)
    return PromiseFigures(True, groups, await forecast)


async def _read_forecast(client: DeadLetterClient) -> LatenessForecast | None:
    """Return the forecast; None if delivery_notify does not answer with one."""
    try:
        return LatenessForecast.model_validate(await client.read(OWNER, "/v1/promises/forecast", "parties"))
    except (OpsUnreachableError, ValidationError):
        return None


async def _read(client: DeadLetterClient, dimension: str, first: date, last: date) -> list[AccuracyRow]:
    path = f"/v1/promises/accuracy?by={dimension}&since={first.isoformat()}&until={last.isoformat()}"
    return _ROWS.validate_python((await client.read(OWNER, path, "groups"))["groups"])
