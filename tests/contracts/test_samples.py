"""Samples and golden schemas: new code reads old samples, and writes what old schemas promise."""

import json
from typing import Any

import jsonschema
import pytest

from libs.common.events.envelope import Payload
from libs.common.events.registry import PAYLOADS, decode, encode
from libs.common.events.schemas_export import FOLDER, path_of, text_of
from tests.contracts.reading import SAMPLES, each_payload, each_sample, payload_of, sample, written


def validator(payload: type[Payload]) -> jsonschema.Draft202012Validator:
    schema = json.loads(path_of(payload).read_text(encoding="utf-8"))
    return jsonschema.Draft202012Validator(schema, format_checker=jsonschema.FormatChecker())


@each_payload
def test_every_event_type_has_a_sample(payload: type[Payload]) -> None:
    assert payload.TYPE in SAMPLES


@each_sample
def test_a_sample_decodes_to_the_payload_of_its_type(name: str) -> None:
    assert type(decode(written(SAMPLES[name])).data) is payload_of(name)


@each_sample
def test_a_sample_fits_its_golden_schema(name: str) -> None:
    validator(payload_of(name)).validate(SAMPLES[name])


@each_sample
def test_a_sample_written_again_still_fits_its_golden_schema(name: str) -> None:
    validator(payload_of(name)).validate(json.loads(encode(decode(written(SAMPLES[name])))))


@each_sample
def test_a_sample_carries_the_key_of_its_topic_as_subject(name: str) -> None:
    assert SAMPLES[name]["subject"] == decode(written(SAMPLES[name])).data.subject


@each_sample
def test_fields_that_a_reader_does_not_know_are_ignored(name: str) -> None:
    assert decode(written(with_unknown_fields(SAMPLES[name]))) == decode(written(SAMPLES[name]))


@each_sample
def test_fields_that_the_schema_does_not_know_are_allowed(name: str) -> None:
    validator(payload_of(name)).validate(with_unknown_fields(SAMPLES[name]))


def test_a_schema_refuses_money_as_a_number() -> None:
    event = sample("issue.resolved.v1")
    event["data"]["value"]["amount"] = 4980
    with pytest.raises(jsonschema.ValidationError, match="4980 is not of type 'string'"):
        validator(payload_of("issue.resolved.v1")).validate(event)


@each_payload
def test_the_golden_schema_is_what_the_code_says(payload: type[Payload]) -> None:
    """On failure run `python -m libs.common.events.schemas_export` and review the difference."""
    assert path_of(payload).read_text(encoding="utf-8") == text_of(payload)


def test_there_is_no_golden_schema_without_a_payload() -> None:
    assert {path.name for path in FOLDER.glob("*")} == {path_of(payload).name for payload in PAYLOADS}


def with_unknown_fields(value: Any) -> Any:
    """Return a copy with an unknown field in every object."""
    if isinstance(value, dict):
        return {**{name: with_unknown_fields(inner) for name, inner in value.items()}, "of_tomorrow": {"new": [1]}}
    if isinstance(value, list):
        return [with_unknown_fields(inner) for inner in value]
    return value
