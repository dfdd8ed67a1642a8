"""Span content, sampling and propagation, as received by a real OTLP receiver."""

from collections.abc import Iterator
from contextlib import contextmanager

import httpx
import pytest
from fastapi import FastAPI
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import Link, SpanContext, SpanKind, Status, StatusCode, TraceFlags, TraceState

from libs.common.telemetry.request_spans import RequestSpans
from libs.common.telemetry.span_encoding import SCOPE, encode_request, encode_span, span_template
from libs.common.telemetry.trace_context import Carrier, carrier_of, carrier_of_record, is_sampled, record_headers
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


def caller(flags: str) -> Carrier:
    return f"00-{'a' * 32}-{'b' * 16}-{flags}"


@contextmanager
def span(tracing: Tracing, name: str, parent: Carrier | None) -> Iterator[Carrier | None]:
    """Record a span of this name, if it is to be recorded, and yield the context inside it."""
    context, begin = tracing.start(name, SpanKind.CONSUMER, parent)
    yield context
    if begin and context:
        tracing.end(span_template(name, SpanKind.CONSUMER, {}), context, parent, begin, ())


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
    assert await asked(tracing, "/v1/things/a-signed-secret?key=hidden", {"traceparent": caller("01")}) == 200
    tracing.flush()
    (span,) = otlp.spans
    assert (span.kind, span.name, span.parent_id) == (SERVER, "GET /v1/things/{token}", "b" * 16)
    assert span.attributes == {
        "http.request.method": "GET",
        "http.route": "/v1/things/{token}",
        "http.response.status_code": 200,
    }


async def test_of_an_error_a_span_keeps_the_type_and_not_the_words(tracing: Tracing, otlp: Receiver) -> None:
    assert await asked(tracing, "/v1/broken") == 500
    tracing.flush()
    (request,) = otlp.spans
    assert request.name == "GET /v1/broken"
    assert request.attributes["error.type"] == "RuntimeError"
    assert "hanako" not in str(request)


async def test_requests_of_health_checks_have_no_span(tracing: Tracing, otlp: Receiver) -> None:
    await asked(tracing, "/health/ready")
    await asked(tracing, "/v1/things/1")
    tracing.flush()
    assert [span.name for span in otlp.spans] == ["GET /v1/things/{token}"]


async def test_a_trace_that_its_beginning_left_out_stays_out_and_travels_on(tracing: Tracing, otlp: Receiver) -> None:
    with span(tracing, "process it", caller("00")) as inside:
        assert inside == caller("00")
    with tracing.request("POST", caller("00")) as request:
        assert request is None
        assert tracing.current() == caller("00")
    with span(tracing, "process another", caller("01")):
        pass
    tracing.flush()
    assert [each.name for each in otlp.spans] == ["process another"]


