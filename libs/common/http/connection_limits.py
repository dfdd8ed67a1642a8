"""Limits on client connections: duration of a request, size of its headers, number of connections.

uvicorn with httptools limits none of these: a client that sends one byte per minute keeps its connection, headers grow
without limit, and an idle new connection is never closed. The proxy of `deploy/proxy` prevents that for callers from
outside. These limits stay ours for the others (a partner's server, a port that was published by mistake), since uvicorn
has no setting for them; hypercorn and granian lack some as well, and cost the fast path. They rest on private parts of
uvicorn, so `tests/security/test_uvicorn_parts.py` is pinned to its version.

Excess connections are answered 503 with `Retry-After`, except on health routes, so that a flood does not cause a
restart. Beyond twice the limit connections are closed without an answer, to keep file descriptors free.
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
    """From the connection, or the first byte of a further request, to the end of its headers."""
    body_seconds: float = 300.0
    """From there to the end of the body: ten photos over a slow line. JSON bodies have less, see `body_limit`."""
    reading_seconds: float = 60.0
    """Time in which a client must read a response that exceeds the socket buffers."""


def limited_protocol(limits: ConnectionLimits) -> type[asyncio.Protocol]:
    """Return uvicorn's httptools protocol with these limits."""
    return type("LimitedProtocol", (_LimitedProtocol,), {"limits": limits})


class _LimitedProtocol(HttpToolsProtocol):
    limits: ConnectionLimits
    _deadline: asyncio.TimerHandle | None = None
    _reading: asyncio.TimerHandle | None = None
    _in_head = True
    _head_bytes = 0
    _refused = False

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
        if self._deadline is None:  # a pipelined request may arrive in the same chunk as the one before
            self._set_deadline(self.limits.head_seconds)

    def on_header(self, name: bytes, value: bytes) -> None:
        if len(self.headers) <= self.limits.headers:  # one more is kept, to detect that there were too many
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        if self._refused:
            return
        self._in_head, self._head_bytes = False, 0
        self._set_deadline(self.limits.body_seconds)
        app, problem = self.app, self._refusal()
        earlier: RequestResponseCycle | None = self.cycle
        if problem and (earlier is None or earlier.response_complete):
            self._refused = True
            self.transport.write(_encoded(problem))
            self.transport.close()
            return
        if problem:  # an earlier request is not answered yet, so this response is queued behind it
            self.app = cast("Any", _with_body(problem))
        super().on_headers_complete()
        self.app = app

    def on_body(self, body: bytes) -> None:
        if not self._refused:
            super().on_body(body)

    def on_message_complete(self) -> None:
        self._in_head = True
        self._clear_deadline()
        if not self._refused:
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
        self._end(Problem(408, "too_slow", f"request: {part} not complete within {seconds:g} s; send it again."))

    def _end(self, problem: Problem) -> None:
        """Send the problem, unless a response is in progress or due to an earlier request, and close."""
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
    detail = f"headers: too large; at most {limits.headers} headers and {limits.head_bytes} bytes with the address."
    return Problem(431, "headers_too_large", detail)


def _with_body(problem: Problem) -> ASGIApp:
    response = problem.response()
    response.headers["Connection"] = "close"
    return response


_REASONS = {408: b"Request Timeout", 431: b"Request Header Fields Too Large", 503: b"Service Unavailable"}


@lru_cache(maxsize=8)
def _encoded(problem: Problem) -> bytes:
    """Return the response as bytes, for a request that was not parsed. Cached, for floods of equal refusals."""
    response = problem.response()
    response.headers["Connection"] = "close"
    lines = [b"HTTP/1.1 %d %s" % (problem.status, _REASONS[problem.status])]
    lines += [name + b": " + value for name, value in response.raw_headers]
    return b"\r\n".join((*lines, b"", bytes(response.body)))
