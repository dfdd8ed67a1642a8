"""Traces and counters: small and our own on the hot path, silent and free where no endpoint is set.

Names follow the messaging conventions of OpenTelemetry (semantic conventions 1.41). FastStream's own middleware was
left aside: it emits deprecated names, loses the links of a batch, and costs as much per message as all the rest.

A trace runs from the report to the points: an outbox row carries the context of its `send` span in its headers, every
event taken is a `process` span below that. What a timer starts is a new trace with a link back to the one that set it.
With no endpoint nothing is recorded, but a trace context that a partner sent is still handed on.

How many traces are kept is OpenTelemetry's own setting (`OTEL_TRACES_SAMPLER`, all unless it says otherwise): decided
where a trace begins, and whole or not at all. What was left out costs no more than with traces off.
"""

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import lru_cache
from typing import TYPE_CHECKING, TypeAlias

from opentelemetry import trace
from opentelemetry.context import Context, attach, detach
from opentelemetry.metrics import Meter
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.trace import Link, NonRecordingSpan, Span, SpanContext, SpanKind, StatusCode, TraceFlags
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from libs.common.events.envelope import Payload

if TYPE_CHECKING:
    from requests import Session

Carrier: TypeAlias = dict[str, str]
"""A W3C trace context on its way: `traceparent` and perhaps `tracestate`."""

Attributes: TypeAlias = Mapping[str, str | int]

_W3C = TraceContextTextMapPropagator()
_HEADERS = ("traceparent", "tracestate")
_PLAIN = re.compile(r"00-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})")
_LEFT_OUT = "-00"


def carrier_of(headers: Mapping[str, str]) -> Carrier | None:
    """The trace context among a record's headers, if it has one."""
    if "traceparent" not in headers:
        return None
    return {name: headers[name] for name in _HEADERS if name in headers}


def issue_attributes(payload: Payload) -> dict[str, str | int]:
    """Every span says which issue it is about, where it is about one; nothing personal is ever an attribute."""
    issue_id = getattr(payload, "issue_id", None)
    order_id = getattr(payload, "order_id", None)
    found: dict[str, str | int] = {"issue.id": str(issue_id)} if issue_id else {}
    if order_id:
        found["order.id"] = order_id
    return found


class Tracing:
    """Spans of one service. Off, every method hands the trace context on and does nothing else."""

    def __init__(self, service: str, endpoint: str | None) -> None:
        self.provider = _provider(service, endpoint) if endpoint else None
        self._tracer = self.provider.get_tracer("sakidashi") if self.provider else None
        self._metrics = _meter_provider(service, endpoint) if endpoint else None
        self.counters = Counters(self._metrics.get_meter("sakidashi") if self._metrics else None)

    @property
    def enabled(self) -> bool:
        return self._tracer is not None

    def records(self, trace_of: Carrier | None) -> bool:
        """Whether a span below this would be kept: a trace that its beginning left out stays out, and costs nothing."""
        return self._tracer is not None and not (trace_of and trace_of["traceparent"].endswith(_LEFT_OUT))

    @contextmanager
    def span(
        self, name: str, kind: SpanKind, trace_of: Carrier | None, attributes: Attributes, *, link: bool = False
    ) -> Iterator[Carrier | None]:
        """A span below `trace_of` (with `link`: a new trace that links back to it); yields its own context."""
        if self._tracer is None or not self.records(trace_of):
            if trace_of is None:
                yield None
                return
            with _handed_on(trace_of):
                yield trace_of
            return
        context = _context(trace_of)
        links = _links(context) if link else []
        parent = Context() if link else context
        with _begun(self._tracer, name, parent, kind, attributes, links) as current:
            yield _carrier(current.get_span_context())

    @contextmanager
    def request(self, method: str, trace_of: Carrier | None) -> Iterator[Span]:
        """The span of a request that is being answered, below its caller's if they sent one."""
        if self._tracer is None:
            yield trace.INVALID_SPAN
            return
        attributes = {"http.request.method": method}
        context = _context(trace_of)
        with _begun(self._tracer, method, context, SpanKind.SERVER, attributes) as span:
            yield span

    def sent(self, payload: Payload, topic: str, trace_of: Carrier | None) -> Carrier | None:
        """The moment in which an event was written for `topic`; its context travels with the record."""
        if self._tracer is None or not self.records(trace_of):
            return trace_of
        attributes = {
            "messaging.system": "kafka",
            "messaging.operation.type": "send",
            "messaging.operation.name": "send",
            "messaging.destination.name": topic,
            "messaging.kafka.message.key": payload.key,
            "event.type": payload.TYPE,
            **issue_attributes(payload),
        }
        span = self._tracer.start_span(f"send {topic}", _context(trace_of), SpanKind.PRODUCER, attributes)
        span.end()
        return _carrier(span.get_span_context())

    def current(self) -> Carrier | None:
        """The context of the HTTP request that is being answered."""
        return _carrier(trace.get_current_span().get_span_context())

    def describe(self, payload: Payload) -> None:
        """Say on the span of the HTTP request which issue it is about."""
        if self._tracer is not None:
            trace.get_current_span().set_attributes(issue_attributes(payload))

    def shutdown(self) -> None:
        if self.provider:
            self.provider.shutdown()
        if self._metrics:
            self._metrics.shutdown()


