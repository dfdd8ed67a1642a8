"""What is written is what is read, for every payload that the models can hold."""

import json

import jsonschema
from hypothesis import HealthCheck, given, settings

from libs.common.events.envelope import Payload
from libs.common.events.registry import AnyEvent, decode, encode, event_class
from libs.common.events.schemas_export import schema_of
from tests.contracts.building import models
from tests.contracts.reading import each_payload

quick = settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@each_payload
def test_what_is_written_is_what_is_read(payload: type[Payload]) -> None:
    @quick
    @given(data=models(payload))
    def check(data: Payload) -> None:
        event = on_its_way(data)
        assert decode(encode(event)) == event

    check()


@each_payload
def test_what_is_written_fits_the_schema(payload: type[Payload]) -> None:
    validator = jsonschema.Draft202012Validator(schema_of(payload), format_checker=jsonschema.FormatChecker())

    @quick
    @given(data=models(payload))
    def check(data: Payload) -> None:
        event = on_its_way(data)
        validator.validate(json.loads(encode(event)))

    check()


@each_payload
def test_a_payload_is_the_same_whoever_writes_it(payload: type[Payload]) -> None:
    """Written, read and written again: the same bytes."""

    @quick
    @given(data=models(payload))
    def check(data: Payload) -> None:
        event = on_its_way(data)
        assert encode(decode(encode(event))) == encode(event)

    check()


def on_its_way(data: Payload) -> AnyEvent:
    return event_class(type(data))(id="1", source="/test", type=data.TYPE, time="2026-11-02T00:00:00Z", data=data)
