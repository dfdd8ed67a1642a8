"""Texts of the faults in an operator's file."""

from typing import Annotated, Any

import pytest
from pydantic import BaseModel, Field, ValidationError, model_validator

from libs.common.events.faults import fault_texts


class Limits(BaseModel):
    days: dict[Annotated[str, Field(max_length=2)], int] = {}
    hours: int = 1

    @model_validator(mode="after")
    def _some_time(self) -> "Limits":
        if not self.hours:
            raise ValueError("allow at least an hour")
        return self


def texts(content: dict[str, Any], whole: str = "limits") -> list[str]:
    with pytest.raises(ValidationError) as caught:
        Limits.model_validate(content)
    return fault_texts(caught.value, whole)


@pytest.mark.parametrize(
    ("content", "text"),
    [
        ({"days": {"jp": "x"}}, "days.jp: Input should be a valid integer, unable to parse string as an integer"),
        ({"days": {"long": 1}}, "days.long: String should have at most 2 characters"),
        ({"hours": 0}, "limits: allow at least an hour"),
    ],
)
def test_a_fault_names_its_key_and_what_is_wrong(content: dict[str, Any], text: str) -> None:
    assert texts(content) == [text]


def test_every_fault_is_named() -> None:
    assert len(texts({"days": {"jp": "x"}, "hours": "y"})) == 2


def test_a_fault_of_no_single_key_stands_alone_where_the_file_has_no_name() -> None:
    assert texts({"hours": 0}, "") == ["allow at least an hour"]
