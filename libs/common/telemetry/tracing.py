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
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import lru_cache
from time import time_ns
from typing import TYPE_CHECKING, TypeAlias, cast

from opentelemetry import trace
from opentelemetry.context import Context, attach, detach
from opentelemetry.metrics import Meter
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, SynchronousMultiSpanProcessor, TracerProvider
from opentelemetry.sdk.trace.sampling import Decision, ParentBased
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import Link, NonRecordingSpan, Span, SpanContext, SpanKind, Status, StatusCode, TraceFlags
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from libs.common.events.envelope import TRACE_HEADERS, Payload

if TYPE_CHECKING:
    from requests import Session

Carrier: TypeAlias = dict[str, str]
"""A W3C trace context on its way: `traceparent` and perhaps `tracestate`."""

Attributes: TypeAlias = Mapping[str, str | int]

_W3C = TraceContextTextMapPropagator()
_PLAIN = re.compile(r"00-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})")
_LEFT_OUT = "-00"
_SCOPE = InstrumentationScope("sakidashi")
_UNSET = Status()


def carrier_of(headers: Mapping[str, str]) -> Carrier | None:
    """The trace context among a record's headers, if it has one."""
    if "traceparent" not in headers:
        return None
    return {name: headers[name] for name in TRACE_HEADERS if name in headers}


def issue_attributes(payload: Payload) -> dict[str, str | int]:
    """Every span says which issue it is about, where it is about one; nothing personal is ever an attribute."""
    issue_id = getattr(payload, "issue_id", None)
    order_id = getattr(payload, "order_id", None)
    found: dict[str, str | int] = {"issue.id": str(issue_id)} if issue_id else {}
    if order_id:
        found["order.id"] = order_id
    return found


