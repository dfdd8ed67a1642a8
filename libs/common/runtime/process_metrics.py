"""Metrics of the process from the standard library: CPU, memory, garbage collection and delay of the event loop."""

import asyncio
import gc
import os
import resource
import sys
from pathlib import Path
from time import perf_counter

from libs.common.telemetry.metrics import Distribution, Kind, Metric, Metrics

CPU = Metric("process.cpu.time", Kind.COUNTER, "s", "CPU time of the process.", ("cpu.mode",))
MEMORY = Metric("process.memory.usage", Kind.GAUGE, "By", "Resident memory of the process.")
COLLECTIONS = Metric(
    "cpython.gc.collections",
    Kind.COUNTER,
    "{collection}",
    "Runs of the garbage collector, by generation.",
    ("cpython.gc.generation",),
)
LOOP_DELAY = Metric(
    "sakidashi.event_loop.delay",
    Kind.HISTOGRAM,
    "s",
    "Delay with which a timer of the event loop runs, measured once a second: how long other work held the loop.",
    buckets=(0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5),
)

SAMPLE_SECONDS = 1.0
_STATM = Path("/proc/self/statm")


def add_process_metrics(metrics: Metrics) -> Distribution:
    """Export the metrics of this process; return the histogram for `measure_loop_delay`."""
    metrics.count_from(CPU, _cpu)
    metrics.gauge(MEMORY, lambda: {(): resident_bytes()})
    metrics.count_from(
        COLLECTIONS, lambda: {(str(n),): float(each["collections"]) for n, each in enumerate(gc.get_stats())}
    )
    return metrics.histogram(LOOP_DELAY)


async def measure_loop_delay(delay: Distribution) -> None:
    """Record once a second by how much a sleep was late."""
    while True:
        began = perf_counter()
        await asyncio.sleep(SAMPLE_SECONDS)
        delay.record(max(0.0, perf_counter() - began - SAMPLE_SECONDS))


def resident_bytes() -> float:
    """Return the resident memory in bytes; on macOS, which has no `/proc`, its maximum so far."""
    try:
        return float(_STATM.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        maximum = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return float(maximum if sys.platform == "darwin" else maximum * 1024)


def _cpu() -> dict[tuple[str, ...], float]:
    times = os.times()
    return {("user",): times.user, ("system",): times.system}
