"""Traces: the collector keeps errors and slow ones, the desk leads to them, and a store of traces gets no metrics."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest
import yaml

from deploy.local.paths import ROOT
from libs.common.messaging.rebalance import LATE_SECONDS
from libs.common.telemetry import metric_export
from libs.common.telemetry.metrics import Kind, Metric, Metrics
from tests.traces.receiver import listening

FOLDER = ROOT / "deploy" / "observability"


@pytest.fixture(params=["collector.yaml", "jaeger.yaml"])
def config(request: pytest.FixtureRequest) -> dict[str, Any]:
    return _read(FOLDER / request.param)


def _read(path: Path) -> dict[str, Any]:
    parsed: dict[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))
    return parsed


def test_every_component_is_defined_and_in_use(config: dict[str, Any]) -> None:
    pipelines = config["service"]["pipelines"].values()
    for kind in ("receivers", "processors", "exporters"):
        assert {name for pipeline in pipelines for name in pipeline[kind]} == set(config[kind]), kind
    assert set(config["service"]["extensions"]) == set(config["extensions"])


def test_memory_is_limited_first_and_batches_are_made_last(config: dict[str, Any]) -> None:
    processors = config["service"]["pipelines"]["traces"]["processors"]
    assert (processors[0], processors[-1]) == ("memory_limiter", "batch")


def test_services_reach_the_collector_at_the_port_of_otlp_over_http(config: dict[str, Any]) -> None:
    assert config["receivers"]["otlp"]["protocols"] == {"http": {"endpoint": "0.0.0.0:4318"}}


def test_the_collector_keeps_all_errors_and_all_slow_traces_and_few_others() -> None:
    tail = _read(FOLDER / "collector.yaml")["processors"]["tail_sampling"]
    policies = {policy["type"]: policy[policy["type"]] for policy in tail["policies"]}
    assert policies["status_code"]["status_codes"] == ["ERROR"]
    assert policies["latency"]["threshold_ms"] == LATE_SECONDS * 1000, "the service level of processing"
    assert 0 < policies["probabilistic"]["sampling_percentage"] < 100
    assert tail["decision_cache"]["sampled_cache_size"] > tail["num_traces"], "a partner may answer days later"


def test_compose_shows_the_traces_of_an_issue_at_the_desk_and_sends_its_store_no_metrics() -> None:
    services = _read(ROOT / "docker-compose.yml")["services"]
    assert "/trace/{trace_id}" in services["intake"]["environment"]["TRACE_URL"]
    assert services["intake"]["environment"]["OTEL_METRICS_EXPORTER"] == "none"


@contextmanager
def collector(status: int) -> Iterator[tuple[str, list[str]]]:
    """A collector that answers metrics with this status; yields its URL and the paths that were asked for."""
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            asked.append(self.path)
            self.send_response(status)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            """Suppress request logs."""

    with listening(Handler) as url:
        yield url, asked


def exporting(url: str) -> Metrics:
    metrics = Metrics("test", url)
    metrics.counter(Metric("sakidashi.things", Kind.COUNTER, "{thing}", "Things.")).add()
    return metrics


@pytest.mark.parametrize("status", sorted(metric_export.NOT_TAKEN))
def test_a_collector_that_takes_no_metrics_is_named_once_and_left_alone(
    status: int, caplog: pytest.LogCaptureFixture
) -> None:
    with collector(status) as (url, asked), caplog.at_level(logging.INFO):
        metrics = exporting(url)
        for _ in range(3):
            metrics.flush()
        metrics.shutdown()
    assert asked == ["/v1/metrics"]
    logged = [record for record in caplog.records if record.levelno >= logging.WARNING]
    assert [(record.levelname, record.name) for record in logged] == [("WARNING", metric_export.__name__)]
    assert f"status={status}; OTEL_METRICS_EXPORTER=none" in logged[0].getMessage()


def test_it_is_asked_again_after_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metric_export, "RETRY_SECONDS", 0.0)
    with collector(404) as (url, asked):
        metrics = exporting(url)
        metrics.flush()
        metrics.flush()
        metrics.shutdown()
    assert len(asked) >= 2


def test_a_collector_that_takes_metrics_gets_all_of_them(caplog: pytest.LogCaptureFixture) -> None:
    with collector(200) as (url, asked), caplog.at_level(logging.WARNING):
        metrics = exporting(url)
        metrics.flush()
        metrics.flush()
        metrics.shutdown()
    assert len(asked) >= 2
    assert caplog.records == []
