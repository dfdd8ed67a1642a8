"""Required details of reports as data (`required_details.toml`), and the details that one report lacks. Pure."""

import tomllib
from collections.abc import Collection, Iterable
from datetime import timedelta
from decimal import Decimal
from enum import StrEnum
from functools import cached_property
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from libs.common.events.faults import fault_texts
from libs.common.events.storefront import IssueSubmitted
from libs.common.events.values import Currency, OrderLine, Reason

DEFAULT_FILE = Path(__file__).with_name("required_details.toml")


class RequiredDetail(StrEnum):
    PHOTO = "photo"
    PART = "part"
    DESCRIPTION = "description"


class NoAnswerAction(StrEnum):
    """Outcome for a report whose customer does not answer."""

    REVIEW = "review"
    CLOSE = "close"


class RequiredDetailsError(ValueError):
    """`required_details.toml` is invalid; the message names the entry and what would be right."""


class _Data(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class DetailRequirements(_Data):
    """Required details. They apply above `above_value` (per currency); None: always."""

    details: tuple[RequiredDetail, ...] = ()
    above_value: dict[Currency, Annotated[Decimal, Field(ge=0)]] | None = None
    on_no_answer: NoAnswerAction = NoAnswerAction.REVIEW


class RequirementsOverride(DetailRequirements):
    """Other requirements for some markets, product groups, or both; empty means all. Omitted fields are inherited."""

    markets: frozenset[str] = frozenset()
    groups: frozenset[str] = frozenset()

    def matches(self, market: str, groups: Collection[str | None]) -> bool:
        return (not self.markets or market in self.markets) and (not self.groups or bool(self.groups & set(groups)))

    def apply_to(self, requirements: DetailRequirements) -> DetailRequirements:
        names = set(DetailRequirements.model_fields)
        fields = {name: getattr(self if name in self.model_fields_set else requirements, name) for name in names}
        return DetailRequirements.model_construct(**fields)


class ReasonRequirements(DetailRequirements):
    overrides: tuple[RequirementsOverride, ...] = ()

    def for_products(self, market: str, groups: Collection[str | None]) -> DetailRequirements:
        return next((merged for override, merged in self._merged if override.matches(market, groups)), self)

    @cached_property
    def _merged(self) -> tuple[tuple[RequirementsOverride, DetailRequirements], ...]:
        return tuple((override, override.apply_to(self)) for override in self.overrides)


class RequiredDetailsPolicy(_Data):
    """Content of `required_details.toml`; a reason without a table requires nothing."""

    version: Annotated[int, Field(ge=1)]
    grace_minutes: Annotated[int, Field(ge=0, le=1440)]
    answer_open_days: Annotated[int, Field(ge=1, le=60)]
    remind_open_days: tuple[Annotated[int, Field(ge=1, le=60)], ...]
    review_open_days: Annotated[int, Field(ge=1, le=30)]
    reasons: dict[Reason, ReasonRequirements]

    @property
    def grace_period(self) -> timedelta:
        return timedelta(minutes=self.grace_minutes)

    def for_report(
        self, submission: IssueSubmitted, market: str, bought: Collection[OrderLine]
    ) -> DetailRequirements | None:
        """Return the requirements of this report about these lines; None for most."""
        reason = self.reasons.get(submission.reason)
        if reason is None:
            return None
        requirements = reason.for_products(market, {line.product_group for line in bought})
        return requirements if requirements.details and _is_above_value(requirements, submission, bought) else None


def _is_above_value(requirements: DetailRequirements, submission: IssueSubmitted, bought: Iterable[OrderLine]) -> bool:
    limits = requirements.above_value
    if limits is None:
        return True
    quantities = {line.line_id: line.quantity for line in submission.lines}
    value: dict[str, Decimal] = {}
    for line in bought:
        price = line.unit_price
        value[price.currency] = value.get(price.currency, Decimal()) + price.amount * quantities[line.line_id]
    return any(amount > limits[currency] for currency, amount in value.items() if currency in limits)


def missing_details(
    required: Iterable[RequiredDetail], submission: IssueSubmitted, photos: Collection[str]
) -> tuple[RequiredDetail, ...]:
    """Return the required details that a report lacks; `photos` are those known to be stored."""
    provided = {
        RequiredDetail.PHOTO: bool(photos),
        RequiredDetail.PART: all(line.part or line.parts for line in submission.lines),
        RequiredDetail.DESCRIPTION: bool(submission.description and submission.description.strip()),
    }
    return tuple(detail for detail in required if not provided[detail])


def read_required_details(file: Path = DEFAULT_FILE) -> RequiredDetailsPolicy:
    """Read and validate the file. Raises `RequiredDetailsError`."""
    try:
        return RequiredDetailsPolicy.model_validate(tomllib.loads(file.read_text(encoding="utf-8")))
    except ValidationError as error:
        raise RequiredDetailsError(f"{file.name}: {fault_texts(error, 'details')[0]}") from error
    except tomllib.TOMLDecodeError as error:
        raise RequiredDetailsError(f"{file.name}: {error}") from error
