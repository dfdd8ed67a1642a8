"""The metrics as tables."""

from collections.abc import Mapping
from typing import Any

from rich.console import Console
from rich.table import Table

from tests.bench.metrics import SYSTEM


def show(console: Console, document: Mapping[str, Any]) -> None:
    """Print `BenchMetrics.document`."""
    console.print(_headline(document))
    console.print(_by_process(document))


def _headline(document: Mapping[str, Any]) -> Table:
    title = f"Bench: {document['issues']:,} issues on {document['broker']}, {document['python']}"
    table = Table(title=title, show_header=False)
    latency, scheduled = document["latency_ms"], document["latency_from_schedule_ms"]
    rows = {
        "complete lifecycles per second": f"{document['lifecycles_per_second']:,}",
        "baseline per second, median of its rounds": (
            f"{document['baseline_lifecycles_per_second']:,} of "
            + ", ".join(f"{each:,.0f}" for each in document["baseline_rounds_per_second"])
        ),
        "ratio to the baseline, by time and by CPU": (
            f"{document['ratio_to_baseline']:.3f} and {document['cpu_ratio_to_baseline']:.3f}"
        ),
        "reports accepted per second": f"{document['accepted_per_second']:,}",
        f"202 to replacement.ordered at {document['steady_per_second']}/s, p50 and p99": _pair(latency),
        "the same from the scheduled time": _pair(scheduled),
        "notices settled per CPU second of delivery_notify (all its work; mails discarded)": (
            f"{document['notices_per_cpu_second']:,}"
        ),
        "notices by outcome": ", ".join(f"{count:,} {status}" for status, count in document["notices"].items()),
        "records and row changes per lifecycle": (
            f"{document['records_per_lifecycle']['total']} and {document['row_changes_per_lifecycle']['total']}"
        ),
        "cores used during the flood": f"{document['cores_used']}",
        "cores used at the steady rate": f"{document['steady_cores_used']['total']}",
        "cores used by other processes": f"{document['cores_used_by_others']}",
    }
    for name, value in rows.items():
        table.add_row(name, value)
    return table


def _pair(latency: Mapping[str, float]) -> str:
    return f"{latency['p50']} ms, {latency['p99']} ms"


def _by_process(document: Mapping[str, Any]) -> Table:
    table = Table("process", "CPU ms per lifecycle", "peak MB")
    for column in table.columns[1:]:
        column.justify = "right"
    cpu, memory = document["cpu_ms_per_lifecycle"], document["peak_rss_mb"]
    for name in SYSTEM:
        table.add_row(name, f"{cpu[name]:.3f}", f"{memory[name]:.0f}")
    table.add_section()
    table.add_row("total", f"{cpu['total']:.3f}", "")
    table.add_row("baseline with Kafka and Postgres", f"{document['baseline_cpu_ms_per_lifecycle']:.3f}", "")
    table.add_section()
    for name in ("partner", "driver"):
        table.add_row(f"{name} (not in the total)", f"{cpu[name]:.3f}", f"{memory[name]:.0f}")
    return table
