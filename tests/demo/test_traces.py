"""Trace viewer of the demo: spans as the SDK exports them, drawn as a waterfall."""

import re
from collections.abc import Sequence

import httpx
import pytest
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import Link

from deploy.demo.traces.__main__ import create_app
from deploy.demo.traces.spans import TraceStore, decode
from deploy.demo.traces.waterfall import NAMES, WIDTH, waterfall


def recorded() -> Sequence[ReadableSpan]:
    """A report with two children, and a later trace that links back to it."""
    exporter = InMemorySpanExporter()
    provider = TracerProvider(resource=Resource({"service.name": "intake"}))
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    tracer = provider.get_tracer("tests")
    with tracer.start_as_current_span("POST /v1/issues") as report:
        with tracer.start_as_current_span("process report.filed.v1"):
            pass
        with tracer.start_as_current_span("process issue.accepted.v1"):
            pass
    with tracer.start_as_current_span("timer reminder", links=[Link(report.get_span_context())]):
        pass
    return exporter.get_finished_spans()


@pytest.fixture
def exported() -> bytes:
    body: bytes = encode_spans(recorded()).SerializeToString()
    return body


def client(store: TraceStore) -> httpx.AsyncClient:
    return httpx.AsyncClient(transport=httpx.ASGITransport(create_app(store)), base_url="http://traces")


async def test_a_received_trace_is_drawn_with_children_below_their_parent(exported: bytes) -> None:
    store = TraceStore()
    async with client(store) as http:
        assert (await http.post("/v1/traces", content=exported)).status_code == 200
        index = (await http.get("/")).text
        (trace_id,) = re.findall(r"/trace/(\w+)", index)  # the one that has more than one span
        page = (await http.get(f"/trace/{trace_id}")).text
    shown = [
        page.index(name) for name in ("POST /v1/issues,", "process report.filed.v1,", "process issue.accepted.v1,")
    ]
    assert shown == sorted(shown)


async def test_a_trace_names_the_traces_that_link_to_it(exported: bytes) -> None:
    store = TraceStore()
    for span in decode(exported):
        store.add(span)
    report, reminder = (
        next(s for s in decode(exported) if s.name == name) for name in ("POST /v1/issues", "timer reminder")
    )
    assert store.linked(report.trace_id) == [reminder.trace_id]
    assert store.linked(reminder.trace_id) == [report.trace_id]


def test_every_bar_stays_inside_the_chart(exported: bytes) -> None:
    spans = [span for span in decode(exported) if span.name != "timer reminder"]
    rows = waterfall(spans).rows
    assert [row.depth for row in rows] == [0, 1, 1]
    assert all(row.x >= NAMES and row.x <= WIDTH for row in rows)


async def test_bytes_that_are_no_export_are_refused() -> None:
    async with client(TraceStore()) as http:
        answer = await http.post("/v1/traces", content=b"\xff\xff not protobuf")
    assert (answer.status_code, "ExportTraceServiceRequest" in answer.text) == (400, True)


async def test_an_unknown_trace_is_not_found() -> None:
    async with client(TraceStore()) as http:
        assert (await http.get("/trace/abc")).status_code == 404


def test_the_oldest_trace_is_dropped_when_there_are_too_many_spans(exported: bytes) -> None:
    store = TraceStore(most_spans=2)
    spans = list(decode(exported))
    for span in spans:
        store.add(span)
    assert store.get(spans[0].trace_id) == []
    assert len(store.get(spans[-1].trace_id)) == 1