@pytest.mark.parametrize(("sampler", "recorded"), [("always_off", False), ("parentbased_always_off", False)])
def test_where_a_trace_begins_the_sampler_decides_for_all_of_it(
    sampler: str, recorded: bool, otlp: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_TRACES_SAMPLER", sampler)
    tracing = Tracing("test", otlp.endpoint)
    with span(tracing, "process it", None) as first, span(tracing, "process the next", first):
        assert first is not None
        assert is_sampled(first) is recorded
    tracing.shutdown()
    assert bool(otlp.spans) is recorded


def test_a_sampler_that_ignores_the_parent_is_asked_for_each_span(
    otlp: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_TRACES_SAMPLER", "always_off")
    tracing = Tracing("test", otlp.endpoint)
    with span(tracing, "process it", caller("01")) as inside:
        assert inside is not None
        assert not is_sampled(inside)
    tracing.shutdown()
    assert otlp.spans == []


def test_what_a_vendor_wrote_beside_the_trace_travels_on(tracing: Tracing) -> None:
    given = carrier_of({"traceparent": caller("01"), "tracestate": "vendor=abc"})
    with span(tracing, "process", given) as inside:
        assert inside is not None
        assert record_headers(inside)[1] == ("tracestate", b"vendor=abc")


@given(trace=st.integers(1, 2**128 - 1), span_id=st.integers(1, 2**64 - 1), state=st.sampled_from(["", "vendor=abc"]))
def test_a_context_is_written_as_it_was_read(trace: int, span_id: int, state: str) -> None:
    headers = [("traceparent", f"00-{trace:032x}-{span_id:016x}-00".encode())]
    headers += [("tracestate", state.encode())] if state else []
    carrier = carrier_of_record([*headers, ("other", b"\xff"), ("empty", None)])
    assert carrier is not None
    assert record_headers(carrier) == headers


@pytest.mark.parametrize(
    "odd",
    ["", "00-zz", f"00-{'0' * 32}-{'b' * 16}-01", f"ff-{'a' * 32}-{'b' * 16}-01", f"00-{'a' * 32}-{'b' * 16}-01-more"],
)
def test_a_trace_context_that_is_none_begins_a_new_trace(odd: str) -> None:
    assert carrier_of({"traceparent": odd}) is None


def test_of_a_later_version_the_known_fields_are_read() -> None:
    assert carrier_of({"traceparent": f"cc-{'a' * 32}-{'b' * 16}-01-more"}) == caller("01")


def test_a_vendors_text_that_no_database_can_hold_is_left_out() -> None:
    assert carrier_of({"traceparent": caller("01"), "tracestate": "vendor=\x00"}) == caller("01")


ids = st.integers(1, 2**63)
states = st.sampled_from(["", "vendor=abc,other=1"])
attributes = st.dictionaries(st.text(), st.text() | st.integers(-(2**63), 2**63 - 1))


@st.composite
def contexts(draw: st.DrawFn) -> Carrier:
    carrier, state = f"00-{draw(ids):032x}-{draw(ids):016x}-01", draw(states)
    return f"{carrier} {state}" if state else carrier


def as_opentelemetry_knows_it(carrier: Carrier, *, remote: bool) -> SpanContext:
    _, trace, span_id, _ = carrier.partition(" ")[0].split("-")
    state = TraceState.from_header([carrier[56:]]) if len(carrier) > 55 else None
    return SpanContext(int(trace, 16), int(span_id, 16), remote, TraceFlags(1), state)


@given(
    name=st.text(), kind=st.sampled_from(SpanKind), constant=attributes, own=attributes, context=contexts(),
    parent=st.none() | contexts(), begin=ids, end=ids, links=st.lists(contexts(), max_size=2), failed=st.booleans(),
)  # fmt: skip
def test_spans_are_sent_as_the_exporter_of_opentelemetry_would_send_them(
    name: str,
    kind: SpanKind,
    constant: dict[str, str | int],
    own: dict[str, str | int],
    context: Carrier,
    parent: Carrier | None,
    begin: int,
    end: int,
    links: list[Carrier],
    failed: bool,
) -> None:
    own = {name: value for name, value in own.items() if name not in constant}
    resource = Resource({"service.name": "test"}, "urn:schema")
    expected = ReadableSpan(
        name,
        as_opentelemetry_knows_it(context, remote=False),
        as_opentelemetry_knows_it(parent, remote=True) if parent else None,
        resource,
        {**constant, **own},
        (),
        [Link(as_opentelemetry_knows_it(link, remote=True)) for link in links],
        kind,
        status=Status(StatusCode.ERROR) if failed else Status(),
        start_time=begin,
        end_time=end,
        instrumentation_scope=InstrumentationScope(SCOPE),
    )
    template = span_template(name, kind, constant)
    span = encode_span(template, context, parent, begin, end, own.items(), links, failed=failed)
    assert ExportTraceServiceRequest.FromString(encode_request(resource, SCOPE, [span, span])) == encode_spans(
        [expected, expected]
    )
