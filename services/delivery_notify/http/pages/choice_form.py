"""Parser of the choice page's form."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date

from libs.common.events.notices import ChangeSubject
from libs.common.events.values import Address, Choice
from libs.common.events.values.texts import UNKNOWN_COUNTRY

MAX_FIELD_LENGTH = 120
"""Longer input is cut; the page shows the cut text again if the form is incomplete."""

_REQUIRED = ("name", "postal_code", "country", "city", "street")
_FIELDS = ("change", "requested_date", "requested_sku", *Address.model_fields)


@dataclass(frozen=True, slots=True)
class ChoiceForm:
    """Submitted form. `entered` holds the non-empty fields, each on one line, to show them again."""

    choice: Choice | None
    change: ChangeSubject
    entered: dict[str, str]

    @property
    def requested_date(self) -> date | None:
        try:
            return date.fromisoformat(self.entered["requested_date"])
        except (KeyError, ValueError):
            return None

    @property
    def requested_sku(self) -> str | None:
        return self.entered.get("requested_sku")

    @property
    def address(self) -> Address | None:
        """Return the whole address; a form is stricter than an order of the shop, which may lack some of it."""
        if not all(self.entered.get(name) for name in _REQUIRED):
            return None
        address = Address.model_validate(self.entered)
        return None if address.country == UNKNOWN_COUNTRY else address


def one_line(text: str) -> str:
    """Return text as a form holds it: on one line, cut at the limit."""
    return " ".join(text.split())[:MAX_FIELD_LENGTH]


def parse_form(fields: Mapping[str, str]) -> ChoiceForm:
    lines = {name: one_line(fields.get(name, "")) for name in _FIELDS}
    choice, change = fields.get("choice"), fields.get("change")
    return ChoiceForm(
        Choice(choice) if choice in set(Choice) else None,
        ChangeSubject(change) if change in set(ChangeSubject) else ChangeSubject.DATE,
        {name: line for name, line in lines.items() if line},
    )
