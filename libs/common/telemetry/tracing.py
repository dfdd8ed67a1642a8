"""Spans of a service, assembled on the hot path without the SDK's tracer; without an endpoint nothing is recorded.

Names follow OpenTelemetry's messaging conventions (semantic conventions 1.41). FastStream's middleware was rejected: it
emits deprecated names, loses the links of a batch, and costs as much per message as all other work.

A trace runs from the report to the points: an outbox row carries the context of its `send` span in its headers, and
each consumed event is a `process` span below that. A timer starts a new trace with a link to the one that set it.
Without an endpoint, a trace context received from a partner is still propagated.

The sampling rate is OpenTelemetry's own setting (`OTEL_TRACES_SAMPLER`, default: all). The decision is made where a
trace begins and holds for all of it. An unsampled trace costs no more than tracing switched off.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from time import time_ns
from typing import TypeAlias, cast

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.sdk.trace import ReadableSpan, SynchronousMultiSpanProcessor, TracerProvider
from opentelemetry.sdk.trace.sampling import Decision, ParentBased
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import Link, NonRecordingSpan, Span, SpanContext, SpanKind, Status, StatusCode, TraceFlags

from libs.common.events.envelope import Payload
from libs.common.telemetry.counters import Counters
from libs.common.telemetry.providers import meter_provider, service_resource, tracer_provider
from libs.common.telemetry.trace_context import Carrier, attached, is_sampled, remote_span, to_carrier, to_context

Attributes: TypeAlias = Mapping[str, str | int]

_SCOPE = InstrumentationScope("sakidashi")
_UNSET = Status()


def issue_attributes(payload: Payload) -> dict[str, str | int]:
    """Return the span attributes for the payload's issue and order. Personal data is never an attribute."""
    issue_id = getattr(payload, "issue_id", None)
    order_id = getattr(payload, "order_id", None)
    attributes: dict[str, str | int] = {"issue.id": str(issue_id)} if issue_id else {}
    if order_id:
        attributes["order.id"] = order_id
    return attributes


class Tracing:
    """Tracer of one service. Disabled, every method only propagates the trace context.

    Event spans are assembled here and passed to the SDK's processors when they end: the SDK's tracer took three times
    as long, and one issue's lifecycle has 68 spans (the replacement of `tests/traces`: 56 in the trace of the report,
    12 about its order). Request spans use the SDK's tracer. Sampler and processors are the SDK's.
    """

    def __init__(self, service: str, endpoint: str | None) -> None:
        self._processors = SynchronousMultiSpanProcessor()  # type: ignore[no-untyped-call]
        self._resource = service_resource(service)
        self.provider = tracer_provider(self._resource, self._processors, endpoint) if endpoint else None
        self._tracer = self.provider.get_tracer(_SCOPE.name) if self.provider else None
        self._metrics = meter_provider(self._resource, endpoint) if endpoint else None
        self.counters = Counters(self._metrics.get_meter(_SCOPE.name) if self._metrics else None)

    @property
    def enabled(self) -> bool:
        return self._tracer is not None

    def records(self, parent: Carrier | None) -> bool:
        """Return whether a child span of `parent` may be recorded."""
        return self._tracer is not None and not (parent and not is_sampled(parent))

    @contextmanager
    def span(
        self,
        name: str,
        kind: SpanKind,
        parent: Carrier | None,
        attributes: Callable[[], Attributes],
        *,
        link: bool = False,
    ) -> Iterator[Carrier | None]:
        """Open a child span of `parent` (with `link`: a new trace linked to it) and yield its context.

        `attributes` is called only for a sampled span.
        """
        if not self.records(parent):
            if parent is None:
                yield None
                return
            with attached(to_context(parent)):
                yield parent
            return
        remote = remote_span(parent)
        context = self._start_span(name, kind, None if link else remote)
        carrier, begin, failed = to_carrier(context), time_ns(), None
        try:
            with attached(trace.set_span_in_context(NonRecordingSpan(context), Context())):
                yield carrier
        except Exception as error:
            failed = type(error).__name__
            raise
        finally:
            if context.trace_flags.sampled:
                found = {**attributes(), **({"error.type": failed} if failed else {})}
                links = [Link(remote)] if link and remote else []
                self._end_span(
                    name, kind, context, None if link else remote, found, begin, links, failed=failed is not None
                )

    def _start_span(self, name: str, kind: SpanKind, parent: SpanContext | None) -> SpanContext:
        """Return the context of a new span, sampled as its parent is or as the sampler decides."""
        provider = cast("TracerProvider", self.provider)
        span_id = provider.id_generator.generate_span_id()
        if parent is not None and parent.trace_flags.sampled and isinstance(provider.sampler, ParentBased):
            return SpanContext(parent.trace_id, span_id, False, parent.trace_flags, parent.trace_state)
        trace_id = parent.trace_id if parent else provider.id_generator.generate_trace_id()
        below = trace.set_span_in_context(NonRecordingSpan(parent), Context()) if parent else Context()
        result = provider.sampler.should_sample(below, trace_id, name, kind)
        flags = TraceFlags.SAMPLED if result.decision is Decision.RECORD_AND_SAMPLE else TraceFlags.DEFAULT
        return SpanContext(trace_id, span_id, False, TraceFlags(flags), result.trace_state)

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
        """Pass a finished span to the processors. Of an error only the type is kept: its message may hold a row."""
        self._processors.on_end(
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
    def request(self, method: str, parent: Carrier | None) -> Iterator[Span]:
        """Open the server span of an HTTP request, below the caller's span if it sent one."""
        if self._tracer is None:
            yield trace.INVALID_SPAN
            return
        with self._tracer.start_as_current_span(
            method,
            to_context(parent),
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

    def sent(self, payload: Payload, topic: str, parent: Carrier | None) -> Carrier | None:
        """Record the `send` span of an event for `topic`; return the context for the record's headers."""
        if self._tracer is None or not self.records(parent):
            return parent
        attributes = {
            "messaging.system": "kafka",
            "messaging.operation.type": "send",
            "messaging.operation.name": "send",
            "messaging.destination.name": topic,
            "messaging.kafka.message.key": payload.key,
            "event.type": payload.TYPE,
            **issue_attributes(payload),
        }
        name, remote = f"send {topic}", remote_span(parent)
        context = self._start_span(name, SpanKind.PRODUCER, remote)
        if context.trace_flags.sampled:
            self._end_span(name, SpanKind.PRODUCER, context, remote, attributes, time_ns())
        return to_carrier(context)

    def current(self) -> Carrier | None:
        """Return the context of the current HTTP request's span."""
        return to_carrier(trace.get_current_span().get_span_context())

    def describe(self, payload: Payload) -> None:
        """Add the payload's issue and order to the current HTTP request's span."""
        if self._tracer is not None:
            trace.get_current_span().set_attributes(issue_attributes(payload))

    def shutdown(self) -> None:
        if self.provider:
            self.provider.shutdown()
        if self._metrics:
            self._metrics.shutdown()
