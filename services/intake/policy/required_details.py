"""What a report must come with, as data (`required_details.toml`), and what one report lacks. Pure."""

import tomllib
from collections.abc import Collection, Iterable
from datetime import timedelta
from decimal import Decimal
from functools import cached_property
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from libs.common.events.storefront import IssueSubmitted
from libs.common.events.values import Currency, OrderLine, Reason
from services.intake.domain.orders import Need, Purchase, Silence

DEFAULT_FILE = Path(__file__).with_name("required_details.toml")


class NeedsError(ValueError):
    """`required_details.toml` is wrong; the message names the entry and what would be right."""


class _Data(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Terms(_Data):
    """What is needed. `above`: the value per currency below which nobody is asked; None: everybody is."""

    needs: tuple[Need, ...] = ()
    above: dict[Currency, Annotated[Decimal, Field(ge=0)]] | None = None
    when_silent: Silence = Silence.REVIEW


class Override(Terms):
    """Other terms for some markets, product groups, or both; empty means all. What is not set stays as it is."""

    markets: frozenset[str] = frozenset()
    groups: frozenset[str] = frozenset()

    def fits(self, market: str, groups: Collection[str | None]) -> bool:
        return (not self.markets or market in self.markets) and (not self.groups or bool(self.groups & set(groups)))

    def over(self, terms: Terms) -> Terms:
        names = set(Terms.model_fields)
        fields = {name: getattr(self if name in self.model_fields_set else terms, name) for name in names}
        return Terms.model_construct(**fields)


class ReasonTerms(Terms):
    overrides: tuple[Override, ...] = ()

    def terms(self, market: str, groups: Collection[str | None]) -> Terms:
        return next((terms for one, terms in self._merged if one.fits(market, groups)), self)

    @cached_property
    def _merged(self) -> tuple[tuple[Override, Terms], ...]:
        return tuple((one, one.over(self)) for one in self.overrides)


class NeedsPolicy(_Data):
    """All of `required_details.toml`; a reason without a table needs nothing."""

    version: Annotated[int, Field(ge=1)]
    quiet_minutes: Annotated[int, Field(ge=0, le=1440)]
    answer_open_days: Annotated[int, Field(ge=1, le=60)]
    remind_open_days: tuple[Annotated[int, Field(ge=1, le=60)], ...]
    review_open_days: Annotated[int, Field(ge=1, le=30)]
    reasons: dict[Reason, ReasonTerms]

    @property
    def quiet(self) -> timedelta:
        return timedelta(minutes=self.quiet_minutes)

    def terms(self, said: IssueSubmitted, purchase: Purchase) -> Terms | None:
        """What is needed of this report; None where nothing is, which is most of them."""
        reason = self.reasons.get(said.reason)
        if reason is None:
            return None
        bought = [line for reported in said.lines if (line := purchase.line(reported.line_id))]
        terms = reason.terms(purchase.market, {line.product_group for line in bought})
        return terms if terms.needs and _is_worth_it(terms, said, bought) else None


def _is_worth_it(terms: Terms, said: IssueSubmitted, bought: Iterable[OrderLine]) -> bool:
    if terms.above is None:
        return True
    pieces = {line.line_id: line.quantity for line in said.lines}
    value: dict[str, Decimal] = {}
    for line in bought:
        price = line.unit_price
        value[price.currency] = value.get(price.currency, Decimal()) + price.amount * pieces[line.line_id]
    return any(amount > terms.above[currency] for currency, amount in value.items() if currency in terms.above)


def lacking(needs: Iterable[Need], said: IssueSubmitted, photos: Collection[str]) -> tuple[Need, ...]:
    """Which of these needs a report does not meet; `photos` are those that are known to be there."""
    met = {
        Need.PHOTO: bool(photos),
        Need.PART: all(line.part for line in said.lines),
        Need.DESCRIPTION: bool(said.description and said.description.strip()),
    }
    return tuple(need for need in needs if not met[need])


def read_needs(file: Path = DEFAULT_FILE) -> NeedsPolicy:
    """Raises `NeedsError` where the file is not as it should be."""
    try:
        return NeedsPolicy.model_validate(tomllib.loads(file.read_text(encoding="utf-8")))
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        raise NeedsError(f"{file.name}: {'.'.join(map(str, first['loc']))}: {first['msg']}") from error
    except tomllib.TOMLDecodeError as error:
        raise NeedsError(f"{file.name}: {error}") from error
