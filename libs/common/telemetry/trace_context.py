"""W3C trace context: from record headers to OpenTelemetry's context and back."""

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import lru_cache
from typing import TypeAlias

from opentelemetry import trace
from opentelemetry.context import Context, attach, detach
from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from libs.common.events.envelope import TRACE_HEADERS

Carrier: TypeAlias = dict[str, str]
"""A serialised W3C trace context: `traceparent` and perhaps `tracestate`."""

_W3C = TraceContextTextMapPropagator()
_VERSION_00 = re.compile(r"00-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})")
_NOT_SAMPLED = "-00"


def carrier_of(headers: Mapping[str, str]) -> Carrier | None:
    """Return the trace context among a record's headers, or None."""
    if "traceparent" not in headers:
        return None
    return {name: headers[name] for name in TRACE_HEADERS if name in headers}


def is_sampled(carrier: Carrier) -> bool:
    return not carrier["traceparent"].endswith(_NOT_SAMPLED)


def current_trace_id() -> str | None:
    """Return the trace id of the current span as 32 hex digits, or None."""
    context = trace.get_current_span().get_span_context()
    return trace.format_trace_id(context.trace_id) if context.is_valid else None


@contextmanager
def attached(context: Context) -> Iterator[None]:
    """Make this trace the current one, also where no span is recorded."""
    token = attach(context)
    try:
        yield
    finally:
        detach(token)


def to_context(carrier: Carrier | None) -> Context:
    """Return the carrier's remote span as an OpenTelemetry context.

    Version 00 without `tracestate` is parsed here; OpenTelemetry's own parser takes ten times as long.
    """
    if carrier is None:
        return Context()
    if "tracestate" in carrier:
        return _W3C.extract(carrier, Context())
    return _parse(carrier["traceparent"])


@lru_cache(maxsize=4096)
def _parse(traceparent: str) -> Context:
    """Cached because many events of one batch share a cause and so a `traceparent`."""
    match = _VERSION_00.fullmatch(traceparent)
    if match is None:
        return _W3C.extract({"traceparent": traceparent}, Context())
    trace_id, span_id, flags = (int(part, 16) for part in match.groups())
    context = SpanContext(trace_id, span_id, is_remote=True, trace_flags=TraceFlags(flags))
    return trace.set_span_in_context(NonRecordingSpan(context), Context()) if context.is_valid else Context()


def to_carrier(context: SpanContext) -> Carrier | None:
    if not context.is_valid:
        return None
    flags = context.trace_flags
    carrier = {"traceparent": f"00-{context.trace_id:032x}-{context.span_id:016x}-{flags:02x}"}
    return {**carrier, "tracestate": context.trace_state.to_header()} if context.trace_state else carrier


def remote_span(carrier: Carrier | None) -> SpanContext | None:
    """Return the span that a carrier names; None without a carrier or with an invalid one."""
    if carrier is None:
        return None
    context = trace.get_current_span(to_context(carrier)).get_span_context()
    return context if context.is_valid else None
