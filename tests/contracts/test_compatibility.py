"""Compatibility rule of schemas, tested on changed models."""

import copy
from collections.abc import Callable
from datetime import date
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, ClassVar

import pytest
from pydantic import Field

from libs.common.events import schemas_export
from libs.common.events.compatibility import faults
from libs.common.events.issues import IssueAccepted, IssueEvent, IssueResolved
from libs.common.events.schemas_export import export, path_of, schema_of, text_of
from libs.common.events.values import Fault, Money, Reason, UtcTime, Value

PUBLISHED = schema_of(IssueResolved)


class Remedy(StrEnum):
    REPLACEMENT = "replacement"
    PART_SHIPMENT = "part_shipment"
    REFUND = "refund"
    STORE_CREDIT = "store_credit"


class FewerReasons(StrEnum):
    DEFECTIVE = "defective"


class MoneyWithoutCurrency(Value):
    amount: str


class Same(IssueEvent):
    """Copy of `IssueResolved` to be changed."""

    TYPE: ClassVar = "issue.resolved.v1"

    remedy: Remedy
    reason: Reason
    fault: Fault
    value: Money
    resolution: Annotated[int, Field(ge=1)] = 1
    resolved_at: UtcTime
    waited_days: Annotated[int, Field(ge=0)] = 0
    promises_broken: Annotated[int, Field(ge=0)] = 0
    requested_remedy_granted: bool = True


class WithAnOptionalField(Same):
    satisfaction: int | None = None


class WithARequiredField(Same):
    satisfaction: int


class WithAnotherType(Same):
    resolution: str = "1"  # type: ignore[assignment]


class WithANarrowerNumber(Same):
    resolution: Annotated[int, Field(ge=1, le=3)] = 1


class WithADateForATime(Same):
    resolved_at: date  # type: ignore[assignment]


class WithAnOptionalReason(Same):
    reason: Reason | None = None  # type: ignore[assignment]


class WithFewerReasons(Same):
    reason: FewerReasons  # type: ignore[assignment]


class WithLessMoney(Same):
    value: MoneyWithoutCurrency  # type: ignore[assignment]


class WithoutAField(IssueEvent):
    TYPE: ClassVar = "issue.resolved.v1"

    remedy: Remedy
    reason: Reason
    value: Money
    resolution: Annotated[int, Field(ge=1)] = 1
    resolved_at: UtcTime


class AsVersionTwo(Same):
    TYPE: ClassVar = "issue.resolved.v2"


@pytest.mark.parametrize("model", [Same, WithAnOptionalField])
def test_a_new_optional_field_or_enumeration_value_is_allowed(model: type[IssueEvent]) -> None:
    assert faults(PUBLISHED, schema_of(model)) == []


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (WithoutAField, "data.fault: was removed"),
        (WithARequiredField, "data.satisfaction: became required"),
        (WithAnotherType, "data.resolution: type was 'integer' and became 'string'"),
        (WithANarrowerNumber, "data.resolution: maximum was None and became 3"),
        (WithADateForATime, "data.resolved_at: format was 'date-time' and became 'date'"),
        (WithAnOptionalReason, "data.reason: is no longer required"),
        (WithFewerReasons, "data.reason: "),
        (WithLessMoney, "data.value.currency: was removed"),
        (AsVersionTwo, "type: const was 'issue.resolved.v1'"),
    ],
)
def test_a_change_that_breaks_readers_is_reported_with_its_field(model: type[IssueEvent], message: str) -> None:
    assert any(fault.startswith(message) for fault in faults(PUBLISHED, schema_of(model)))


def _remove_value(schema: dict[str, Any]) -> None:
    schema["$defs"]["Reason"]["enum"].remove("wrong_item")


def _change_list(schema: dict[str, Any]) -> None:
    schema["$defs"]["IssueLine"]["properties"]["sku"]["maxLength"] = 64


def _change_alternatives(schema: dict[str, Any]) -> None:
    schema["$defs"]["IssueAccepted"]["properties"]["requested_remedy"]["anyOf"].pop()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (_remove_value, "data.reason: no longer accepts 'wrong_item'"),
        (_change_list, "data.lines[].sku: maxLength was 128 and became 64"),
        (_change_alternatives, "data.requested_remedy: accepts other types than before"),
    ],
)
def test_the_rule_looks_into_lists_alternatives_and_enumerations(
    change: Callable[[dict[str, Any]], None], message: str
) -> None:
    changed = copy.deepcopy(schema_of(IssueAccepted))
    change(changed)
    assert any(fault.startswith(message) for fault in faults(schema_of(IssueAccepted), changed))


def test_the_export_refuses_to_overwrite_what_was_published(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(schemas_export, "PAYLOADS", (IssueResolved,))
    assert export(tmp_path) == []
    monkeypatch.setattr(schemas_export, "PAYLOADS", (WithARequiredField,))
    assert export(tmp_path) == ["issue.resolved.v1: data.satisfaction: became required; a new field is optional"]
    assert path_of(IssueResolved, tmp_path).read_text(encoding="utf-8") == text_of(IssueResolved)
