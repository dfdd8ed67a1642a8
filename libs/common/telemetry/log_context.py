"""Log context: the event that is being decided and its trace, as fields of every log line written meanwhile.

Setting it costs a context variable per event; the fields are computed only when a record is logged.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar, Token
from typing import TypeAlias

from libs.common.events.registry import AnyEvent
from libs.common.telemetry.trace_context import Carrier, trace_id_of

_Current: TypeAlias = tuple[AnyEvent | None, Carrier | None]

_current: ContextVar[_Current | None] = ContextVar("event", default=None)
_issue: ContextVar[str | None] = ContextVar("issue", default=None)


def enter(event: AnyEvent | None, trace: Carrier | None) -> "Token[_Current | None]":
    """Set event and trace; pass the result to `leave`. For hot paths, where `about` costs too much."""
    return _current.set((event, trace))


leave = _current.reset


@contextmanager
def about(event: AnyEvent | None, trace: Carrier | None = None) -> Iterator[None]:
    """Add the ids of this event and trace to log lines of this block."""
    token = enter(event, trace)
    try:
        yield
    finally:
        leave(token)


@contextmanager
def about_issue(issue_id: object, trace: Carrier | None) -> Iterator[None]:
    """Add this issue and trace to log lines of this block, where no event is being decided."""
    token, issue = enter(None, trace), _issue.set(str(issue_id) if issue_id else None)
    try:
        yield
    finally:
        _issue.reset(issue)
        leave(token)


def current_trace() -> Carrier | None:
    """Return the trace context of the event or request that is being processed, or None."""
    current = _current.get()
    return current[1] if current else None


def current_trace_id() -> str | None:
    """Return the id of the current trace as 32 hex digits, or None."""
    trace = current_trace()
    return trace_id_of(trace) if trace else None


def fields() -> dict[str, str]:
    """Return `event_id`, `event_type`, `issue_id` and `trace_id`, as far as they are known."""
    event, trace = _current.get() or (None, None)
    issue = _issue.get()
    found: dict[str, str] = {"issue_id": issue} if issue else {}
    if event is not None:
        issue_id = getattr(event.data, "issue_id", None)
        found = {"event_id": event.id, "event_type": event.type, **({"issue_id": str(issue_id)} if issue_id else {})}
    return {**found, "trace_id": trace_id_of(trace)} if trace else found
