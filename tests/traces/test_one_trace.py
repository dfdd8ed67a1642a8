"""One trace per issue (invariant 11), as received by a real OTLP receiver, Kafka edges included."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from opentelemetry.trace import SpanKind

from deploy.local.mailbox import Mailbox
from libs.common.telemetry.tracing import Tracing
from tests.common.leaks import leaks
from tests.conftest import MakeDatabase
from tests.journey.backbone import Backbone, backbone
from tests.journey.test_replacement import swap
from tests.running import eventually
from tests.traces.receiver import CONSUMER, PRODUCER, SERVER, Receiver, Span, receiver

EDGES = {
    # who decided        through           who decided next
    ("intake", "issues", "returns"),
    ("intake", "issues", "delivery_notify"),
    ("returns", "issues", "delivery_notify"),
    ("returns", "issues", "loyalty"),
    ("returns", "warehouse.events", "returns"),
    ("returns", "carrier.events", "returns"),
    ("loyalty", "loyalty", "delivery_notify"),
}
"""The service graph of a replacement, as data. A partner shows where its answer passes on the context."""

PUBLISHED = {
    "intake": {"issue.reported", "issue.accepted"},
    "returns": {"issue.replacement_ordered", "replacement.ordered", "collection.requested", "issue.resolved"},
    "loyalty": {"points.granted"},
}
"""Types of events that the spans of a service must name as published; others may stand beside them."""

NOTICES = {"notice issue_accepted", "notice issue_resolved"}

MOST_SPANS = 30
"""A trace that says the same with fewer spans costs less: it had 56 with a span per sent record and per read model."""


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
    """Return service above, topic and service of each decision about an event from another decision."""
    by_id = {span.span_id: span for span in spans}
    found: set[tuple[str, str, str]] = set()
    for span in spans:
        above = by_id.get(span.parent_id)
        if span.kind == CONSUMER and above is not None and (topic := _topic(span, prefix)):
            found.add((above.service, topic, span.service))
    return found


def published(spans: list[Span]) -> dict[str, set[str]]:
    """Return the event types that the spans of each service name as published, without their versions."""
    found: dict[str, set[str]] = {}
    for span in spans:
        types = str(span.attributes.get("event.published", "")).split()
        found.setdefault(span.service, set()).update(each.rpartition(".v")[0] for each in types)
    return found


def notices(spans: list[Span]) -> set[str]:
    """Return the names of spans of notices."""
    return {span.name for span in spans if span.kind == PRODUCER}


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
    await traced.wait_for("points.granted", issue_id=issue_id)
    await traced.wait_for("notice.sent", issue_id=issue_id, kind="issue_resolved")

    async def seen() -> list[Span]:
        posts = [
            span for span in otlp.spans
            if span.kind == SERVER and span.attributes.get("issue.id") == str(issue_id)
        ]  # fmt: skip
        story = otlp.of_trace(posts[0].trace_id) if posts else []
        # Each service exports in its own time: the story is in when every edge is, and the span above every span.
        complete = edges(story, traced.prefix) >= EDGES and notices(story) >= NOTICES
        return story if complete and len(roots(story)) == 1 else []

    story = await eventually(seen, "the trace of the report has all edges and one root", seconds=20)
    assert [(root.kind, root.name) for root in roots(story)] == [(SERVER, "POST /v1/issues")]
    assert edges(story, traced.prefix) == EDGES
    assert {service: types & published(story)[service] for service, types in PUBLISHED.items()} == PUBLISHED
    assert {span.attributes.get("issue.id") for span in story} == {str(issue_id)}
    assert len(story) <= MOST_SPANS


def test_without_an_endpoint_nothing_is_recorded_and_the_context_is_handed_on() -> None:
    tracing = Tracing("test", None)
    assert not tracing.enabled
    given = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    assert tracing.start("process", SpanKind.CONSUMER, given) == (given, 0)