class Tracing:
    """Spans of one service. Off, every method hands the trace context on and does nothing else.

    Spans of events are put together here and given to the SDK's processors when they are over. The SDK's tracer, which
    takes any attributes at any moment, needed three times as long, and a lifecycle has 68 spans (the replacement of
    `tests/traces`, counted where they arrive: 56 in its report's trace, 12 about its order); it still makes those of
    requests. Sampler and processors are the SDK's.
    """

    def __init__(self, service: str, endpoint: str | None) -> None:
        self._ends = SynchronousMultiSpanProcessor()  # type: ignore[no-untyped-call]
        self._resource = _resource(service)
        self.provider = _provider(self._resource, self._ends, endpoint) if endpoint else None
        self._tracer = self.provider.get_tracer(_SCOPE.name) if self.provider else None
        self._metrics = _meter_provider(self._resource, endpoint) if endpoint else None
        self.counters = Counters(self._metrics.get_meter(_SCOPE.name) if self._metrics else None)

    @property
    def enabled(self) -> bool:
        return self._tracer is not None

    def records(self, trace_of: Carrier | None) -> bool:
        """Whether a span below this would be kept: a trace that its beginning left out stays out, and costs nothing."""
        return self._tracer is not None and not (trace_of and trace_of["traceparent"].endswith(_LEFT_OUT))

    @contextmanager
    def span(
        self,
        name: str,
        kind: SpanKind,
        trace_of: Carrier | None,
        attributes: Callable[[], Attributes],
        *,
        link: bool = False,
    ) -> Iterator[Carrier | None]:
        """A span below `trace_of` (with `link`: a new trace that links back to it); yields its own context.

        `attributes` is asked only where the span is kept.
        """
        if not self.records(trace_of):
            if trace_of is None:
                yield None
                return
            with _current(_context(trace_of)):
                yield trace_of
            return
        remote = _remote(trace_of)
        context = self._start_span(name, kind, None if link else remote)
        carrier, begin, failed = _carrier(context), time_ns(), None
        try:
            with _current(trace.set_span_in_context(NonRecordingSpan(context), Context())):
                yield carrier
        except Exception as error:
            failed = type(error).__name__
            raise
        finally:
            if context.trace_flags.sampled:
                said = {**attributes(), **({"error.type": failed} if failed else {})}
                links = [Link(remote)] if link and remote else []
                self._end_span(
                    name, kind, context, None if link else remote, said, begin, links, failed=failed is not None
                )

    def _start_span(self, name: str, kind: SpanKind, parent: SpanContext | None) -> SpanContext:
        """The context of a new span; whether it is kept is the sampler's word, or its parent's where that follows."""
        provider = cast("TracerProvider", self.provider)
        span_id = provider.id_generator.generate_span_id()
        if parent is not None and parent.trace_flags.sampled and isinstance(provider.sampler, ParentBased):
            return SpanContext(parent.trace_id, span_id, False, parent.trace_flags, parent.trace_state)
        trace_id = parent.trace_id if parent else provider.id_generator.generate_trace_id()
        below = trace.set_span_in_context(NonRecordingSpan(parent), Context()) if parent else Context()
        answer = provider.sampler.should_sample(below, trace_id, name, kind)
        flags = TraceFlags.SAMPLED if answer.decision is Decision.RECORD_AND_SAMPLE else TraceFlags.DEFAULT
        return SpanContext(trace_id, span_id, False, TraceFlags(flags), answer.trace_state)

    def _end_span(
        self,
        name: str,
        kind: SpanKind,
        context: SpanContext,
        parent: SpanContext | None,
        attributes: Attributes,
        begin: int,
        links: Sequence[Link] = (),
        *,
        failed: bool = False,
    ) -> None:
        """Of an error only its type is kept, among the attributes: its words may hold a customer's row."""
        self._ends.on_end(
            ReadableSpan(
                name,
                context,
                parent,
                self._resource,
                attributes,
                (),
                links,
                kind,
                status=Status(StatusCode.ERROR) if failed else _UNSET,
                start_time=begin,
                end_time=time_ns(),
                instrumentation_scope=_SCOPE,
            )
        )

    @contextmanager
    def request(self, method: str, trace_of: Carrier | None) -> Iterator[Span]:
        """The span of a request that is being answered, below its caller's if they sent one."""
        if self._tracer is None:
            yield trace.INVALID_SPAN
            return
        with self._tracer.start_as_current_span(
            method,
            _context(trace_of),
            SpanKind.SERVER,
            {"http.request.method": method},
            record_exception=False,
            set_status_on_exception=False,
        ) as span:
            try:
                yield span
            except Exception as error:
                span.set_attribute("error.type", type(error).__name__)
                span.set_status(StatusCode.ERROR)
                raise

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
        name, parent = f"send {topic}", _remote(trace_of)
        context = self._start_span(name, SpanKind.PRODUCER, parent)
        if context.trace_flags.sampled:
            self._end_span(name, SpanKind.PRODUCER, context, parent, attributes, time_ns())
        return _carrier(context)

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
def _current(context: Context) -> Iterator[None]:
    """Make this trace the current one, so that whoever asks for it finds it though nothing may be recorded."""
    token = attach(context)
    try:
        yield
    finally:
        detach(token)


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


def _remote(carrier: Carrier | None) -> SpanContext | None:
    """The span that a carrier tells of; None for none, and for words that are no trace context."""
    if carrier is None:
        return None
    context = trace.get_current_span(_context(carrier)).get_span_context()
    return context if context.is_valid else None


def _resource(service: str) -> Resource:
    return Resource.create({"service.name": service, "service.namespace": "sakidashi"})


def _provider(resource: Resource, ends: SynchronousMultiSpanProcessor, endpoint: str) -> TracerProvider:
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    from libs.common.telemetry.span_export import SpanSender

    provider = TracerProvider(resource=resource, active_span_processor=ends)
    exporter = SpanSender(endpoint=f"{endpoint.rstrip('/')}/v1/traces", session=_direct_encoder())
    provider.add_span_processor(BatchSpanProcessor(exporter, max_queue_size=32_768, schedule_delay_millis=500))
    return provider


def _meter_provider(resource: Resource, endpoint: str) -> MeterProvider:
    from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
    from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader

    exporter = OTLPMetricExporter(endpoint=f"{endpoint.rstrip('/')}/v1/metrics", session=_direct_encoder())
    return MeterProvider([PeriodicExportingMetricReader(exporter, 15_000)], resource)


def _direct_encoder() -> "Session":
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
