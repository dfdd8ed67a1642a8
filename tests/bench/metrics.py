"""The figures of one run, and the JSON that they make."""

import platform
import timeit
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

from tests.bench.latency import percentile

SYSTEM = ("intake", "returns", "delivery_notify", "loyalty", "kafka", "postgres")
"""Whose CPU makes the total. The partner and the driver stand beside it: in life they are other people's."""


@dataclass(frozen=True, slots=True)
class FloodMetrics:
    """What the flood took. `seconds` from the first call to the last lifecycle; CPU seconds by process."""

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
        """Cores that this run got, partner and driver among them."""
        return sum(self.cpu.values()) / self.seconds

    @property
    def other_cores(self) -> float:
        """Cores that were busy with what is none of ours: how far the figures may be trusted."""
        return max(0.0, self.machine_cpu - sum(self.cpu.values())) / self.seconds

    def cpu_ms(self) -> dict[str, float]:
        each = {name: 1000 * seconds / self.issues for name, seconds in self.cpu.items()}
        return {**each, "total": sum(each[name] for name in SYSTEM if name in each)}


@dataclass(frozen=True, slots=True)
class BenchMetrics:
    """Everything that one run says. Records by topic and row changes by table are per lifecycle."""

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
        """To the median of the bare loop's rounds."""
        return self.flood.per_second / median(self.baseline_per_second)

    @property
    def notices_per_cpu_second(self) -> float:
        """Of delivery_notify alone, with mails written and thrown away."""
        return sum(self.flood.notices.values()) / self.flood.cpu["delivery_notify"]

    def document(self) -> dict[str, Any]:
        """The report as JSON: five figures that are compared from run to run, and what explains them."""
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
            "cores_busy_with_others": round(self.flood.other_cores, 2),
            "issues": self.flood.issues,
            "connections": self.connections,
            "broker": self.broker,
            "python": interpreter(),
        }


def interpreter() -> str:
    """Which Python this is, and how fast: two builds of one version can differ by a third in work such as ours, they do
    not all say how they were made, and the bare loop hardly feels it. Figures of two machines are read with it."""
    return f"Python {platform.python_version()}, {_strings_per_second() / 1e6:.1f} million words/s"


_STRINGS = 5_000


def _strings_per_second() -> float:
    """Short strings made and kept in a dictionary; the best of a few rounds, for others may be at work too."""
    rounds = timeit.repeat(lambda: {f"{number}:{number}": number for number in range(_STRINGS)}, number=1, repeat=15)
    return _STRINGS / min(rounds)


def _percentiles(values: Sequence[float]) -> dict[str, float]:
    return {name: round(percentile(values, share), 1) for name, share in (("p50", 0.5), ("p99", 0.99))}


def _rounded(values: Mapping[str, float], digits: int) -> dict[str, float]:
    return {name: round(value, digits) for name, value in values.items()}
