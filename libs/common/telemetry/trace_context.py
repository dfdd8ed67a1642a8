"""W3C trace context: from headers to one text, and back to headers.

A context stays text on its way through a service, since most events only pass it on: OpenTelemetry's own propagator
and context objects took ten times as long as a slice of this text.
"""

import re
from collections.abc import Iterable, Mapping
from typing import TypeAlias

from libs.common.events.envelope import TRACE_HEADERS

Carrier: TypeAlias = str
"""A checked trace context: a `traceparent` of version 00, then a space and the `tracestate` if there is one."""

REQUEST_TRACE = "sakidashi.trace"
"""Key of the trace context in the ASGI scope of a request, for what is logged after its span has ended."""

_TRACEPARENT, _TRACESTATE = TRACE_HEADERS
_VERSION_00 = re.compile(r"00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}")
_LATER_VERSION = re.compile(r"(?!ff)[0-9a-f]{2}-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}(-.*)?")
_STATE = re.compile(r"[!-~][ -~]{0,511}")
_LENGTH = 55
_ODD = frozenset("13579bdf")


def carrier_of(headers: Mapping[str, str]) -> Carrier | None:
    """Return the trace context among headers; None without one or with an invalid one."""
    traceparent = headers.get(_TRACEPARENT)
    return None if traceparent is None else _checked(traceparent, headers.get(_TRACESTATE, ""))


def carrier_of_record(headers: Iterable[tuple[str, bytes | None]]) -> Carrier | None:
    """Return the trace context among the headers of a Kafka record; None without one or with an invalid one."""
    found = {name: value.decode("latin-1") for name, value in headers if value and name in TRACE_HEADERS}
    return carrier_of(found) if found else None


def _checked(traceparent: str, tracestate: str) -> Carrier | None:
    if not _VERSION_00.fullmatch(traceparent):
        if traceparent.startswith("00") or not _LATER_VERSION.fullmatch(traceparent):
            return None
        traceparent = f"00{traceparent[2:_LENGTH]}"  # a later version has the fields of this one
    return f"{traceparent} {tracestate}" if _STATE.fullmatch(tracestate) else traceparent


def record_headers(carrier: Carrier) -> list[tuple[str, bytes]]:
    """Return the headers that carry this context in a Kafka record."""
    if len(carrier) == _LENGTH:
        return [(_TRACEPARENT, carrier.encode())]
    return [(_TRACEPARENT, carrier[:_LENGTH].encode()), (_TRACESTATE, carrier[_LENGTH + 1 :].encode())]


def is_sampled(carrier: Carrier) -> bool:
    return carrier[54] in _ODD


def trace_id_of(carrier: Carrier) -> str:
    """Return the trace id as 32 hex digits."""
    return carrier[3:35]


def span_id_of(carrier: Carrier) -> str:
    """Return the span id as 16 hex digits."""
    return carrier[36:52]


def state_of(carrier: Carrier) -> str:
    """Return the `tracestate`, or an empty text."""
    return carrier[_LENGTH + 1 :]


def child_of(parent: Carrier, span_id: str) -> Carrier:
    """Return the context of a span below `parent`, with its trace, flags and state."""
    return f"{parent[:36]}{span_id}{parent[52:]}"
