"""How the shop learns, as data: `insights.toml`, read and checked once at start."""

import tomllib
from datetime import timedelta
from enum import StrEnum
from math import log
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from libs.common.events.products import WarningCause
from libs.common.events.values import Reason

DEFAULT_FILE = Path(__file__).with_name("insights.toml")

Times = Annotated[float, Field(gt=1, le=1000)]


class InsightsError(ValueError):
    """`insights.toml` is wrong; the message names the entry and what would be right."""


class Switch(StrEnum):
    ALWAYS = "always"
    ASK = "ask"
    NEVER = "never"


class _Data(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Base(_Data):
    prior_pieces: Annotated[float, Field(gt=0, le=1_000_000)]
    usual_rate: Annotated[float, Field(gt=0, lt=0.5)]
    least_rate: Annotated[float, Field(gt=0, lt=0.5)]


class LotTest(_Data):
    """`false_alarm` is a probability per good lot, `times` the rates of a bad one as multiples of the base rate."""

    false_alarm: Annotated[float, Field(gt=0, lt=0.5)]
    times: Annotated[tuple[Times, ...], Field(min_length=1, max_length=10)]
    least_orders: Annotated[int, Field(ge=1, le=1000)]

    @property
    def threshold(self) -> float:
        return log(1 / self.false_alarm)


class ProductTest(_Data):
    """`days_between_false_alarms` is a mean, in days on which something arrived."""

    days_between_false_alarms: Annotated[float, Field(gt=1, le=1e9)]
    times: Times
    recent_days: Annotated[int, Field(ge=7, le=3660)]
    least_orders: Annotated[int, Field(ge=1, le=1000)]

    @property
    def threshold(self) -> float:
        return log(self.days_between_false_alarms)


class Act(_Data):
    hold: Switch
    warn: Switch
    answer_hours: Annotated[int, Field(ge=1, le=720)]

    @property
    def answer_time(self) -> timedelta:
        return timedelta(hours=self.answer_hours)


class Policy(_Data):
    reasons: Annotated[tuple[Reason, ...], Field(min_length=1)]
    base: Base
    lot: LotTest
    product: ProductTest
    act: Act
    warnings: dict[Reason, WarningCause]

    @model_validator(mode="after")
    def _every_reason_has_a_warning(self) -> "Policy":
        missing = [reason.value for reason in self.reasons if reason not in self.warnings]
        if missing:
            raise ValueError(f"add {missing[0]} to [warnings], or leave it out of reasons")
        return self


def read_policy(file: Path = DEFAULT_FILE) -> Policy:
    """Raises `InsightsError` where the file is not as it should be."""
    try:
        return Policy(**tomllib.loads(file.read_text(encoding="utf-8")))
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(map(str, first["loc"]))
        raise InsightsError(f"{file.name}: {where or 'insights'}: {first['msg']}") from error
    except (tomllib.TOMLDecodeError, TypeError) as error:
        raise InsightsError(f"{file.name}: {error}") from error
