"""One trace per issue (invariant 11), as received by a real OTLP receiver, Kafka edges included."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from deploy.local.mailbox import Mailbox
from libs.common.telemetry.tracing import Tracing
from tests.common.leaks import leaks
from tests.conftest import MakeDatabase
from tests.journey.backbone import Backbone, backbone
from tests.journey.test_replacement import swap
from tests.running import eventually
from tests.traces.receiver import CONSUMER, PRODUCER, SERVER, Receiver, Span, receiver

EDGES = {
    # who sends        through              who takes
    ("intake", "issues", "intake"),
    ("intake", "issues", "returns"),
    ("intake", "issues", "delivery_notify"),
    ("returns", "issues", "intake"),
    ("returns", "issues", "delivery_notify"),
    ("returns", "issues", "loyalty"),
    ("returns", "warehouse.orders", "warehouse"),
    ("returns", "carrier.orders", "courier"),
    ("warehouse", "warehouse.events", "returns"),
    ("courier", "carrier.events", "returns"),
    ("delivery_notify", "notices", "intake"),
    ("loyalty", "loyalty", "intake"),
    ("loyalty", "loyalty", "delivery_notify"),
}
"""The service graph of a replacement, as data. Partners are seen by the trace context that they hand on."""

PARTNERS = {"warehouse.orders": "warehouse", "carrier.orders": "courier"}


@pytest.fixture
def otlp() -> Iterator[Receiver]:
    exported: list[bytes] = []
    with receiver(exported.append) as running:
        yield running
    assert exported
    assert [found for one in exported for found in leaks(one.decode("utf-8", "replace"))] == []


@pytest.fixture
async def traced(
    database: MakeDatabase, kafka: str, topics: str, smtp: Mailbox, tmp_path: Path, otlp: Receiver
) -> AsyncIterator[Backbone]:
    endpoint = otlp.endpoint
    async with backbone(database, kafka, topics, tmp_path, smtp.url, otel_exporter_otlp_endpoint=endpoint) as running:
        yield running


def edges(spans: list[Span], prefix: str) -> set[tuple[str, str, str]]:
    """Return sender, topic and receiver of each `process` span below a `send` span."""
    by_id = {span.span_id: span for span in spans}
    found: set[tuple[str, str, str]] = set()
    for span in spans:
        above = by_id.get(span.parent_id)
        if span.kind == PRODUCER and (topic := _topic(span, prefix)) in PARTNERS:
            found.add((span.service, topic, PARTNERS[topic]))
        if span.kind == CONSUMER and above is not None and above.kind == PRODUCER:
            source = PARTNERS.get(_topic(above, prefix), above.service)
            found.add((source, _topic(span, prefix), span.service))
    return found


def roots(spans: list[Span]) -> list[Span]:
    """Return the spans without a parent."""
    ids = {span.span_id for span in spans}
    return [span for span in spans if span.parent_id not in ids]


def _topic(span: Span, prefix: str) -> str:
    return str(span.attributes.get("messaging.destination.name", "")).removeprefix(prefix)


async def test_the_whole_story_is_one_connected_trace(traced: Backbone, otlp: Receiver) -> None:
    await traced.place_order("order-1")
    issue_id = await traced.report("order-1")
    await swap(traced, issue_id)
    await traced.hear("points.granted", issue_id=issue_id)
    await traced.hear("notice.sent", issue_id=issue_id, kind="issue_resolved")

    async def seen() -> list[Span]:
        posts = [
            span for span in otlp.spans
            if span.kind == SERVER and span.attributes.get("issue.id") == str(issue_id)
        ]  # fmt: skip
        story = otlp.of_trace(posts[0].trace_id) if posts else []
        # Each service exports in its own time: the story is in when every edge is, and the span above every span.
        return story if edges(story, traced.prefix) >= EDGES and len(roots(story)) == 1 else []

    story = await eventually(seen, "the trace of the report has all edges and one root", seconds=20)
    assert [(root.kind, root.name) for root in roots(story)] == [(SERVER, "POST /v1/issues")]
    assert edges(story, traced.prefix) == EDGES
    assert {span.attributes.get("issue.id") for span in story} == {str(issue_id)}


def test_without_an_endpoint_nothing_is_recorded_and_the_context_is_handed_on() -> None:
    tracing = Tracing("test", None)
    assert not tracing.enabled
    given = {"traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"}
    from opentelemetry.trace import SpanKind

    with tracing.span("process", SpanKind.CONSUMER, given, dict) as handed_on:
        assert handed_on is given
