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


_ROWS = TypeAdapter(list[AccuracyRow])


@dataclass(frozen=True, slots=True)
class PromiseFigures:
    """Accuracy by dimension and subject; without `answers` delivery_notify did not answer."""

    answers: bool
    groups: Mapping[tuple[str, str], Sequence[AccuracyRow]]

    @property
    def has_outcomes(self) -> bool:
        """Return whether some first date was kept or missed."""
        return any(row.share is not None for rows in self.groups.values() for row in rows)


async def read_promise_figures(client: DeadLetterClient, first: date, last: date) -> PromiseFigures | None:
    """Return the figures of these days; None if the desk does not know the address of delivery_notify."""
    if OWNER not in client.urls:
        return None
    try:
        found = await asyncio.gather(*(_read(client, dimension, first, last) for dimension in DIMENSIONS))
    except (OpsUnreachableError, ValidationError):
        return PromiseFigures(False, {})
    groups: dict[tuple[str, str], list[AccuracyRow]] = {}
    for dimension, rows in zip(DIMENSIONS, found, strict=True):
        for row in rows:
            groups.setdefault((dimension, row.subject), []).append(row)
    return PromiseFigures(True, groups)


async def _read(client: DeadLetterClient, dimension: str, first: date, last: date) -> list[AccuracyRow]:
    path = f"/v1/promises/accuracy?by={dimension}&since={first.isoformat()}&until={last.isoformat()}"
    return _ROWS.validate_python((await client.read(OWNER, path, "groups"))["groups"])
