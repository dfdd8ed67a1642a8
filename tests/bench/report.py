"""The metrics beside their targets, and where the CPU time goes."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from rich.console import Console
from rich.table import Table

from tests.bench.metrics import SYSTEM, BenchMetrics

BASE = "eec85ee"
"""The revision that the targets of 2026 are relative to."""


@dataclass(frozen=True, slots=True)
class Target:
    """A metric by its path in the report, and the bound that it must not pass."""

    path: str
    what: str
    bound: float
    at_least: bool = False

    def met(self, value: float) -> bool:
        return value >= self.bound if self.at_least else value <= self.bound

    def text(self) -> str:
        return f"{'>=' if self.at_least else '<='} {self.bound:g}"


TARGETS = (
    Target("lifecycles_per_second", f"complete lifecycles per second (where {BASE} makes 280)", 500, at_least=True),
    Target("cpu_against", f"CPU per lifecycle, ratio to AGAINST (target: to {BASE})", 0.55),
    Target("cpu_ratio_to_bare_loop", "CPU of the bare loop to that of the system", 0.50, at_least=True),
    Target("latency_ms.idle.p50", "202 to replacement.ordered at 5/s, p50 ms", 12),
    Target("latency_ms.idle.p99", "the same, p99 ms", 30),
    Target("latency_ms.half_load.p50", "the same at half load, p50 ms", 20),
    Target("latency_ms.half_load.p99", "the same at half load, p99 ms", 60),
    Target("tracing.all", "CPU of the services with every trace, ratio", 1.15),
    Target("tracing.one_in_ten", "CPU of the services with one trace in ten, ratio", 1.05),
    Target("wal_kb_per_lifecycle", f"write-ahead log per lifecycle in kB ({BASE}: 67)", 47),
    Target("past_million", "CPU per lifecycle with a million past issues, ratio", 1.10),
    Target("replicas.2", "CPU per order event with 2 replicas, ratio to one", 1.10),
    Target("replicas.4", "CPU per order event with 4 replicas, ratio to one", 1.10),
    Target("cores_at_rest", "cores at rest (services, Kafka, Postgres)", 0.06),
    Target("seconds_to_ready", "seconds from start to ready, slowest service", 2),
    Target("peer.ratio", "lifecycles per second, ratio to the peer", 5, at_least=True),
)


def value_at(document: Mapping[str, Any], path: str) -> float | None:
    found: Any = document
    for name in path.split("."):
        found = found.get(name) if found else None
    return None if found is None else float(found)


def missed(document: Mapping[str, Any]) -> list[str]:
    """The paths of measured metrics that miss their target."""
    measured = [(target, value_at(document, target.path)) for target in TARGETS]
    return [target.path for target, value in measured if value is not None and not target.met(value)]


def show(console: Console, metrics: BenchMetrics) -> None:
    document = metrics.document()
    table = Table("metric", "measured", "target", "", title=f"Bench: {metrics.interpreter}", title_justify="left")
    table.columns[1].justify = table.columns[2].justify = "right"
    for target in TARGETS:
        value = value_at(document, target.path)
        if value is None:
            reason = metrics.missing.get(target.path.partition(".")[0], "not part of this run")
            table.add_row(target.what, "-", target.text(), f"not measured: {reason}")
        else:
            table.add_row(target.what, f"{value:g}", target.text(), "" if target.met(value) else "missed")
    console.print(table)
    for line in _details(metrics):
        console.print(line, highlight=False)
    if names := missed(document):
        console.print(f"missed targets: {', '.join(names)}", highlight=False)


def _details(metrics: BenchMetrics) -> Iterator[str]:
    if metrics.flood is not None:
        flood, cpu = metrics.flood, metrics.flood.cpu_ms()
        shares = ", ".join(f"{name} {cpu[name]:.2f}" for name in (*SYSTEM, "partner", "driver") if name in cpu)
        yield f"CPU ms per lifecycle: {shares}; total without partner and driver {cpu['total']:.2f}"
        yield (
            f"flood of {flood.issues:,}: accepted {flood.issues / flood.accept_seconds:,.0f}/s; other work on this "
            f"machine used {flood.other_cores:.2f} cores (above 0.1 only the ratios of CPU can be trusted)"
        )
    if metrics.speed_against is not None:
        yield f"lifecycles per second, ratio to AGAINST: {metrics.speed_against:.2f} (target to {BASE}: 1.79)"


Show = Callable[[str], None]
