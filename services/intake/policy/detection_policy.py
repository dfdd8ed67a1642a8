"""Cluster detection policy from `detection_policy.toml`, loaded and validated once at start."""

import tomllib
from datetime import timedelta
from enum import StrEnum
from math import log
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from libs.common.events.faults import fault_texts
from libs.common.events.products import WarningCause
from libs.common.events.values import Reason

DEFAULT_FILE = Path(__file__).with_name("detection_policy.toml")

RateMultiple = Annotated[float, Field(gt=1, le=1000)]


class DetectionPolicyError(ValueError):
    """`detection_policy.toml` is invalid; the message names the entry and the valid values."""


class ActionMode(StrEnum):
    ALWAYS = "always"
    ASK = "ask"
    NEVER = "never"


class _Data(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class BaseRatePolicy(_Data):
    prior_units: Annotated[float, Field(gt=0, le=1_000_000)]
    default_rate: Annotated[float, Field(gt=0, lt=0.5)]
    min_rate: Annotated[float, Field(gt=0, lt=0.5)]


class LotTest(_Data):
    """`false_alarm_probability` is per faultless lot; `rate_multiples` are rates of faulty lots over the base rate."""

    false_alarm_probability: Annotated[float, Field(gt=0, lt=0.5)]
    rate_multiples: Annotated[tuple[RateMultiple, ...], Field(min_length=1, max_length=10)]
    min_orders: Annotated[int, Field(ge=1, le=1000)]

    @property
    def threshold(self) -> float:
        return log(1 / self.false_alarm_probability)


class ProductTest(_Data):
    """`days_between_false_alarms` is a mean, in days with deliveries."""

    days_between_false_alarms: Annotated[float, Field(gt=1, le=1e9)]
    rate_multiple: RateMultiple
    recent_days: Annotated[int, Field(ge=7, le=3660)]
    min_orders: Annotated[int, Field(ge=1, le=1000)]

    @property
    def threshold(self) -> float:
        return log(self.days_between_false_alarms)


class ActionPolicy(_Data):
    hold: ActionMode
    warn: ActionMode
    reminder_hours: Annotated[int, Field(ge=1, le=720)]

    @property
    def reminder_interval(self) -> timedelta:
        return timedelta(hours=self.reminder_hours)


class DetectionPolicy(_Data):
    reasons: Annotated[tuple[Reason, ...], Field(min_length=1)]
    base: BaseRatePolicy
    lot: LotTest
    product: ProductTest
    actions: ActionPolicy
    warnings: dict[Reason, WarningCause]

    @model_validator(mode="after")
    def _every_reason_has_a_warning(self) -> "DetectionPolicy":
        missing = [reason.value for reason in self.reasons if reason not in self.warnings]
        if missing:
            raise ValueError(f"has no {missing[0]}; add it to [warnings], or remove it from reasons")
        return self


def load_detection_policy(file: Path = DEFAULT_FILE) -> DetectionPolicy:
    """Raises `DetectionPolicyError` if the file is invalid."""
    try:
        return DetectionPolicy(**tomllib.loads(file.read_text(encoding="utf-8")))
    except ValidationError as error:
        raise DetectionPolicyError(f"{file.name}: {fault_texts(error, 'insights')[0]}") from error
    except (tomllib.TOMLDecodeError, TypeError) as error:
        raise DetectionPolicyError(f"{file.name}: {error}") from error
