"""Log context: the event that is being decided, as fields of every log line written meanwhile.

Setting it costs a context variable per event; the fields are computed only when a record is logged.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from libs.common.events.registry import AnyEvent
from libs.common.telemetry.trace_context import Carrier, current_trace_id

_current: ContextVar[tuple[AnyEvent, Carrier | None] | None] = ContextVar("event", default=None)


@contextmanager
def about(event: AnyEvent, trace: Carrier | None = None) -> Iterator[None]:
    """Add the ids of this event to log lines of this block."""
    token = _current.set((event, trace))
    try:
        yield
    finally:
        _current.reset(token)


def fields() -> dict[str, str]:
    """Return `event_id`, `event_type`, `issue_id` and `trace_id`, as far as they are known."""
    event, trace = _current.get() or (None, None)
    found: dict[str, str] = {}
    if event is not None:
        issue_id = getattr(event.data, "issue_id", None)
        found = {"event_id": event.id, "event_type": event.type, **({"issue_id": str(issue_id)} if issue_id else {})}
    trace_id = current_trace_id() or (trace["traceparent"].split("-")[1] if trace else None)
    return {**found, "trace_id": trace_id} if trace_id else found
