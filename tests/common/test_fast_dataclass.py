"""The fast `dataclass` beside the standard one: everything but the refusal of assignments is the same."""

import dataclasses
import pickle
from typing import Any

import pytest

from libs.common.decisions.fast_dataclass import dataclass
from libs.common.decisions.fast_replace import replace


@dataclass(frozen=True, slots=True)
class Fast:
    name: str
    counts: tuple[int, ...] = ()
    seen: dict[str, int] = dataclasses.field(default_factory=dict, compare=False)


@dataclasses.dataclass(frozen=True, slots=True)
class Standard:
    name: str
    counts: tuple[int, ...] = ()
    seen: dict[str, int] = dataclasses.field(default_factory=dict, compare=False)


@dataclass(frozen=True)
class Plain:
    name: str
    number: int = 0


def test_equal_values_are_equal_and_have_one_hash() -> None:
    assert Fast("a", (1,)) == Fast("a", (1,), {"x": 1})
    assert {Fast("a"), Fast("a", (), {"x": 1})} == {Fast("a")}
    assert hash(Fast("a", (1,))) == hash(Standard("a", (1,)))


def test_the_representation_is_the_standard_one() -> None:
    assert repr(Fast("a")) == repr(Standard("a")).replace("Standard", "Fast")


def test_slots_leave_no_dictionary() -> None:
    assert not hasattr(Fast("a"), "__dict__")


@pytest.mark.parametrize("value", [Fast("a", (1,)), Plain("a", 1)])
def test_a_copy_with_changes_leaves_the_value_as_it_is(value: Any) -> None:
    assert replace(value, name="b").name == "b"
    assert dataclasses.replace(value, name="b").name == "b"
    assert value.name == "a"


def test_a_value_can_be_pickled() -> None:
    assert pickle.loads(pickle.dumps(Fast("a", (1,)))) == Fast("a", (1,))


def test_fields_are_set_without_the_guard_of_frozen_classes() -> None:
    assert "__setattr__" not in vars(Fast)
    assert "__setattr__" in vars(Standard)
