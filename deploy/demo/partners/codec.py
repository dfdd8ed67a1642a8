"""From a payload to a record, and back: partners speak the published contract and nothing else."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from aiokafka import ConsumerRecord

from libs.common.decisions.ids import derived_id
from libs.common.events.envelope import TRACE_HEADERS, Payload
from libs.common.events.registry import AnyEvent, UndecodableError, decode, encode, event_class, schema_name


@dataclass(frozen=True, slots=True)
class ScheduledEvent:
    """What a partner will say at a moment. `name`, with the partner's, makes the event id: said again, same id."""

    at: datetime
    name: str
    payload: Payload


@dataclass(frozen=True, slots=True)
class ReceivedEvent:
    """A decoded event and the headers that belong to its trace."""

    event: AnyEvent
    trace: Mapping[str, str]


def encode_event(source: str, planned: ScheduledEvent) -> bytes:
    """The record's value, its `time` the moment that was planned."""
    payload = planned.payload
    event = event_class(type(payload))(
        id=str(derived_id("demo", source, planned.name, payload.key)),
        source=f"/demo/{source}",
        type=payload.TYPE,
        subject=payload.key,
        time=planned.at,
        dataschema=schema_name(type(payload)),
        data=payload,
    )
    return encode(event)


def decode_record(record: "ConsumerRecord[bytes, bytes]") -> ReceivedEvent | None:
    """None for what this partner cannot read: a partner passes over events it does not know."""
    try:
        event = decode(record.value or b"")
    except UndecodableError:
        return None
    kept = {name: value.decode("ascii", "replace") for name, value in record.headers if name in TRACE_HEADERS}
    return ReceivedEvent(event, kept)
