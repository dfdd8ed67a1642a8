"""Encoding of payloads as records and back; partners use the published contract only."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from aiokafka import ConsumerRecord

from libs.common.decisions.ids import derived_id
from libs.common.events.envelope import TRACE_HEADERS, Payload
from libs.common.events.registry import AnyEvent, UndecodableError, decode, encode, event_class, schema_name


@dataclass(frozen=True, slots=True)
class ScheduledEvent:
    """A payload to publish at a time. Its event id is derived from `name` and the partner, so a repeat has the
    same id."""

    at: datetime
    name: str
    payload: Payload


@dataclass(frozen=True, slots=True)
class ReceivedEvent:
    """A decoded event, its trace headers, and the key of its record."""

    event: AnyEvent
    trace: Mapping[str, str]
    key: bytes | None = None


def encode_event(source: str, planned: ScheduledEvent) -> bytes:
    """The record's value; its `time` is the scheduled one."""
    payload = planned.payload
    event = event_class(type(payload))(
        id=str(derived_id("demo", source, planned.name, payload.subject)),
        source=f"/demo/{source}",
        type=payload.TYPE,
        subject=payload.subject,
        time=planned.at,
        dataschema=schema_name(type(payload)),
        data=payload,
    )
    return encode(event)


def decode_record(record: "ConsumerRecord[bytes, bytes]") -> ReceivedEvent | None:
    """None for a record that cannot be decoded: partners skip unknown events."""
    try:
        event = decode(record.value or b"")
    except UndecodableError:
        return None
    kept = {name: value.decode("ascii", "replace") for name, value in record.headers if name in TRACE_HEADERS}
    return ReceivedEvent(event, kept, record.key)
