"""Metrics of one run, their JSON form, and the speed and build of the interpreter."""

import platform
import sysconfig
import timeit
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Any

from tests.bench.latency import percentile

SYSTEM = ("intake", "returns", "delivery_notify", "loyalty", "kafka", "postgres")
"""Processes in the total of CPU. Partner and driver are listed beside it: in production they belong to others."""


@dataclass(frozen=True, slots=True)
class FloodMetrics:
    """`seconds` from the first call to the last lifecycle; CPU seconds by process; bytes of the write-ahead log."""

    issues: int
    seconds: float
    accept_seconds: float
    cpu: Mapping[str, float]
    machine_cpu: float
    wal_bytes: int

    @property
    def per_second(self) -> float:
        return self.issues / self.seconds

    @property
    def wal_kb(self) -> float:
        return self.wal_bytes / 1000 / self.issues

    @property
    def other_cores(self) -> float:
        """Cores used by other work: a measure of the reliability of the metrics."""
        return max(0.0, self.machine_cpu - sum(self.cpu.values())) / self.seconds

    def cpu_ms(self) -> dict[str, float]:
        each = {name: 1000 * seconds / self.issues for name, seconds in self.cpu.items()}
        return {**each, "total": sum(each[name] for name in SYSTEM if name in each)}

    def cpu_ms_of(self, names: Sequence[str]) -> float:
        each = self.cpu_ms()
        return sum(each[name] for name in names)


@dataclass
class BenchMetrics:
    """Metrics of one run; None: not measured, with the reason in `missing` by the key of the report."""

    flood: FloodMetrics | None = None
    idle_ms: Sequence[float] = ()
    half_load_ms: Sequence[float] = ()
    cpu_against: float | None = None
    speed_against: float | None = None
    baseline_cpu_ms: float | None = None
    tracing: Mapping[str, float] = field(default_factory=dict)
    past_million: float | None = None
    replicas: Mapping[str, float] = field(default_factory=dict)
    cores_at_rest: float | None = None
    seconds_to_ready: float | None = None
    peer: tuple[str, float] | None = None
    peak_rss_mb: Mapping[str, float] = field(default_factory=dict)
    interpreter: str = ""
    missing: dict[str, str] = field(default_factory=dict)

    def document(self) -> dict[str, Any]:
        """The report as JSON. A metric that this run did not measure is null."""
        cpu = self.flood.cpu_ms()["total"] if self.flood else None
        bare = self.baseline_cpu_ms / cpu if self.baseline_cpu_ms is not None and cpu else None
        return {
            "lifecycles_per_second": _rounded(self.flood.per_second if self.flood else None, 1),
            "cpu_ms_per_lifecycle": _rounded(cpu, 3),
            "cpu_against": _rounded(self.cpu_against, 3),
            "cpu_ratio_to_bare_loop": _rounded(bare, 3),
            "latency_ms": {"idle": _percentiles(self.idle_ms), "half_load": _percentiles(self.half_load_ms)},
            "tracing": {name: _rounded(self.tracing.get(name), 3) for name in ("all", "one_in_ten")},
            "wal_kb_per_lifecycle": _rounded(self.flood.wal_kb if self.flood else None, 1),
            "past_million": _rounded(self.past_million, 3),
            "replicas": {count: _rounded(self.replicas.get(count), 3) for count in ("2", "4")},
            "cores_at_rest": _rounded(self.cores_at_rest, 3),
            "seconds_to_ready": _rounded(self.seconds_to_ready, 2),
            "peer": {"name": self.peer[0], "ratio": round(self.peer[1], 2)} if self.peer else None,
            "peak_rss_mb": {name: round(value, 1) for name, value in self.peak_rss_mb.items()} or None,
            "interpreter": self.interpreter,
        }


def interpreter(speeds: Sequence[float]) -> str:
    """The Python version, how it was built, and its speed over the run, in million strings per second.

    Two builds of one version can differ by a third, which the baseline hardly shows. The speed tells a slow or busy
    machine from slow code: it was measured between the parts of the run.
    """
    options = str(sysconfig.get_config_var("CONFIG_ARGS") or "")
    flags = " ".join(str(sysconfig.get_config_var(name) or "") for name in ("PY_CFLAGS", "PY_CORE_LDFLAGS"))
    profiled = "--enable-optimizations" in options or "-fprofile-use" in flags
    linked = "--with-lto" in options or "-flto" in flags
    build = f"{'with' if profiled else 'without'} PGO, {'with' if linked else 'without'} LTO"
    span = f"{min(speeds):.1f} to {max(speeds):.1f}, median {median(speeds):.1f}"
    return f"Python {platform.python_version()} {build}, {span} million strings/s over the run"


_STRINGS = 5_000


def million_strings_per_second() -> float:
    """Short strings created and kept in a dictionary; the best of several rounds."""
    rounds = timeit.repeat(lambda: {f"{number}:{number}": number for number in range(_STRINGS)}, number=1, repeat=15)
    return _STRINGS / min(rounds) / 1e6


def _percentiles(values: Sequence[float]) -> dict[str, float | None]:
    shares = (("p50", 0.5), ("p99", 0.99))
    return {name: round(percentile(values, share), 1) if values else None for name, share in shares}


def _rounded(value: float | None, digits: int) -> float | None:
    return None if value is None else round(value, digits)
