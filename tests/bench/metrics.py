"""Metrics of one run, and their JSON form."""

import platform
import timeit
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

from tests.bench.latency import percentile

SYSTEM = ("intake", "returns", "delivery_notify", "loyalty", "kafka", "postgres")
"""Processes in the total of CPU. Partner and driver are listed beside it: in production they belong to others."""


@dataclass(frozen=True, slots=True)
class FloodMetrics:
    """`seconds` from the first call to the last lifecycle; CPU seconds by process."""

    issues: int
    seconds: float
    accept_seconds: float
    cpu: Mapping[str, float]
    machine_cpu: float
    notices: Mapping[str, int]

    @property
    def per_second(self) -> float:
        return self.issues / self.seconds

    @property
    def cores_used(self) -> float:
        """Cores used by this run, with partner and driver."""
        return sum(self.cpu.values()) / self.seconds

    @property
    def other_cores(self) -> float:
        """Cores used by other work: a measure of the reliability of the metrics."""
        return max(0.0, self.machine_cpu - sum(self.cpu.values())) / self.seconds

    def cpu_ms(self) -> dict[str, float]:
        each = {name: 1000 * seconds / self.issues for name, seconds in self.cpu.items()}
        return {**each, "total": sum(each[name] for name in SYSTEM if name in each)}


@dataclass(frozen=True, slots=True)
class BenchMetrics:
    """Metrics of one run. Records by topic and row changes by table are per lifecycle."""

    flood: FloodMetrics
    connections: int
    steady_per_second: float
    steady_cores: Mapping[str, float]
    latencies_ms: Sequence[float]
    latencies_from_schedule_ms: Sequence[float]
    peak_rss_mb: Mapping[str, float]
    baseline_per_second: Sequence[float]
    baseline_cpu_ms: Sequence[float]
    records: Mapping[str, float]
    row_changes: Mapping[str, float]
    broker: str

    @property
    def ratio_to_baseline(self) -> float:
        """To the median of the baseline's rounds."""
        return self.flood.per_second / median(self.baseline_per_second)

    @property
    def notices_per_cpu_second(self) -> float:
        """Of delivery_notify alone, with mails written and discarded."""
        return sum(self.flood.notices.values()) / self.flood.cpu["delivery_notify"]

    def document(self) -> dict[str, Any]:
        """The report as JSON: five metrics to compare between runs, and their context."""
        return {
            "lifecycles_per_second": round(self.flood.per_second, 1),
            "cpu_ms_per_lifecycle": _rounded(self.flood.cpu_ms(), 3),
            "ratio_to_baseline": round(self.ratio_to_baseline, 4),
            "latency_ms": _percentiles(self.latencies_ms),
            "peak_rss_mb": _rounded(self.peak_rss_mb, 1),
            "baseline_lifecycles_per_second": round(median(self.baseline_per_second), 1),
            "baseline_cpu_ms_per_lifecycle": round(median(self.baseline_cpu_ms), 3),
            "baseline_rounds_per_second": [round(each, 1) for each in self.baseline_per_second],
            "cpu_ratio_to_baseline": round(median(self.baseline_cpu_ms) / self.flood.cpu_ms()["total"], 4),
            "latency_from_schedule_ms": _percentiles(self.latencies_from_schedule_ms),
            "steady_per_second": round(self.steady_per_second, 1),
            "steady_cores_used": _rounded({**self.steady_cores, "total": sum(self.steady_cores.values())}, 2),
            "accepted_per_second": round(self.flood.issues / self.flood.accept_seconds, 1),
            "notices": dict(self.flood.notices),
            "notices_per_cpu_second": round(self.notices_per_cpu_second, 1),
            "records_per_lifecycle": _rounded({**self.records, "total": sum(self.records.values())}, 2),
            "row_changes_per_lifecycle": _rounded({**self.row_changes, "total": sum(self.row_changes.values())}, 2),
            "cores_used": round(self.flood.cores_used, 2),
            "cores_used_by_others": round(self.flood.other_cores, 2),
            "issues": self.flood.issues,
            "connections": self.connections,
            "broker": self.broker,
            "python": interpreter(),
        }


def interpreter() -> str:
    """The Python version and its speed: two builds of one version can differ by a third, and the baseline hardly shows
    it.
    """
    return f"Python {platform.python_version()}, {_strings_per_second() / 1e6:.1f} million strings/s"


_STRINGS = 5_000


def _strings_per_second() -> float:
    """Short strings created and kept in a dictionary; the best of several rounds."""
    rounds = timeit.repeat(lambda: {f"{number}:{number}": number for number in range(_STRINGS)}, number=1, repeat=15)
    return _STRINGS / min(rounds)


def _percentiles(values: Sequence[float]) -> dict[str, float]:
    return {name: round(percentile(values, share), 1) for name, share in (("p50", 0.5), ("p99", 0.99))}


def _rounded(values: Mapping[str, float], digits: int) -> dict[str, float]:
    return {name: round(value, digits) for name, value in values.items()}
