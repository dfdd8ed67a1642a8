"""Duration of HTTP requests, by method, route template and status, named as OpenTelemetry's conventions do."""

from time import perf_counter

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from libs.common.telemetry.metrics import Distribution, Kind, Metric

REQUEST_DURATION = Metric(
    "http.server.request.duration",
    Kind.HISTOGRAM,
    "s",
    "Duration of HTTP requests, from the headers to the end of the answer.",
    ("http.request.method", "http.route", "http.response.status_code"),
    (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10),
)

_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


class RequestMetrics:
    """ASGI middleware. A path without a route is counted as the route `none`, so that strangers add no series."""

    def __init__(self, app: ASGIApp, duration: Distribution) -> None:
        self.app, self._duration = app, duration

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        began, status = perf_counter(), 500

        async def send_and_note(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self.app(scope, receive, send_and_note)
        finally:
            method = scope["method"] if scope["method"] in _METHODS else "_OTHER"
            route = getattr(scope.get("route"), "path", "none")
            self._duration.record(perf_counter() - began, method, route, str(status))
