"""Fast `replace` with the results of the standard one."""

import dataclasses
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.common.decisions.fast_replace import replace


@dataclass(frozen=True)
class Leg:
    status: str = "none"
    count: int = 0
    names: tuple[str, ...] = ()


@dataclass(frozen=True)
class Longer(Leg):
    due: int | None = None


@dataclass(frozen=True)
class Single:
    only: int = 0


@given(
    old=st.builds(Longer, st.text(), st.integers(), st.tuples(st.text()), st.none() | st.integers()),
    changes=st.fixed_dictionaries({}, optional={"status": st.text(), "count": st.integers(), "due": st.integers()}),
)
def test_it_makes_what_the_standard_library_makes(old: Longer, changes: dict[str, Any]) -> None:
    assert replace(old, **changes) == dataclasses.replace(old, **changes)


def test_the_old_state_stays_as_it_was() -> None:
    old = Leg("none", 1)
    assert (replace(old, count=2), old) == (Leg("none", 2), Leg("none", 1))


def test_a_class_with_one_field_is_replaced_too() -> None:
    assert replace(Single(1), only=2) == Single(2)


def test_a_field_that_there_is_not_is_named() -> None:
    with pytest.raises(TypeError, match="cuont"):
        replace(Leg(), cuont=1)  # type: ignore[call-arg]


def test_of_a_class_with_slots_it_makes_what_the_standard_library_makes() -> None:
    @dataclass(frozen=True, slots=True)
    class Slotted:
        count: int
        name: str = "none"

    assert replace(Slotted(1, "a"), count=2) == Slotted(2, "a")
    assert replace(Slotted(1, "a")) == Slotted(1, "a")


def test_where_the_init_does_more_it_is_done() -> None:
    @dataclass(frozen=True)
    class Checked:
        count: int

        def __post_init__(self) -> None:
            if self.count < 0:
                raise ValueError("below nothing")

    with pytest.raises(ValueError, match="below nothing"):
        replace(Checked(1), count=-1)


def test_what_was_worked_out_for_the_old_state_is_not_taken_over() -> None:
    @dataclass(frozen=True)
    class Summed:
        count: int

        @cached_property
        def double(self) -> int:
            return 2 * self.count

    old = Summed(1)
    assert (old.double, replace(old, count=2).double) == (2, 4)
