"""Records that are no event of the contract are refused with the field and the remedy."""

import json
import re
from typing import Any

import pytest

from libs.common.events.registry import NewerVersionError, UndecodableError, UnknownTypeError, decode
from tests.contracts.reading import SAMPLES, leaves, sample, with_data, written

SHIP_DATE = "replacement.confirmed.v1"
RESOLVED = "issue.resolved.v1"
DATE = re.compile(r"^\d{4}-\d\d-\d\d$")
TIME = re.compile(r"^\d{4}-\d\d-\d\dT")

DATES = [
    pytest.param(name, path, id=f"{name}-{'.'.join(map(str, path))}")
    for name, event in SAMPLES.items()
    for path, value in leaves(event["data"])
    if isinstance(value, str) and DATE.match(value)
]
TIMES = [
    pytest.param(name, path, id=f"{name}-{'.'.join(map(str, path))}")
    for name, event in SAMPLES.items()
    for path, value in leaves(event["data"])
    if isinstance(value, str) and TIME.match(value)
]


@pytest.mark.parametrize(("name", "path"), DATES)
def test_a_date_that_is_not_definite_is_refused_by_the_name_of_its_field(
    name: str, path: tuple[str | int, ...]
) -> None:
    with pytest.raises(UndecodableError, match=rf"^data\.{'.'.join(map(str, path))}: .*YYYY-MM-DD"):
        decode(with_data(name, path, "late March"))


@pytest.mark.parametrize(("name", "path"), TIMES)
def test_a_time_without_offset_is_refused_by_the_name_of_its_field(name: str, path: tuple[str | int, ...]) -> None:
    with pytest.raises(UndecodableError, match=rf"^data\.{'.'.join(map(str, path))}: Input should have timezone info"):
        decode(with_data(name, path, "2026-03-12T10:00:00"))


@pytest.mark.parametrize(
    "value", [1773273600, "2026-03-12T00:00:00Z", "2026-3-12", "12/03/2026", "2026-02-30", "", None]
)
def test_a_promised_date_is_a_plain_date_and_nothing_else(value: object) -> None:
    with pytest.raises(UndecodableError, match=r"^data\.ship_date: "):
        decode(with_data(SHIP_DATE, ("ship_date",), value))


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        (("issue_id",), "42", "data.issue_id: Input should be a valid UUID"),
        (("customer_id",), "", "data.customer_id: String should have at least 1 character"),
        (("customer_id",), "x" * 129, "data.customer_id: String should have at most 128 characters"),
        (("customer_id",), 1001, "data.customer_id: Input should be a valid string"),
        (("reason",), "broken", "data.reason: Input should be 'defective', "),
        (("resolution",), 0, "data.resolution: Input should be greater than or equal to 1"),
        (("resolution",), "1", "data.resolution: Input should be a valid integer"),
        (("value", "amount"), "NaN", "data.value.amount: Input should be a finite number"),
        (("value", "amount"), "1.00001", "data.value.amount: Decimal input should have no more than 4 decimal places"),
        (("value", "amount"), "4,980", "data.value.amount: Input should be a valid decimal"),
        (("value", "currency"), "yen", "data.value.currency: String should match pattern"),
        (("value",), "4980 JPY", "data.value: Input should be an object"),
    ],
)
def test_a_wrong_value_is_refused_by_the_name_of_its_field(path: tuple[str, ...], value: object, message: str) -> None:
    with pytest.raises(UndecodableError, match=f"^{re.escape(message)}"):
        decode(with_data(RESOLVED, path, value))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"specversion": "0.3"}, "specversion: Input should be '1.0'"),
        ({"datacontenttype": "text/xml"}, "datacontenttype: Input should be 'application/json'"),
        ({"time": "2026-11-12T02:10:02"}, "time: Input should have timezone info"),
        ({"time": 1773273600}, "time: Input should be a valid datetime"),
        ({"id": ""}, "id: String should have at least 1 character"),
        ({"id": None}, "id: Input should be a valid string"),
        ({"source": ""}, "source: String should have at least 1 character"),
        ({"data": None}, "data: Input should be an object"),
        ({"data": []}, "data: Input should be an object"),
    ],
)
def test_a_wrong_envelope_is_refused_by_the_name_of_its_field(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(UndecodableError, match=f"^{re.escape(message)}"):
        decode(written(sample(RESOLVED, **changes)))


@pytest.mark.parametrize("field", ["id", "source", "time", "data"])
def test_a_missing_field_of_the_envelope_is_named(field: str) -> None:
    event = sample(RESOLVED)
    del event[field]
    with pytest.raises(UndecodableError, match=rf"^{field}: Field required"):
        decode(written(event))


def test_an_event_without_type_is_refused() -> None:
    event = sample(RESOLVED)
    del event["type"]
    with pytest.raises(UndecodableError, match="'type'"):
        decode(written(event))


@pytest.mark.parametrize(
    "value",
    [b"", b"{", b"null", b"[]", b"42", b'"text"', b"\xff\xfe", b"\x00", b"[" * 10_000, b'{"a": NaN}', b"<event/>"],
)
def test_bytes_that_are_no_json_object_are_refused(value: bytes) -> None:
    with pytest.raises(UndecodableError):
        decode(value)


@pytest.mark.parametrize("name", ["issue.forgiven.v1", "issue.resolved", "issue.resolved.v0", "issue.resolved.vx", ""])
def test_an_unknown_type_is_distinguished_from_a_broken_event(name: str) -> None:
    with pytest.raises(UnknownTypeError, match=r"^type: .* is not in the contract") as raised:
        decode(written(sample(RESOLVED, type=name)))
    assert not isinstance(raised.value, NewerVersionError)


@pytest.mark.parametrize("version", ["v2", "v11"])
def test_a_newer_version_is_distinguished_from_an_unknown_type(version: str) -> None:
    with pytest.raises(NewerVersionError, match="is newer than this reader"):
        decode(written(sample(RESOLVED, type=f"issue.resolved.{version}")))


@pytest.mark.parametrize("name", ["order.placed.v1", "warehouse.v1"])
def test_data_that_does_not_belong_to_the_type_is_refused(name: str) -> None:
    with pytest.raises(UndecodableError):
        decode(written({**sample(RESOLVED), "type": name}))


def test_any_offset_is_read_and_utc_is_kept() -> None:
    event = decode(with_data(RESOLVED, ("resolved_at",), "2026-11-12T11:10:02+09:00"))
    assert json.loads(event.data.model_dump_json())["resolved_at"] == "2026-11-12T02:10:02Z"


def test_a_message_never_repeats_the_value() -> None:
    """The value may be a mail address; messages go to logs and headers."""
    with pytest.raises(UndecodableError) as raised:
        decode(with_data("order.placed.v1", ("contact", "email"), ["hanako@example.jp"]))
    assert "hanako" not in str(raised.value)


@pytest.mark.parametrize("name", SAMPLES)
def test_every_field_of_every_event_is_refused_by_its_name_where_it_is_something_else(name: str) -> None:
    for path, _ in leaves(SAMPLES[name]["data"]):
        with pytest.raises(UndecodableError, match=rf"^data\.{re.escape('.'.join(map(str, path)))}(\.| |:)"):
            decode(with_data(name, path, {"not": ["this"]}))
