"""Answers to authors of events that were refused."""

from typing import ClassVar

from libs.common.events import topics
from libs.common.events.envelope import Payload
from libs.common.events.values import UtcTime, Value


class FieldFault(Value):
    """One fault of a refused event."""

    field: str
    """Path of the field."""
    message: str
    """Fault and remedy. Never repeats the value."""


class EventRejected(Payload):
    """An event from a partner was refused. It is stored whole and can be replayed; its content is not repeated here."""

    TYPE: ClassVar = "event.rejected.v1"
    TOPIC = topics.REJECTED

    topic: str
    """Topic of the refused record; also the Kafka key."""
    partition: int
    offset: int
    record_key: str | None = None
    """Kafka key of the refused record, if it is text."""
    event_id: str | None = None
    """`id` of the refused event, if it could be read."""
    source: str | None = None
    """`source` of the refused event, if it could be read."""
    type: str | None = None
    """`type` of the refused event, if it could be read."""
    faults: tuple[FieldFault, ...]
    """All faults that were found."""
    rejected_at: UtcTime
    """Time of the refusal."""
