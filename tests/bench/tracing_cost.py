"""The cost of tracing: the same floods of three systems in turn, without spans, with every trace, with one in ten.

All three run side by side, so that their rounds alternate and the machine is the same for all.
"""

from collections.abc import Mapping
from contextlib import AsyncExitStack

from rich.console import Console

from deploy.demo.system import Infrastructure
from deploy.local.ports import free_port
from deploy.local.processes import Supervisor
from libs.common.events.topics import SERVICES
from tests.bench.environment import BENCH_LOGS, loaded_system

SAMPLE_ONE_IN_TEN = {"OTEL_TRACES_SAMPLER": "parentbased_traceidratio", "OTEL_TRACES_SAMPLER_ARG": "0.1"}
ROUNDS = ("plain", "all", "one_in_ten", "one_in_ten", "all", "plain")


async def measure(console: Console, infrastructure: Infrastructure, issues: int) -> Mapping[str, float]:
    """CPU of the services with every trace and with one in ten, as ratios to that without."""
    spent = dict.fromkeys(ROUNDS, 0.0)
    async with AsyncExitStack() as stack:
        supervisor = stack.enter_context(Supervisor(BENCH_LOGS / "sink"))
        sink = supervisor.start("trace-sink", ["-m", "tests.bench.trace_sink"], {}, free_port())
        sink.wait_ready()
        exporting = {"OTEL_EXPORTER_OTLP_ENDPOINT": sink.url}
        settings = {"plain": {}, "all": exporting, "one_in_ten": {**exporting, **SAMPLE_ONE_IN_TEN}}
        systems = {
            name: await stack.enter_async_context(
                loaded_system(console, infrastructure, f"traced_{name}", tracing=tracing)
            )
            for name, tracing in settings.items()
        }
        each = issues // 3
        for system in systems.values():
            await system.preload(each // 3 + 2 * each)
            await system.flood(each // 3)  # query plans and caches
        for name in ROUNDS:
            spent[name] += (await systems[name].flood(each)).cpu_ms_of(SERVICES)
    return {name: spent[name] / spent["plain"] for name in ("all", "one_in_ten")}
