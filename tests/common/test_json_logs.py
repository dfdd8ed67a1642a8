"""JSON log lines carry the ids of the event that is being decided."""

import io
import json
import logging
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from uuid import UUID

import httpx
import pytest
from fastapi import FastAPI

from libs.common.config.settings import ServiceSettings
from libs.common.decisions.clock import SystemClock
from libs.common.decisions.facts import Anomaly, Facts
from libs.common.events.payment import RefundFailed
from libs.common.events.registry import AnyEvent
from libs.common.http.problems import install_problems
from libs.common.messaging.decision_runner import DecisionRunner, Incoming
from libs.common.postgres.pool import create_pool
from libs.common.runtime.json_logs import JsonFormatter
from libs.common.telemetry import log_context
from libs.common.telemetry.request_spans import RequestSpans
from libs.common.telemetry.tracing import Tracing
from tests.common import sample_service, wire
from tests.conftest import MakeDatabase, execute_as_owner
from tests.running import Live, eventually, running
from tests.traces.receiver import receiver

ISSUE = UUID("6c1e9d3e-6ae4-4a53-b6c2-8f8f8d3d2a11")
TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
NOW = datetime.now(UTC)


class Suspicious:
    """Aggregate whose every decision is an anomaly, without storage."""

    name = "refunds"
    is_read_model = False

    def key_of(self, event: AnyEvent) -> str | None:
        return event.subject

    async def load(self, conn: object, keys: Sequence[str], events: Sequence[AnyEvent]) -> dict[str, str]:
        return {}

    def decide(self, state: str | None, event: AnyEvent, now: datetime) -> tuple[str | None, Facts]:
        return state, [Anomaly("unknown_refund")]

    async def save(self, conn: object, changed: Mapping[str, str], records: Sequence[object]) -> None:
        raise AssertionError("nothing changed")


async def test_a_line_logged_by_a_decision_names_service_event_issue_and_trace(database: MakeDatabase) -> None:
    url = await database("returns")
    runner = DecisionRunner("returns", SystemClock(), Tracing("returns", None))
    failed = RefundFailed(issue_id=ISSUE, refund_id=ISSUE, cause="closed", failed_at=runner.clock.now())
    event = runner.event(failed, id="E-1")
    lines = io.StringIO()
    handler = logging.StreamHandler(lines)
    handler.setFormatter(JsonFormatter("returns"))
    log = logging.getLogger("libs.common.messaging.decision_runner")
    log.addHandler(handler)
    try:
        async with await create_pool(url, size=1, application_name="test") as pool, pool.acquire() as conn:
            await runner.apply(conn, Suspicious(), [Incoming(event, f"00-{TRACE}-00f067aa0ba902b7-01")])
    finally:
        log.removeHandler(handler)
    line = json.loads(lines.getvalue())
    assert line["message"] == "detected anomaly aggregate=refunds reason=unknown_refund detail="
    assert {name: line[name] for name in ("service", "event_id", "event_type", "issue_id", "trace_id")} == {
        "service": "returns",
        "event_id": "E-1",
        "event_type": "refund.failed.v1",
        "issue_id": str(ISSUE),
        "trace_id": TRACE,
    }


async def test_a_line_logged_outside_a_decision_names_no_event() -> None:
    runner = DecisionRunner("returns", SystemClock(), Tracing("returns", None))
    with log_context.about(runner.event(RefundFailed(issue_id=ISSUE, refund_id=ISSUE, cause="x", failed_at=NOW))):
        assert log_context.fields()["issue_id"] == str(ISSUE)
    assert log_context.fields() == {}


def lines_of(logger: str) -> tuple[logging.Handler, io.StringIO]:
    lines = io.StringIO()
    handler = logging.StreamHandler(lines)
    handler.setFormatter(JsonFormatter("returns"))
    logging.getLogger(logger).addHandler(handler)
    return handler, lines


async def test_a_line_about_a_failed_request_names_its_trace_and_its_issue() -> None:
    app = FastAPI()
    install_problems(app)
    with receiver() as collector:
        tracing = Tracing("returns", collector.endpoint)
        app.add_middleware(RequestSpans, tracing=tracing)

        @app.get("/v1/issues/{issue_id}")
        async def broken(issue_id: str) -> None:
            raise ValueError("broken")

        handler, lines = lines_of("libs.common.http.problems")
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        headers = {"traceparent": f"00-{TRACE}-00f067aa0ba902b7-01"}
        try:
            async with httpx.AsyncClient(transport=transport, base_url="http://service") as client:
                assert (await client.get(f"/v1/issues/{ISSUE}", headers=headers)).status_code == 500
        finally:
            logging.getLogger("libs.common.http.problems").removeHandler(handler)
            tracing.shutdown()
    line = json.loads(lines.getvalue())
    assert (line["trace_id"], line["issue_id"]) == (TRACE, str(ISSUE))
    assert line["message"] == "failed request method=GET route=/v1/issues/{issue_id}"


@pytest.mark.parametrize("reused", [False, True])
async def test_a_line_about_a_record_that_is_set_aside_names_its_event_issue_and_trace(
    tally_database: str, kafka: str, topics: str, reused: bool
) -> None:
    """An id that was used before is one cause, an error of the decision the other."""
    handler, lines = lines_of("libs.common.messaging.consumer")
    headers: wire.Headers = [("traceparent", f"00-{TRACE}-00f067aa0ba902b7-01".encode())]
    failed = [RefundFailed(issue_id=ISSUE, refund_id=ISSUE, cause=cause, failed_at=NOW) for cause in ("one", "another")]
    settings = {"database": tally_database, "kafka": kafka, "prefix": topics}
    try:
        async with running(sample_service.create_app_with_refunds, ServiceSettings, **settings) as live:
            if not reused:
                await execute_as_owner(tally_database, "ALTER TABLE tallies RENAME TO tallies_of_later")
            records = [
                (f"{topics}payment.events", str(ISSUE), wire.event_bytes(each, "E-1"), headers) for each in failed
            ]
            await wire.publish(kafka, records)
            await eventually(lambda: _dead_letter(live), "a record is a dead letter")
    finally:
        logging.getLogger("libs.common.messaging.consumer").removeHandler(handler)
    line = json.loads(lines.getvalue().splitlines()[0])
    found = {name: line[name] for name in ("event_id", "issue_id", "trace_id")}
    assert found == {"event_id": "E-1", "issue_id": str(ISSUE), "trace_id": TRACE}


async def _dead_letter(live: Live) -> bool:
    return bool(await live.service.pool.fetchval("SELECT count(*) FROM dead_letters"))


def test_a_line_about_a_notice_names_its_issue_and_trace() -> None:
    with log_context.about_issue(ISSUE, f"00-{TRACE}-00f067aa0ba902b7-01"):
        assert log_context.fields() == {"issue_id": str(ISSUE), "trace_id": TRACE}
    with log_context.about_issue(None, None):
        assert log_context.fields() == {}
