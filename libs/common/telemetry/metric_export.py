"""OTLP exporter of metrics that stops where a collector takes none, such as a trace store.

The SDK's exporter logs an error with each export then, four a minute.
"""

import logging
from time import monotonic
from typing import TYPE_CHECKING, Any

from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.sdk.metrics.export import MetricExportResult, MetricsData

if TYPE_CHECKING:
    from requests import Response, Session

log = logging.getLogger(__name__)

NOT_TAKEN = frozenset({404, 405, 501})
"""Answers of a collector without a pipeline of metrics."""

RETRY_SECONDS = 600.0
"""Pause after such an answer; it may have come from a proxy while the collector was replaced."""


class OtlpMetricExporter(OTLPMetricExporter):
    """Exports metrics; a collector that takes none is asked once in `RETRY_SECONDS` and named once in the log."""

    def __init__(self, endpoint: str, session: "Session") -> None:
        session.hooks["response"].append(self._on_answer)
        super().__init__(endpoint=endpoint, session=session)
        self._paused_until = 0.0
        self._named = False

    def export(
        self, metrics_data: MetricsData, timeout_millis: float | None = 10_000, **kwargs: Any
    ) -> MetricExportResult:
        if monotonic() < self._paused_until:
            return MetricExportResult.SUCCESS
        return super().export(metrics_data, timeout_millis, **kwargs)

    def _on_answer(self, answer: "Response", **_: Any) -> None:
        if answer.status_code not in NOT_TAKEN:
            return
        self._paused_until = monotonic() + RETRY_SECONDS
        if not self._named:
            self._named = True
            message = "paused export of metrics: the collector takes none status=%d; OTEL_METRICS_EXPORTER=none ends it"
            log.warning(message, answer.status_code)
        answer.status_code = 202  # for the SDK, which logs every other answer as an error
