"""Connections of clients, each with an end: how long a request may take to arrive, how large its head, how many.

uvicorn with httptools bounds none of these by itself: a client that sends one byte a minute keeps its connection for
ever, a header may grow until memory ends, and a new connection that says nothing is never looked at again. A proxy in
front usually stops that; this is for when there is none, or when it is inside that the client goes wrong.

Too many connections are answered 503 with `Retry-After`, for next to nothing, but for the health routes: a flood must
not get a process restarted that only has too many guests. Beyond twice the number nothing is said any more, to keep
files for the rest.
"""

import asyncio
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, cast

from starlette.types import ASGIApp
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from libs.common.http.problems import Problem


@dataclass(frozen=True, slots=True)
class ConnectionLimits:
    connections: int = 500
    head_bytes: int = 32 * 1024
    headers: int = 100
    head_seconds: float = 10.0
    """From the connection, or from the first byte of a further request, to the end of its headers."""
    body_seconds: float = 300.0
    """From there to the end of its body: ten photos over a slow line. Other bodies have less, see `http.Border`."""
    reading_seconds: float = 60.0
    """How long a client may leave an answer unread that is larger than the buffers between us."""


def limited_protocol(limits: ConnectionLimits) -> type[asyncio.Protocol]:
    """uvicorn's own protocol on httptools, within these limits."""
    return type("Bounded", (_LimitedProtocol,), {"limits": limits})


class _LimitedProtocol(HttpToolsProtocol):
    limits: ConnectionLimits
    _deadline: asyncio.TimerHandle | None = None
    _reading: asyncio.TimerHandle | None = None
    _in_head = True
    _head_bytes = 0
    _turned_away = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        if len(self.connections) > 2 * self.limits.connections:
            transport.abort()
            return
        self._set_deadline(self.limits.head_seconds)

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self._clear_deadline()
        self.resume_writing()

    def data_received(self, data: bytes) -> None:
        if self._in_head:
            if self._deadline is None:
                self._set_deadline(self.limits.head_seconds)
            self._head_bytes += len(data)
        super().data_received(data)
        if self._in_head and self._head_bytes > self.limits.head_bytes:
            self._end(_head_too_large(self.limits))

    def on_message_begin(self) -> None:
        super().on_message_begin()
        if self._deadline is None:  # further requests may come in one piece with the one before
            self._set_deadline(self.limits.head_seconds)

    def on_header(self, name: bytes, value: bytes) -> None:
        if len(self.headers) <= self.limits.headers:  # one more is kept, to tell that there were too many
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        if self._turned_away:
            return
        self._in_head, self._head_bytes = False, 0
        self._set_deadline(self.limits.body_seconds)
        kept, problem = self.app, self._refusal()
        earlier: RequestResponseCycle | None = self.cycle
        if problem and (earlier is None or earlier.response_complete):
            self._turned_away = True
            self.transport.write(_encoded(problem))
            self.transport.close()
            return
        if problem:  # an earlier request has still to be answered, so this answer waits for its turn
            self.app = cast("Any", _with_body(problem))
        super().on_headers_complete()
        self.app = kept

    def on_body(self, body: bytes) -> None:
        if not self._turned_away:
            super().on_body(body)

    def on_message_complete(self) -> None:
        self._in_head = True
        self._clear_deadline()
        if not self._turned_away:
            super().on_message_complete()

    def _refusal(self) -> Problem | None:
        size = len(self.url) + sum(len(name) + len(value) + 4 for name, value in self.headers)
        if size > self.limits.head_bytes or len(self.headers) > self.limits.headers:
            return _head_too_large(self.limits)
        if len(self.connections) > self.limits.connections and not self.url.startswith(b"/health/"):
            return _TOO_MANY
        return None

    def pause_writing(self) -> None:
        super().pause_writing()
        self._reading = self.loop.call_later(self.limits.reading_seconds, self._abort)

    def resume_writing(self) -> None:
        super().resume_writing()
        if self._reading:
            self._reading.cancel()
            self._reading = None

    def _set_deadline(self, seconds: float) -> None:
        self._clear_deadline()
        self._deadline = self.loop.call_later(seconds, self._too_slow)

    def _clear_deadline(self) -> None:
        if self._deadline:
            self._deadline.cancel()
            self._deadline = None

    def _too_slow(self) -> None:
        part = "headers" if self._in_head else "body"
        seconds = self.limits.head_seconds if self._in_head else self.limits.body_seconds
        self._end(Problem(408, "too_slow", f"request: its {part} must be here within {seconds:g} s; send it again."))

    def _end(self, problem: Problem) -> None:
        """Say why, unless an answer is under way or owed to an earlier request, and close."""
        if self.transport.is_closing():
            return
        cycle: RequestResponseCycle | None = self.cycle
        if cycle is None or (cycle.response_complete if self._in_head else not cycle.response_started):
            self.transport.write(_encoded(problem))
        self.transport.close()

    def _abort(self) -> None:
        self.transport.abort()


_TOO_MANY = Problem(503, "too_many_connections", "Too many connections; try again in a second.", retry_after=1)


def _head_too_large(limits: ConnectionLimits) -> Problem:
    detail = f"headers: {limits.headers} of them and {limits.head_bytes} bytes with the address are the most."
    return Problem(431, "headers_too_large", detail)


def _with_body(problem: Problem) -> ASGIApp:
    response = problem.response()
    response.headers["Connection"] = "close"
    return response


_REASONS = {408: b"Request Timeout", 431: b"Request Header Fields Too Large", 503: b"Service Unavailable"}


@lru_cache(maxsize=8)
def _encoded(problem: Problem) -> bytes:
    """The answer as bytes, for a request that never became one; most are the same, and there may be a flood of them."""
    response = problem.response()
    response.headers["Connection"] = "close"
    lines = [b"HTTP/1.1 %d %s" % (problem.status, _REASONS[problem.status])]
    lines += [name + b": " + value for name, value in response.raw_headers]
    return b"\r\n".join((*lines, b"", bytes(response.body)))
