"""JSON log lines carry the ids of the event that is being decided."""

import io
import json
import logging
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, cast
from uuid import UUID

from libs.common.decisions.clock import SystemClock
from libs.common.decisions.facts import Anomaly, Facts
from libs.common.events.payment import RefundFailed
from libs.common.events.registry import AnyEvent
from libs.common.messaging.decision_runner import DecisionRunner, Incoming
from libs.common.runtime.json_logs import JsonFormatter
from libs.common.telemetry import log_context
from libs.common.telemetry.tracing import Tracing

ISSUE = UUID("6c1e9d3e-6ae4-4a53-b6c2-8f8f8d3d2a11")
TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
NOW = datetime.now(UTC)
NO_DATABASE = cast(Any, None)


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


async def test_a_line_logged_by_a_decision_names_service_event_issue_and_trace() -> None:
    runner = DecisionRunner("returns", SystemClock(), Tracing("returns", None))
    failed = RefundFailed(issue_id=ISSUE, refund_id=ISSUE, cause="closed", failed_at=runner.clock.now())
    event = runner.event(failed, id="E-1")
    lines = io.StringIO()
    handler = logging.StreamHandler(lines)
    handler.setFormatter(JsonFormatter("returns"))
    log = logging.getLogger("libs.common.messaging.decision_runner")
    log.addHandler(handler)
    try:
        await runner.apply(NO_DATABASE, Suspicious(), [Incoming(event, f"00-{TRACE}-00f067aa0ba902b7-01")])
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
