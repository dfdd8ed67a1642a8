"""Spans of a service, recorded on the hot path without the SDK's tracer; without an endpoint nothing is recorded.

Names follow OpenTelemetry's messaging conventions (semantic conventions 1.41). FastStream's middleware was rejected: it
emits deprecated names, loses the links of a batch, and costs as much per message as all other work.

A trace runs from the report to the points. A `process` span covers one decision; the records that it writes carry its
context, and their types are its attribute `event.published`. Rejected: a `send` span per record, which says no more and
doubled the cost; a span per event of a read model, which decides nothing (`Aggregate.is_read_model`). A notice that is
sent is a span of its own. A timer starts a new trace with a link to the one that set it. Without an endpoint, a trace
context received from a partner is still propagated.

The sampling rate is OpenTelemetry's own setting (`OTEL_TRACES_SAMPLER`, default: all). The decision is made where a
trace begins and holds for all of it. An unsampled trace costs no more than tracing switched off.
"""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from random import getrandbits
from time import time_ns

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.sdk.trace.sampling import Decision, ParentBased
from opentelemetry.trace import NonRecordingSpan, SpanContext, SpanKind, TraceFlags

from libs.common.events.envelope import Payload
from libs.common.telemetry import log_context
from libs.common.telemetry.providers import service_resource, span_processor, tracer_provider
from libs.common.telemetry.span_encoding import AttributeValue, EncodedSpan, encode_span, span_template
from libs.common.telemetry.trace_context import Carrier, child_of, is_sampled, span_id_of, trace_id_of

Attributes = Iterable[tuple[str, AttributeValue]]

_SAMPLED, _NOT_SAMPLED = "01", "00"


def issue_attributes(about: object) -> list[tuple[str, AttributeValue]]:
    """Return the span attributes for issue and order of a payload or row. Personal data is never an attribute."""
    issue_id = getattr(about, "issue_id", None)
    order_id = getattr(about, "order_id", None)
    attributes: list[tuple[str, AttributeValue]] = [("issue.id", str(issue_id))] if issue_id else []
    if order_id:
        attributes.append(("order.id", order_id))
    return attributes


@dataclass(slots=True)
class RequestSpan:
    """Span of the current HTTP request; name and attributes may change until it ends."""

    name: str
    attributes: dict[str, AttributeValue]
    failed: bool = field(default=False)


_request: ContextVar[RequestSpan | None] = ContextVar("request", default=None)


class Tracing:
    """Spans of one service. Disabled, every method only propagates the trace context."""

    def __init__(self, service: str, endpoint: str | None) -> None:
        resource = service_resource(service)
        self._processor = span_processor(resource, endpoint) if endpoint else None
        # For its sampler and resource, which the environment configures; its tracer is not used.
        self.provider = tracer_provider(resource, self._processor) if self._processor else None
        self._sampler = self.provider.sampler if self.provider else None
        self._follows_parent = isinstance(self._sampler, ParentBased)

    @property
    def enabled(self) -> bool:
        return self._processor is not None

    def start(self, name: str, kind: SpanKind, parent: Carrier | None) -> tuple[Carrier | None, int]:
        """Start a span below `parent`: return the context to pass on, and the start time, 0 if it is not recorded."""
        if self._sampler is None or (parent is not None and not is_sampled(parent)):
            return parent, 0
        span_id = f"{getrandbits(64) or 1:016x}"
        if parent is not None and self._follows_parent:
            return child_of(parent, span_id), time_ns()
        return self._sampled_by_rule(name, kind, parent, span_id)

    def _sampled_by_rule(
        self, name: str, kind: SpanKind, parent: Carrier | None, span_id: str
    ) -> tuple[Carrier | None, int]:
        assert self._sampler is not None
        trace_id = int(trace_id_of(parent), 16) if parent else getrandbits(128) or 1
        result = self._sampler.should_sample(_context_of(parent), trace_id, name, kind)
        sampled = result.decision is Decision.RECORD_AND_SAMPLE
        state = result.trace_state.to_header() if result.trace_state else ""
        carrier = f"00-{trace_id:032x}-{span_id}-{_SAMPLED if sampled else _NOT_SAMPLED}"
        return f"{carrier} {state}" if state else carrier, time_ns() if sampled else 0

    def end(
        self,
        template: bytes,
        context: Carrier,
        parent: Carrier | None,
        begin: int,
        attributes: Attributes,
        links: Sequence[Carrier] = (),
        *,
        failed: bool = False,
    ) -> None:
        """Record a span that `start` began. Of an error only the type is an attribute: its message may hold a row."""
        if self._processor is not None:
            message = encode_span(template, context, parent, begin, time_ns(), attributes, links, failed=failed)
            self._processor.on_end(EncodedSpan(message))

    def record(self, template: bytes, parent: Carrier | None, begin: int, attributes: Attributes) -> None:
        """Record a span below `parent` that began at `begin` and ends now; without a sampled parent nothing."""
        if self._processor is None or parent is None or not is_sampled(parent):
            return
        context = child_of(parent, f"{getrandbits(64) or 1:016x}")
        self.end(template, context, parent, begin, attributes)

    @contextmanager
    def request(self, method: str, parent: Carrier | None) -> Iterator[RequestSpan | None]:
        """Open the server span of an HTTP request, below the caller's span if it sent one; None: it is not recorded."""
        carrier, begin = self.start(method, SpanKind.SERVER, parent)
        span = RequestSpan(method, {"http.request.method": method}) if begin else None
        here, logged = _request.set(span), log_context.enter(None, carrier)
        try:
            yield span
        except Exception as error:
            if span is not None:
                span.attributes["error.type"] = type(error).__name__
                span.failed = True
            raise
        finally:
            log_context.leave(logged)
            _request.reset(here)
            if span is not None and carrier is not None:
                template = span_template(span.name, SpanKind.SERVER, {})
                self.end(template, carrier, parent, begin, span.attributes.items(), failed=span.failed)

    def current(self) -> Carrier | None:
        """Return the context of the current HTTP request's span."""
        return log_context.current_trace()

    def describe(self, payload: Payload) -> None:
        """Add the payload's issue and order to the current HTTP request's span."""
        if (span := _request.get()) is not None:
            span.attributes.update(issue_attributes(payload))

    def flush(self) -> None:
        """Export all finished spans now."""
        if self._processor is not None:
            self._processor.force_flush()

    def shutdown(self) -> None:
        if self.provider:
            self.provider.shutdown()


def _context_of(parent: Carrier | None) -> Context:
    """Return the parent as OpenTelemetry's context, for a sampler that asks for it."""
    if parent is None:
        return Context()
    trace_id, span_id = int(trace_id_of(parent), 16), int(span_id_of(parent), 16)
    context = SpanContext(trace_id, span_id, is_remote=True, trace_flags=TraceFlags(TraceFlags.SAMPLED))
    return trace.set_span_in_context(NonRecordingSpan(context), Context())
