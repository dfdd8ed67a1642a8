"""Every time, day, text and amount of the contract has bounds, so that no value of a partner breaks what uses it."""

import json
from collections.abc import Iterator
from datetime import UTC, date, datetime
from typing import Annotated, Any, get_args, get_origin

import pytest
from pydantic import BaseModel

from libs.common.events.envelope import Payload
from libs.common.events.registry import UndecodableError, decode
from libs.common.events.schemas_export import schema_of
from libs.common.events.storefront import OrderPlaced
from tests.contracts.reading import FOLDER, each_payload

PLACED = json.loads((FOLDER / "order.placed.v1.json").read_text("utf-8"))


def models(payload: type[BaseModel]) -> set[type[BaseModel]]:
    """Return this class and those of its fields, at any depth."""
    found, waiting = set(), [payload]
    while waiting:
        model = waiting.pop()
        if model not in found:
            found.add(model)
            waiting += [part for field in model.model_fields.values() for part in _models_in(field.annotation)]
    return found


def _models_in(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for part in getattr(annotation, "__args__", ()) for model in _models_in(part)]


@each_payload
def test_times_and_days_are_of_the_bounded_types(payload: type[Payload]) -> None:
    for model in models(payload):
        annotations: dict[str, Any] = model.__annotations__
        for name, annotation in annotations.items():
            parts = [annotation] if get_origin(annotation) is Annotated else [annotation, *get_args(annotation)]
            assert not {date, datetime} & set(parts), f"{model.__name__}.{name}: use Day or UtcTime"


def texts(schema: Any, path: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield each string of a JSON Schema whose length nothing but `maxLength` could bound."""
    if isinstance(schema, dict):
        if schema.get("type") == "string" and not schema.keys() & {"enum", "const", "format", "pattern"}:
            yield path, schema
        for name, part in schema.items():
            yield from texts(part, f"{path}/{name}")
    elif isinstance(schema, list):
        for part in schema:
            yield from texts(part, path)


@each_payload
def test_every_text_has_a_maximum_length(payload: type[Payload]) -> None:
    assert not [path for path, schema in texts(schema_of(payload)) if "maxLength" not in schema]


def placed(**fields: Any) -> bytes:
    return json.dumps({**PLACED, "data": {**PLACED["data"], **fields}}).encode()


@pytest.mark.parametrize(
    "time", ["9999-12-31T23:59:59Z", "0001-01-01T00:00:00+23:59", "9999-12-31T23:59:59-23:59", "2100-01-01T00:00:00Z"]
)
def test_a_far_time_is_refused_by_its_field_with_the_remedy(time: str) -> None:
    with pytest.raises(UndecodableError, match=r"placed_at: .*not between the years 2000 and 2099; send the time"):
        decode(placed(placed_at=time))
    with pytest.raises(UndecodableError, match=r"time: .*2000 and 2099"):
        decode(json.dumps({**PLACED, "time": time}).encode())


@pytest.mark.parametrize("day", ["9999-12-31", "1899-12-31", "0001-01-01"])
def test_a_far_day_is_refused_by_its_field(day: str) -> None:
    lines = [{**line, "promised_ship_date": day} for line in PLACED["data"]["lines"]]
    with pytest.raises(UndecodableError, match=r"promised_ship_date: .*1900 and 2099"):
        decode(placed(lines=lines))


def test_an_endless_amount_is_refused() -> None:
    price = {"unit_price": {"amount": "1" + "0" * 20, "currency": "JPY"}}
    with pytest.raises(UndecodableError, match=r"lines\.0\."):
        decode(placed(lines=[{**PLACED["data"]["lines"][0], **price}]))


def test_an_endless_text_is_refused_by_its_field() -> None:
    with pytest.raises(UndecodableError, match=r"ship_to\.street: .*at most 10000 characters"):
        decode(placed(ship_to={**PLACED["data"]["ship_to"], "street": "町" * 10_001}))


def test_an_endless_number_is_refused_by_its_field() -> None:
    with pytest.raises(UndecodableError, match=r"purchase_count: "):
        decode(placed(purchase_count=10**30))


def test_the_last_moment_and_day_within_the_bounds_are_taken() -> None:
    event = decode(placed(placed_at="2099-12-31T23:59:59Z"))
    assert isinstance(event.data, OrderPlaced)
    assert event.data.placed_at == datetime(2099, 12, 31, 23, 59, 59, tzinfo=UTC)
