"""OpenTelemetry providers with OTLP exporters over HTTP. The SDK's exporters are imported only where they are used."""

import os
from typing import TYPE_CHECKING

from opentelemetry.sdk.metrics.export import MetricReader
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import SpanProcessor, TracerProvider

if TYPE_CHECKING:
    from requests import Session


def service_resource(service: str) -> Resource:
    return Resource.create({"service.name": service, "service.namespace": "sakidashi"})


def span_processor(resource: Resource, endpoint: str) -> SpanProcessor:
    """Return the queue of finished spans, which a thread exports in batches."""
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    from libs.common.telemetry.span_export import OtlpSpanExporter

    exporter = OtlpSpanExporter(resource, f"{endpoint.rstrip('/')}/v1/traces", _session_without_redirects())
    return BatchSpanProcessor(exporter, max_queue_size=32_768, schedule_delay_millis=500)


def tracer_provider(resource: Resource, processor: SpanProcessor) -> TracerProvider:
    provider = TracerProvider(resource=resource)
    provider.add_span_processor(processor)
    return provider


def otlp_metric_readers(endpoint: str | None) -> list[MetricReader]:
    """Return a reader that sends all metrics every 15 s.

    None without an endpoint, or where OpenTelemetry's own variable `OTEL_METRICS_EXPORTER` is `none`: for a collector
    that takes only traces.
    """
    if not endpoint or os.environ.get("OTEL_METRICS_EXPORTER") == "none":
        return []
    from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader

    from libs.common.telemetry.metric_export import OtlpMetricExporter

    exporter = OtlpMetricExporter(f"{endpoint.rstrip('/')}/v1/metrics", _session_without_redirects())
    return [PeriodicExportingMetricReader(exporter, 15_000)]


def _session_without_redirects() -> "Session":
    """Telemetry goes to the configured collector only."""
    from requests import Session

    session = Session()
    session.max_redirects = 0
    return session
