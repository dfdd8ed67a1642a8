"""Trace viewer process: OTLP in on `/v1/traces` (metrics are dropped), pages out on `/` and `/trace/{trace_id}`."""

import os
from functools import cache
from pathlib import Path

import uvicorn
from google.protobuf.message import DecodeError
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, Response
from starlette.routing import Route

from deploy.demo.traces.spans import Span, TraceStore, decode
from deploy.demo.traces.waterfall import COLOURS, WIDTH, waterfall

NEWEST = 200


@cache
def _templates() -> Environment:
    folder = Path(__file__).with_name("templates")
    return Environment(loader=FileSystemLoader(folder), autoescape=True, undefined=StrictUndefined, trim_blocks=True)


def draw(spans: list[Span]) -> str:
    """One trace as SVG text. Raises `ValueError` for an empty trace."""
    return _templates().get_template("waterfall.svg").render(chart=waterfall(spans), width=WIDTH)


def create_app(store: TraceStore | None = None) -> Starlette:
    """The receiver and its pages around one store."""
    traces = store or TraceStore()

    async def receive(request: Request) -> Response:
        try:
            for span in decode(await request.body()):
                traces.add(span)
        except DecodeError:
            return PlainTextResponse("body: not an OTLP ExportTraceServiceRequest in protobuf", 400)
        return Response(media_type="application/x-protobuf")

    async def ignore(_: Request) -> Response:
        """Services export metrics to the same address; only their traces are shown."""
        return Response(media_type="application/x-protobuf")

    async def index(_: Request) -> Response:
        return HTMLResponse(_templates().get_template("index.html").render(traces=traces.newest(NEWEST)))

    async def show(request: Request) -> Response:
        trace_id = request.path_params["trace_id"]
        spans = traces.get(trace_id)
        if not spans:
            return PlainTextResponse(f"trace {trace_id}: unknown, or dropped because newer traces needed its room", 404)
        values = {"trace_id": trace_id, "title": f"{spans[0].service}: {spans[0].name}", "colours": COLOURS}
        page = _templates().get_template("trace.html")
        chart, svg = waterfall(spans), Markup(draw(spans))  # noqa: S704 - the template escapes every value
        return HTMLResponse(page.render(chart=chart, svg=svg, linked=traces.linked(trace_id), **values))

    async def ready(_: Request) -> Response:
        return PlainTextResponse("ready")

    routes = [
        Route("/v1/traces", receive, methods=["POST"]),
        Route("/v1/metrics", ignore, methods=["POST"]),
        Route("/", index),
        Route("/trace/{trace_id}", show),
        Route("/health/ready", ready),
    ]
    return Starlette(routes=routes)


def main() -> None:
    host, port = os.environ.get("HTTP_HOST", "127.0.0.1"), int(os.environ["HTTP_PORT"])
    uvicorn.run(create_app(), host=host, port=port, log_level="warning", access_log=False)


if __name__ == "__main__":
    main()
