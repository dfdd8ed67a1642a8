"""The envelope: CloudEvents 1.0 in structured JSON mode, one event per Kafka record.

`Payload` is the base of every fact in the contract; `Event` is a fact on its way. A record is decoded once, at
the border, straight from bytes into the typed payload that its `type` names; nothing behind the border sees a
dictionary. Chosen over the `cloudevents` package because that one keeps `data` untyped, which would mean to parse
every record twice. Source: https://github.com/cloudevents/spec, version 1.0.2.
"""

from typing import Annotated, ClassVar, Generic, Literal, TypeVar

from pydantic import ConfigDict, Field

from libs.common.events.topics import Topic
from libs.common.events.values import UtcTime, Value

TRACE_HEADERS = ("traceparent", "tracestate")
"""The record's headers that a W3C trace context travels in; whoever answers an event hands them on."""


class Payload(Value):
    """A fact, in the past tense. A published class only ever gains optional fields; else it gets a `v2`."""

    TYPE: ClassVar[str]
    TOPIC: ClassVar[Topic]

    @property
    def key(self) -> str:
        """The Kafka key: the id of the thing this conversation is about."""
        return str(getattr(self, self.TOPIC.key))


P_co = TypeVar("P_co", bound=Payload, covariant=True)


class Event(Value, Generic[P_co]):
    """A fact on its way. `source` and `id` together are unique; an equal pair is a duplicate."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    specversion: Literal["1.0"] = "1.0"
    id: Annotated[str, Field(min_length=1, max_length=200)]
    source: Annotated[str, Field(min_length=1, max_length=200)]
    type: str
    subject: str | None = None
    time: UtcTime
    datacontenttype: Literal["application/json"] = "application/json"
    dataschema: str | None = None
    data: P_co
