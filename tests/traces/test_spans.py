"""Span content, sampling and propagation, as received by a real OTLP receiver."""

from collections.abc import Iterator

import httpx
import pytest
from fastapi import FastAPI
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import Link, SpanContext, SpanKind, Status, StatusCode, TraceFlags, TraceState

from libs.common.http.request_spans import RequestSpans
from libs.common.telemetry.span_export import encode_otlp
from libs.common.telemetry.trace_context import Carrier
from libs.common.telemetry.tracing import Tracing
from tests.traces.receiver import SERVER, Receiver, receiver


@pytest.fixture
def otlp() -> Iterator[Receiver]:
    with receiver() as running:
        yield running


@pytest.fixture
def tracing(otlp: Receiver) -> Iterator[Tracing]:
    tracing = Tracing("test", otlp.endpoint)
    yield tracing
    tracing.shutdown()


def caller(flags: str, state: str | None = None) -> Carrier:
    carrier = {"traceparent": f"00-{'a' * 32}-{'b' * 16}-{flags}"}
    return {**carrier, "tracestate": state} if state else carrier


def flush(tracing: Tracing) -> None:
    assert tracing.provider is not None
    assert tracing.provider.force_flush()


async def asked(tracing: Tracing, path: str, headers: dict[str, str] | None = None) -> int:
    app = FastAPI()

    @app.get("/v1/things/{token}")
    async def thing(token: str) -> dict[str, str]:
        return {}

    @app.get("/v1/broken")
    async def broken() -> None:
        raise RuntimeError("the row of hanako@example.jp")

    app.add_middleware(RequestSpans, tracing=tracing, untraced=("/health",))
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://shop") as client:
        return (await client.get(path, headers=headers)).status_code


async def test_a_request_is_named_by_its_route_and_never_by_its_path(tracing: Tracing, otlp: Receiver) -> None:
    assert await asked(tracing, "/v1/things/a-signed-secret?key=hidden", caller("01")) == 200
    flush(tracing)
    (span,) = otlp.spans
    assert (span.kind, span.name, span.parent_id) == (SERVER, "GET /v1/things/{token}", "b" * 16)
    assert span.attributes == {
        "http.request.method": "GET",
        "http.route": "/v1/things/{token}",
        "http.response.status_code": 200,
    }


async def test_of_an_error_a_span_keeps_the_type_and_not_the_words(tracing: Tracing) -> None:
    kept = InMemorySpanExporter()
    assert tracing.provider is not None
    tracing.provider.add_span_processor(SimpleSpanProcessor(kept))
    assert await asked(tracing, "/v1/broken") == 500
    with pytest.raises(RuntimeError), tracing.span("process it", SpanKind.CONSUMER, None, dict):
        raise RuntimeError("the row of hanako@example.jp")
    request, process = kept.get_finished_spans()
    assert request.name == "GET /v1/broken"
    for span in (request, process):
        assert (span.attributes or {})["error.type"] == "RuntimeError"
        assert "hanako" not in span.to_json()


async def test_requests_of_health_checks_have_no_span(tracing: Tracing, otlp: Receiver) -> None:
    await asked(tracing, "/health/ready")
    await asked(tracing, "/v1/things/1")
    flush(tracing)
    assert [span.name for span in otlp.spans] == ["GET /v1/things/{token}"]


async def test_a_trace_that_its_beginning_left_out_stays_out_and_travels_on(tracing: Tracing, otlp: Receiver) -> None:
    with tracing.span("process it", SpanKind.CONSUMER, caller("00"), dict) as inside:
        assert inside == caller("00")
        assert tracing.current() == caller("00")
    with tracing.span("process another", SpanKind.CONSUMER, caller("01"), dict):
        pass
    flush(tracing)
    assert [span.name for span in otlp.spans] == ["process another"]


def test_what_a_vendor_wrote_beside_the_trace_travels_on(tracing: Tracing) -> None:
    with tracing.span("process", SpanKind.CONSUMER, caller("01", "vendor=abc"), dict) as inside:
        assert inside is not None
        assert inside["tracestate"] == "vendor=abc"


@given(trace=st.integers(1, 2**128 - 1), span=st.integers(1, 2**64 - 1))
def test_a_context_is_written_as_it_was_read(trace: int, span: int) -> None:
    silent = Tracing("test", None)
    carrier = {"traceparent": f"00-{trace:032x}-{span:016x}-00"}
    with silent.span("process", SpanKind.CONSUMER, carrier, dict) as inside:
        assert inside == carrier
        assert silent.current() == carrier


@pytest.mark.parametrize("odd", ["", "00-zz", f"00-{'0' * 32}-{'b' * 16}-01", f"ff-{'a' * 32}-{'b' * 16}-01"])
async def test_a_trace_context_that_is_none_begins_a_new_trace(odd: str, tracing: Tracing, otlp: Receiver) -> None:
    with tracing.span("process", SpanKind.CONSUMER, {"traceparent": odd}, dict):
        pass
    flush(tracing)
    assert otlp.spans[0].parent_id == ""


ids = st.integers(1, 2**63)
contexts = st.builds(
    SpanContext,
    trace_id=ids,
    span_id=ids,
    is_remote=st.booleans(),
    trace_flags=st.just(TraceFlags(1)),
    trace_state=st.sampled_from([None, TraceState([("vendor", "abc"), ("other", "1")])]),
)
finished = st.builds(
    ReadableSpan,
    name=st.text(),
    context=contexts,
    parent=st.none() | contexts,
    resource=st.just(Resource({"service.name": "test"}, "urn:schema")),
    attributes=st.dictionaries(st.text(), st.text() | st.integers(-(2**63), 2**63 - 1)),
    links=st.lists(st.builds(Link, contexts), max_size=2),
    kind=st.sampled_from(SpanKind),
    status=st.sampled_from([Status(), Status(StatusCode.ERROR)]),
    start_time=ids,
    end_time=ids,
    instrumentation_scope=st.just(InstrumentationScope("sakidashi")),
)


@given(spans=st.lists(finished, min_size=1, max_size=3))
def test_spans_are_sent_as_the_exporter_of_opentelemetry_would_send_them(spans: list[ReadableSpan]) -> None:
    assert encode_otlp(spans) == encode_spans(spans)
