"""Metrics of one service, read by Prometheus at `/metrics` and sent by OTLP where a collector is configured.

Names follow OpenTelemetry's semantic conventions where one exists, else they begin with `sakidashi.`. No attribute
holds personal data or an id of a case, an order or a customer; each attribute has a bounded number of values.

Counts are kept as plain numbers, which the exporters read: a call of an SDK instrument takes some 7 µs (measured for
a histogram), as much as a small decision. Histograms are the SDK's and are recorded per batch or request. The OTLP
exporter reads in a thread of its own, so values are copied first: a dictionary may not change while it is read.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from opentelemetry.exporter.prometheus import PrometheusMetricReader
from opentelemetry.metrics import CallbackOptions, Observation
from opentelemetry.sdk.metrics import MeterProvider
from prometheus_client import CollectorRegistry, generate_latest

from libs.common.telemetry.providers import otlp_metric_readers, service_resource
from libs.common.telemetry.span_encoding import SCOPE

Label = tuple[str, ...]
Values = Callable[[], Mapping[Label, float]]
"""Current values of a gauge, by the values of its attributes in the order of `Metric.attributes`."""

MAX_SERIES = 2_000
"""Maximum number of attribute combinations per counter; further ones are counted as `other`."""


class Kind(StrEnum):
    COUNTER = "counter"
    GAUGE = "gauge"
    HISTOGRAM = "histogram"


@dataclass(frozen=True, slots=True)
class Metric:
    """One metric: name, kind, unit in UCUM notation, meaning and attribute names. `buckets` are for a histogram."""

    name: str
    kind: Kind
    unit: str
    description: str
    attributes: tuple[str, ...] = ()
    buckets: tuple[float, ...] = ()


class Count:
    """Counter by attribute values; it starts at 0 with the process."""

    def __init__(self, metric: Metric) -> None:
        self._size = len(metric.attributes)
        self.values: dict[Label, float] = defaultdict(float)

    def add(self, *label: str, amount: float = 1) -> None:
        """Count under these attribute values, in the order of the metric's attributes."""
        if label not in self.values and len(self.values) >= MAX_SERIES:
            label = ("other",) * self._size
        self.values[label] += amount


class Distribution:
    """Histogram by attribute values."""

    def __init__(self, metric: Metric, record: Callable[[float, Mapping[str, str]], None]) -> None:
        self._names, self._record = metric.attributes, record

    def record(self, value: float, *label: str) -> None:
        self._record(value, dict(zip(self._names, label, strict=True)))


class Metrics:
    """All metrics of one service."""

    def __init__(self, service: str, endpoint: str | None = None) -> None:
        self._registry = CollectorRegistry(auto_describe=False)
        prometheus = PrometheusMetricReader(scope_info_enabled=False, registry=self._registry)
        self._provider = MeterProvider([prometheus, *otlp_metric_readers(endpoint)], service_resource(service))
        self._meter = self._provider.get_meter(SCOPE)
        self.metrics: list[Metric] = []

    def counter(self, metric: Metric) -> Count:
        count = Count(metric)
        self._observe(self._meter.create_observable_counter, metric, count.values.copy)
        return count

    def count_from(self, metric: Metric, values: Values) -> None:
        """Export a counter that is kept elsewhere."""
        self._observe(self._meter.create_observable_counter, metric, values)

    def gauge(self, metric: Metric, values: Values) -> None:
        self._observe(self._meter.create_observable_gauge, metric, values)

    def histogram(self, metric: Metric) -> Distribution:
        self.metrics.append(metric)
        buckets = [float(each) for each in metric.buckets]  # the bound is a label: `1` and `1.0` would be two
        histogram = self._meter.create_histogram(
            metric.name, metric.unit, metric.description, explicit_bucket_boundaries_advisory=buckets
        )
        return Distribution(metric, histogram.record)

    def exposition(self) -> bytes:
        """Return all values in Prometheus' text format."""
        return generate_latest(self._registry)

    def flush(self) -> None:
        """Export all values now."""
        self._provider.force_flush()

    def shutdown(self) -> None:
        self._provider.shutdown()

    def _observe(self, create: Callable[..., object], metric: Metric, values: Values) -> None:
        self.metrics.append(metric)

        def observe(_: CallbackOptions) -> Iterable[Observation]:
            return [
                Observation(value, dict(zip(metric.attributes, label, strict=True)))
                for label, value in values().items()
            ]

        create(metric.name, [observe], metric.unit, metric.description)


def series_names(metrics: Sequence[Metric]) -> set[str]:
    """Return the names of these metrics' series in Prometheus, for checks of dashboards and alert rules."""
    found: set[str] = set()
    for metric in metrics:
        name = metric.name.replace(".", "_") + _UNITS.get(metric.unit, "")
        match metric.kind:
            case Kind.COUNTER:
                found.add(f"{name}_total")
            case Kind.GAUGE:
                found.add(name)
            case Kind.HISTOGRAM:
                found |= {f"{name}_bucket", f"{name}_count", f"{name}_sum"}
    return found


_UNITS = {"s": "_seconds", "By": "_bytes"}
