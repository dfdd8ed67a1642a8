"""Profile of the CPU time of the services: a flood of services that sample themselves (`profiled`)."""

import json
import os
import signal
from collections import Counter

from rich.console import Console
from rich.table import Table

from deploy.demo.system import Infrastructure
from libs.common.events.topics import SERVICES
from tests.bench.environment import loaded_system

ROWS = 14


async def measure(console: Console, infrastructure: Infrastructure, issues: int) -> dict[str, Counter[str]]:
    """Samples by part, for each service."""
    folder = infrastructure.folder / "profile"
    folder.mkdir()
    settings = {"PROFILE_FOLDER": str(folder)}
    async with loaded_system(
        console, infrastructure, "profile", tracing=settings, launcher="tests.bench.profiled"
    ) as system:
        await system.flood(issues // 4)  # imports, query plans and caches are not the subject
        await system.preload(issues)
        for process in system.system.services.values():
            os.kill(process.pid, signal.SIGUSR1)
        await system.flood(issues)
    return {name: Counter(json.loads((folder / f"{name}.json").read_text(encoding="utf-8"))) for name in SERVICES}


def show(console: Console, samples: dict[str, Counter[str]]) -> None:
    """The parts with the most samples, as shares of all services."""
    total = sum(samples.values(), Counter[str]())
    everything = total.total() or 1
    table = Table("part", "share", *SERVICES, title="CPU of the services by part", title_justify="left")
    for part, count in total.most_common(ROWS):
        shares = [f"{100 * samples[name][part] / everything:.1f} %" for name in SERVICES]
        table.add_row(part, f"{100 * count / everything:.1f} %", *shares)
    rest = sum(count for _, count in total.most_common()[ROWS:])
    table.add_row("everything else", f"{100 * rest / everything:.1f} %")
    console.print(table)
