"""A span for each HTTP request, where requests are traced: the beginning of a report's story.

Small and our own, like all spans here: the instrumentation that OpenTelemetry ships for FastAPI looks at every request
at length whether its trace is kept or not, counts it besides, and writes the whole address into the span. An address
may be a signed link, and who has the link has the key; so a span holds the route as it was declared, never the path.
"""

from collections.abc import Sequence

from opentelemetry.trace import Status, StatusCode
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from libs.common.events.envelope import TRACE_HEADERS
from libs.common.telemetry.tracing import Carrier, Tracing, carrier_of

_WANTED = tuple(name.encode() for name in TRACE_HEADERS)


class RequestSpans:
    """Around an app. Requests whose path begins with one of `silent` have none: nobody follows their story."""

    def __init__(self, app: ASGIApp, tracing: Tracing, silent: Sequence[str] = ()) -> None:
        self.app, self._tracing, self._silent = app, tracing, tuple(silent)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"].startswith(self._silent):
            await self.app(scope, receive, send)
            return
        method = scope["method"]
        with self._tracing.request(method, _caller(scope)) as span:
            if not span.is_recording():
                await self.app(scope, receive, send)
                return

            async def told(message: Message) -> None:
                if message["type"] == "http.response.start":
                    span.set_attribute("http.response.status_code", message["status"])
                    if message["status"] >= 500:
                        span.set_status(Status(StatusCode.ERROR))
                await send(message)

            try:
                await self.app(scope, receive, told)
            finally:
                if route := getattr(scope.get("route"), "path", None):
                    span.update_name(f"{method} {route}")
                    span.set_attribute("http.route", route)


def _caller(scope: Scope) -> Carrier | None:
    """The trace that the caller is in, if they say so."""
    return carrier_of({name.decode(): value.decode("latin-1") for name, value in scope["headers"] if name in _WANTED})
