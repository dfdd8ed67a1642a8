"""Metrics: counters, gauges and histograms in Prometheus' text format, and what the consumer and the process report."""

import asyncio
import sys
import threading
from datetime import UTC, datetime
from uuid import uuid4

import pytest

from libs.common.events.loyalty import PointsRedeemed
from libs.common.http.request_metrics import REQUEST_DURATION, RequestMetrics
from libs.common.messaging.decision_metrics import DecisionMetrics
from libs.common.runtime.consumer_metrics import WaitingTime
from libs.common.runtime.process_metrics import add_process_metrics, measure_loop_delay, resident_bytes
from libs.common.telemetry import metrics as module
from libs.common.telemetry.counters import Counters
from libs.common.telemetry.metrics import Kind, Label, Metric, Metrics, series_names

SENT = Metric("sakidashi.sent", Kind.COUNTER, "{thing}", "Things.", ("kind", "channel"))
DELAY = Metric("sakidashi.delay", Kind.HISTOGRAM, "s", "Delay.", ("kind",), (0.1, 1))
OPEN = Metric("sakidashi.open", Kind.GAUGE, "{thing}", "Open things.", ("state",))


def lines_of(metrics: Metrics) -> set[str]:
    return {line for line in metrics.exposition().decode().splitlines() if not line.startswith("#")}


def test_a_counter_is_exported_by_its_attributes() -> None:
    metrics = Metrics("test")
    count = metrics.counter(SENT)
    count.add("mail", "email")
    count.add("mail", "email", amount=2)
    assert 'sakidashi_sent_total{channel="email",kind="mail"} 3.0' in lines_of(metrics)


def test_a_counter_has_a_bounded_number_of_series(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_SERIES", 2)
    count = Metrics("test").counter(SENT)
    for number in range(5):
        count.add(str(number), "email")
    count.add("0", "email")
    assert count.values == {("0", "email"): 2, ("1", "email"): 1, ("other", "other"): 3}


def test_a_gauge_shows_the_values_of_the_moment() -> None:
    metrics = Metrics("test")
    values: dict[Label, float] = {("new",): 1.0}
    metrics.gauge(OPEN, lambda: values)
    values["new",] = 7.0
    assert 'sakidashi_open{state="new"} 7.0' in lines_of(metrics)


def test_a_histogram_has_the_buckets_of_its_metric() -> None:
    metrics = Metrics("test")
    metrics.histogram(DELAY).record(0.5, "mail")
    found = lines_of(metrics)
    assert 'sakidashi_delay_seconds_bucket{kind="mail",le="0.1"} 0.0' in found
    assert 'sakidashi_delay_seconds_bucket{kind="mail",le="1.0"} 1.0' in found


def test_the_names_of_series_are_those_that_prometheus_reads() -> None:
    metrics = Metrics("test")
    metrics.counter(SENT).add("mail", "email")
    metrics.histogram(DELAY).record(0.5, "mail")
    metrics.gauge(OPEN, lambda: {("new",): 1.0})
    read = {line.split("{")[0] for line in lines_of(metrics)} - {"target_info"}
    assert read == series_names(metrics.metrics)


def test_outcomes_are_exported_as_one_metric() -> None:
    metrics = Metrics("test")
    Counters(metrics).add("ignored", "duplicate", 3)
    assert 'sakidashi_outcomes_total{outcome="ignored",reason="duplicate"} 3.0' in lines_of(metrics)


def test_outcomes_are_counted_while_another_thread_exports_them() -> None:
    metrics = Metrics("test")
    counters = Counters(metrics)
    errors: list[RuntimeError] = []
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)

    def export() -> None:
        try:
            for _ in range(200):
                counters._floats()
        except RuntimeError as error:
            errors.append(error)

    exporter, number = threading.Thread(target=export), 0
    counters.values.update({("ignored", f"before {count}"): 1 for count in range(2_000)})
    exporter.start()
    while exporter.is_alive():
        number += 1
        counters.add("ignored", str(number))
        del counters.values["ignored", str(number)]
    sys.setswitchinterval(interval)
    assert errors == []


