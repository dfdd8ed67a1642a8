"""Envelope of all events: CloudEvents 1.0 in structured JSON mode, one event per Kafka record.

A record is decoded once, from bytes into the typed payload of its `type`. The `cloudevents` package was rejected: it
leaves `data` untyped, so each record would be parsed twice. Source: https://github.com/cloudevents/spec, version 1.0.2.
"""

from typing import Annotated, ClassVar, Generic, Literal, TypeVar

from pydantic import Field

from libs.common.events.topics import Topic
from libs.common.events.values import UtcTime, Value

TRACE_HEADERS = ("traceparent", "tracestate")
"""Record headers of the W3C trace context. Partners should copy them from an event to its answer."""


class Payload(Value):
    """Base of all event payloads. A published class only gains optional fields; other changes need a `v2`."""

    TYPE: ClassVar[str]
    TOPIC: ClassVar[Topic]

    @property
    def subject(self) -> str:
        """The id of what the event is about, the value of the topic's subject field."""
        return str(getattr(self, self.TOPIC.subject))

    @property
    def key(self) -> str:
        """The Kafka key; the subject, if the payload does not name the customer: a partner has the key of a record."""
        return str(getattr(self, self.TOPIC.key, None) or self.subject)


P_co = TypeVar("P_co", bound=Payload, covariant=True)


class Event(Value, Generic[P_co]):
    """Envelope with its payload. `source` and `id` together are unique; an equal pair is a duplicate."""

    specversion: Literal["1.0"] = "1.0"
    id: Annotated[str, Field(min_length=1, max_length=200)]
    source: Annotated[str, Field(min_length=1, max_length=200)]
    type: str
    subject: str | None = None
    time: UtcTime
    datacontenttype: Literal["application/json"] = "application/json"
    dataschema: str | None = None
    data: P_co