def current_trace_id() -> str | None:
    """The trace in which the present event is decided, as 32 hex digits; None where there is none."""
    context = trace.get_current_span().get_span_context()
    return trace.format_trace_id(context.trace_id) if context.is_valid else None


@contextmanager
def _handed_on(trace_of: Carrier) -> Iterator[None]:
    """Make a partner's trace the current one, so that whoever asks for it finds it though nothing is recorded."""
    token = attach(_context(trace_of))
    try:
        yield
    finally:
        detach(token)


@contextmanager
def _begun(
    tracer: trace.Tracer,
    name: str,
    context: Context,
    kind: SpanKind,
    attributes: Attributes,
    links: Sequence[Link] = (),
) -> Iterator[Span]:
    """The current span of a block. Of an error only its type is kept: its words may hold a customer's row."""
    with tracer.start_as_current_span(
        name, context, kind, attributes, links, record_exception=False, set_status_on_exception=False
    ) as span:
        try:
            yield span
        except Exception as error:
            span.set_attribute("error.type", type(error).__name__)
            span.set_status(StatusCode.ERROR)
            raise


def _context(carrier: Carrier | None) -> Context:
    """The remote span of a carrier as context. The plain spelling of today is read here, all else by OpenTelemetry's
    own reader, which takes ten times as long."""
    if carrier is None:
        return Context()
    if "tracestate" in carrier:
        return _W3C.extract(carrier, Context())
    return _parsed(carrier["traceparent"])


@lru_cache(maxsize=4096)
def _parsed(traceparent: str) -> Context:
    """Of a batch many events were caused by one, and come with the same words."""
    found = _PLAIN.fullmatch(traceparent)
    if found is None:
        return _W3C.extract({"traceparent": traceparent}, Context())
    trace_id, span_id, flags = (int(part, 16) for part in found.groups())
    context = SpanContext(trace_id, span_id, is_remote=True, trace_flags=TraceFlags(flags))
    return trace.set_span_in_context(NonRecordingSpan(context), Context()) if context.is_valid else Context()


def _carrier(context: SpanContext) -> Carrier | None:
    if not context.is_valid:
        return None
    flags = context.trace_flags
    carrier = {"traceparent": f"00-{context.trace_id:032x}-{context.span_id:016x}-{flags:02x}"}
    return {**carrier, "tracestate": context.trace_state.to_header()} if context.trace_state else carrier


def _links(context: Context) -> list[Link]:
    span = trace.get_current_span(context)
    return [Link(span.get_span_context())] if isinstance(span, NonRecordingSpan) else []


def _resource(service: str) -> Resource:
    return Resource.create({"service.name": service, "service.namespace": "sakidashi"})


def _provider(service: str, endpoint: str) -> TracerProvider:
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    provider = TracerProvider(resource=_resource(service))
    exporter = OTLPSpanExporter(endpoint=f"{endpoint.rstrip('/')}/v1/traces", session=_straight())
    provider.add_span_processor(BatchSpanProcessor(exporter, max_queue_size=32_768, schedule_delay_millis=500))
    return provider


def _meter_provider(service: str, endpoint: str) -> MeterProvider:
    from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
    from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader

    exporter = OTLPMetricExporter(endpoint=f"{endpoint.rstrip('/')}/v1/metrics", session=_straight())
    return MeterProvider([PeriodicExportingMetricReader(exporter, 15_000)], _resource(service))


def _straight() -> "Session":
    """To the collector that the settings name, and not to where it sends us on to."""
    from requests import Session

    session = Session()
    session.max_redirects = 0
    return session


class Counters:
    """What happened, counted by outcome and reason: shown at `/ops/counters`, and sent where metrics are collected."""

    def __init__(self, meter: Meter | None = None) -> None:
        self.values: Counter[tuple[str, str]] = Counter()
        self._counter = meter.create_counter("sakidashi.outcomes") if meter else None

    def add(self, name: str, reason: str, amount: int = 1) -> None:
        self.values[name, reason] += amount
        if self._counter:
            self._counter.add(amount, {"outcome": name, "reason": reason})
