"""Server spans of HTTP requests, named by route template.

OpenTelemetry's own instrumentation for FastAPI was rejected: it does its full work for unsampled requests too, counts
each of them besides, and writes the whole address into the span. An address may be a signed link, which is a secret.
"""

from collections.abc import Sequence

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from libs.common.events.envelope import TRACE_HEADERS
from libs.common.telemetry.trace_context import REQUEST_TRACE, Carrier, carrier_of
from libs.common.telemetry.tracing import Tracing

_TRACE_HEADERS = tuple(name.encode() for name in TRACE_HEADERS)


class RequestSpans:
    """ASGI middleware. Requests whose path begins with one of `untraced` get no span."""

    def __init__(self, app: ASGIApp, tracing: Tracing, untraced: Sequence[str] = ()) -> None:
        self.app, self._tracing, self._untraced = app, tracing, tuple(untraced)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"].startswith(self._untraced):
            await self.app(scope, receive, send)
            return
        method = scope["method"]
        with self._tracing.request(method, _parent(scope)) as span:
            scope[REQUEST_TRACE] = self._tracing.current()
            if span is None:
                await self.app(scope, receive, send)
                return

            async def send_with_status(message: Message) -> None:
                if message["type"] == "http.response.start":
                    span.attributes["http.response.status_code"] = message["status"]
                    span.failed = message["status"] >= 500
                await send(message)

            try:
                await self.app(scope, receive, send_with_status)
            finally:
                if route := getattr(scope.get("route"), "path", None):
                    span.name = f"{method} {route}"
                    span.attributes["http.route"] = route


def _parent(scope: Scope) -> Carrier | None:
    """Return the trace context that the caller sent, or None."""
    headers = {name.decode(): value.decode("latin-1") for name, value in scope["headers"] if name in _TRACE_HEADERS}
    return carrier_of(headers)
