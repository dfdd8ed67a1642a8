"""Encoding and decoding are inverse for every payload that the models can hold."""

import json

import jsonschema
from hypothesis import HealthCheck, given, settings
from pydantic_core import to_json

from libs.common.events.envelope import Payload
from libs.common.events.registry import AnyEvent, decode, encode, encode_own, event_class, schema_name
from libs.common.events.schemas_export import schema_of
from tests.contracts.building import models
from tests.contracts.reading import each_payload
from tests.examples import examples

quick = settings(max_examples=examples(25), deadline=None, suppress_health_check=[HealthCheck.too_slow])


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
def test_a_payload_is_the_same_from_every_writer(payload: type[Payload]) -> None:
    """Write, read and write again: the same bytes."""

    @quick
    @given(data=models(payload))
    def check(data: Payload) -> None:
        event = on_its_way(data)
        assert encode(decode(encode(event))) == encode(event)

    check()


@each_payload
def test_what_a_service_writes_itself_is_the_envelope_of_the_contract(payload: type[Payload]) -> None:
    """`encode_own` creates no envelope object, but the same bytes."""

    @quick
    @given(data=models(payload))
    def check(data: Payload) -> None:
        event = on_its_way(data).model_copy(update={"subject": data.subject, "dataschema": schema_name(payload)})
        own = encode_own(data, data.subject, event.id, event.source, to_json(event.time))
        assert own == encode(event)

    check()


def on_its_way(data: Payload) -> AnyEvent:
    return event_class(type(data))(id="1", source="/test", type=data.TYPE, time="2026-11-02T00:00:00Z", data=data)
