"""Parser of the choice page's form."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date

from pydantic import ValidationError

from libs.common.events.notices import ChangeSubject
from libs.common.events.values import Address, Choice

MAX_FIELD_LENGTH = 120
"""Longer input is cut; the page shows the cut text again if the form is incomplete."""

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
        country = self.entered.get("country", "").upper()
        try:
            return Address.model_validate({**self.entered, "country": country})
        except ValidationError:
            return None


def parse_form(fields: Mapping[str, str]) -> ChoiceForm:
    lines = {name: " ".join(fields.get(name, "").split())[:MAX_FIELD_LENGTH] for name in _FIELDS}
    choice, change = fields.get("choice"), fields.get("change")
    return ChoiceForm(
        Choice(choice) if choice in set(Choice) else None,
        ChangeSubject(change) if change in set(ChangeSubject) else ChangeSubject.DATE,
        {name: line for name, line in lines.items() if line},
    )