def test_a_committed_event_is_counted_by_type_and_shown_to_its_observer() -> None:
    metrics = Metrics("test")
    decisions = DecisionMetrics(metrics)
    seen: list[PointsRedeemed] = []
    decisions.observe(PointsRedeemed, seen.append)
    now = datetime(2026, 3, 2, tzinfo=UTC)
    event = PointsRedeemed(customer_id="C-1", entry_id=uuid4(), points=10, cause="order 1", redeemed_at=now)
    decisions.committed([[event], []])
    assert seen == [event]
    assert 'sakidashi_events_published_total{event_type="points.redeemed.v1"} 1.0' in lines_of(metrics)


class TestWaitingTime:
    """The age of the oldest unread record of a partition."""

    def test_is_zero_where_all_is_read(self) -> None:
        assert WaitingTime(clock=lambda: 5.0).update(position=10, written=10) == 0

    def test_counts_from_the_first_sample_that_saw_the_oldest_record(self) -> None:
        now = [0.0]
        waiting = WaitingTime(clock=lambda: now[0])
        waiting.update(position=10, written=12)
        now[0] = 15.0
        waiting.update(position=11, written=20)
        now[0] = 40.0
        assert waiting.update(position=11, written=30) == 40.0, "record 11 was there at the first sample"
        assert waiting.update(position=12, written=30) == 25.0, "record 12 was first seen by the second sample"

    def test_is_zero_again_after_all_was_read(self) -> None:
        waiting = WaitingTime(clock=lambda: 9.0)
        waiting.update(position=0, written=5)
        assert waiting.update(position=5, written=5) == 0


def test_the_process_reports_cpu_memory_and_collections() -> None:
    metrics = Metrics("test")
    add_process_metrics(metrics)
    found = {line.split(" ")[0]: float(line.split(" ")[1]) for line in lines_of(metrics)}
    assert found['process_cpu_time_seconds_total{cpu_mode="user"}'] > 0
    assert found["process_memory_usage_bytes"] == pytest.approx(resident_bytes(), rel=0.2)
    assert 'cpython_gc_collections_total{cpython_gc_generation="2"}' in found


async def test_the_delay_of_the_event_loop_is_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("libs.common.runtime.process_metrics.SAMPLE_SECONDS", 0.001)
    metrics = Metrics("test")
    measuring = asyncio.create_task(measure_loop_delay(add_process_metrics(metrics)))
    while not any(line.startswith("sakidashi_event_loop_delay_seconds_count") for line in lines_of(metrics)):
        await asyncio.sleep(0.001)
    measuring.cancel()


@pytest.mark.parametrize(
    ("method", "route", "expected"),
    [("GET", "/v1/issues/{issue_id}", ("GET", "/v1/issues/{issue_id}")), ("BREW", None, ("_OTHER", "none"))],
)
async def test_a_request_is_measured_by_route_template(
    method: str, route: str | None, expected: tuple[str, str]
) -> None:
    metrics = Metrics("test")

    async def app(scope: dict[str, object], receive: object, send: object) -> None:
        if route:
            scope["route"] = type("Route", (), {"path": route})()
        await send({"type": "http.response.start", "status": 204, "headers": []})  # type: ignore[operator]

    async def ignore(_: object) -> None: ...

    middleware = RequestMetrics(app, metrics.histogram(REQUEST_DURATION))  # type: ignore[arg-type]
    await middleware({"type": "http", "method": method, "path": "/v1/issues/1"}, ignore, ignore)  # type: ignore[arg-type]
    label = f'http_request_method="{expected[0]}",http_response_status_code="204",http_route="{expected[1]}"'
    assert f"http_server_request_duration_seconds_count{{{label}}} 1.0" in lines_of(metrics)
