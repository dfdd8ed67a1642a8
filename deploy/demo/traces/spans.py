"""Spans as the viewer stores them, decoded from OTLP."""

from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Status


@dataclass(frozen=True, slots=True)
class Span:
    """One finished span; times in nanoseconds since the epoch."""

    trace_id: str
    span_id: str
    parent_id: str
    service: str
    name: str
    begin: int
    end: int
    failed: bool
    links: tuple[str, ...]
    attributes: dict[str, str]


def decode(body: bytes) -> Iterator[Span]:
    """Yield the spans of an OTLP export request. Raises `google.protobuf.message.DecodeError`."""
    for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
        about = {attribute.key: attribute.value.string_value for attribute in resource.resource.attributes}
        for scope in resource.scope_spans:
            for span in scope.spans:
                yield Span(
                    trace_id=span.trace_id.hex(),
                    span_id=span.span_id.hex(),
                    parent_id=span.parent_span_id.hex(),
                    service=about.get("service.name", "unknown"),
                    name=span.name,
                    begin=span.start_time_unix_nano,
                    end=span.end_time_unix_nano,
                    failed=span.status.code == Status.STATUS_CODE_ERROR,
                    links=tuple(link.trace_id.hex() for link in span.links),
                    attributes={
                        attribute.key: attribute.value.string_value
                        for attribute in span.attributes
                        if attribute.value.string_value
                    },
                )


class TraceStore:
    """The newest traces in memory; the oldest are dropped once there are too many spans."""

    def __init__(self, most_spans: int = 200_000) -> None:
        self._most_spans = most_spans
        self._spans = 0
        self._traces: OrderedDict[str, list[Span]] = OrderedDict()
        self._linked_from: dict[str, set[str]] = {}

    def add(self, span: Span) -> None:
        self._traces.setdefault(span.trace_id, []).append(span)
        self._spans += 1
        for target in span.links:
            if target != span.trace_id:
                self._linked_from.setdefault(target, set()).add(span.trace_id)
        while self._spans > self._most_spans:
            dropped, spans = self._traces.popitem(last=False)
            self._spans -= len(spans)
            self._linked_from.pop(dropped, None)

    def get(self, trace_id: str) -> list[Span]:
        """The spans of a trace by their begin; empty if the trace is unknown."""
        return sorted(self._traces.get(trace_id, ()), key=lambda span: (span.begin, span.end))

    def linked(self, trace_id: str) -> list[str]:
        """Traces that link to this one, or that it links to."""
        named = {target for span in self._traces.get(trace_id, ()) for target in span.links}
        return sorted((named | self._linked_from.get(trace_id, set())) - {trace_id})

    def newest(self, count: int) -> list[list[Span]]:
        """The newest traces that have more than one span."""
        found = [self.get(trace_id) for trace_id in reversed(self._traces)]
        return [spans for spans in found if len(spans) > 1][:count]
