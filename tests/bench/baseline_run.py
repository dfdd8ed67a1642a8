"""Runs the baseline on the same broker and Postgres, right after the measurement."""

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from deploy.demo.system import Infrastructure
from deploy.local.command_line import CommandError
from deploy.local.postgres import provision
from deploy.local.processes import ServiceProcess, Supervisor
from libs.common.events.topics import SERVICES
from libs.common.messaging.create_topics import create_topics
from tests.bench import baseline_plan
from tests.bench.baseline import records_written
from tests.bench.baseline_plan import BaselinePart, PartResult, RowCounts
from tests.bench.resource_usage import ResourceUsage

ROUNDS = 3
"""A round takes seconds, and rounds differ by a tenth and more."""

PREFIX = "baseline"
MAX_SECONDS = 300.0


class BaselineError(CommandError):
    """The baseline did not finish; the message ends with the log of the failed part."""


async def plan(
    infrastructure: Infrastructure,
    databases: Mapping[str, str],
    before: Mapping[str, RowCounts],
    counts: Mapping[str, int],
    lifecycles: int,
) -> list[BaselinePart]:
    """The parts, from the services' work in these lifecycles: row changes since `before`, records `counts`."""
    servers = infrastructure.broker.bootstrap_servers
    writes = await baseline_plan.writes_by_service(servers, infrastructure.topic_prefix, counts, lifecycles)
    reads = await baseline_plan.topics_by_reader(servers, infrastructure.topic_prefix)
    reads["partner"] = sorted({"warehouse.orders", "carrier.orders", "payment.orders", "issues"})
    parts = []
    for name in (*SERVICES, "partner"):
        url = databases.get(name)
        tables = await baseline_plan.tables_per_lifecycle(url, before[name], lifecycles) if url else ()
        own = tuple(writes.get(name, ()))
        topics = dict.fromkeys(topic for topic in reads[name] if counts.get(topic))
        parts.append(BaselinePart(name, lifecycles, servers, "", tables, own, dict.fromkeys(topics, 0)))
    return parts


@dataclass(frozen=True, slots=True)
class BaselineResult:
    """Throughput of the baseline, and its CPU with that of Kafka and Postgres."""

    per_second: float
    cpu_ms: float


async def run(
    supervisor: Supervisor, infrastructure: Infrastructure, parts: list[BaselinePart], lifecycles: int
) -> list[BaselineResult]:
    """Run all parts a few times, each on its own topics and tables. Raises `BaselineError`."""
    return [
        await _round(supervisor, infrastructure, parts, lifecycles, f"{PREFIX}{number}") for number in range(ROUNDS)
    ]


async def _round(
    supervisor: Supervisor, infrastructure: Infrastructure, parts: list[BaselinePart], lifecycles: int, name: str
) -> BaselineResult:
    databases = await provision(infrastructure.postgres.admin_url, SERVICES, f"{name}_")
    urls = {service: database.owner_url for service, database in databases.items()}  # it makes its own tables
    await create_topics(infrastructure.broker.bootstrap_servers, f"{name}.")
    parts = [
        replace(part, lifecycles=lifecycles, prefix=f"{name}.", database_url=urls.get(part.name)) for part in parts
    ]
    total = records_written(parts)
    folder = infrastructure.folder / name
    folder.mkdir()
    started = {part.name: _start(supervisor, folder, part, total) for part in parts}
    await _wait_for(folder, ".ready", started)
    servers = ResourceUsage({"kafka": infrastructure.broker.pid, "postgres": infrastructure.postgres.pid})
    cpu, begin = sum(servers.cpu_seconds().values()), time.time()
    (folder / "go").touch()
    done = [PartResult.read(path.read_text(encoding="utf-8")) for path in await _wait_for(folder, ".done", started)]
    cpu = sum(servers.cpu_seconds().values()) - cpu + sum(part.cpu for part in done)
    for part in started.values():
        await asyncio.to_thread(part.stop)
    return BaselineResult(lifecycles / (max(part.at for part in done) - begin), 1000 * cpu / lifecycles)


def _start(supervisor: Supervisor, folder: Path, part: BaselinePart, total: Mapping[str, int]) -> ServiceProcess:
    path = folder / f"{part.name}.json"
    whole = replace(part, reads={topic: total.get(topic, 0) for topic in part.reads})
    path.write_text(whole.text(), encoding="utf-8")
    return supervisor.start(f"{folder.name}-{part.name}", ["-m", "tests.bench.baseline", path])


async def _wait_for(folder: Path, suffix: str, started: Mapping[str, ServiceProcess]) -> list[Path]:
    """The files of all parts with this suffix, once they are written."""
    paths = {name: folder / f"{name}{suffix}" for name in started}
    deadline = time.monotonic() + MAX_SECONDS
    while missing := [name for name, path in paths.items() if not path.exists()]:
        for name in missing:
            if not started[name].alive and not paths[name].exists():
                raise BaselineError(f"baseline, part {name}, ended early\n{started[name].child.log_tail()}")
        if time.monotonic() > deadline:
            raise BaselineError(f"baseline: {', '.join(missing)} not done after {MAX_SECONDS:g} s")
        await asyncio.sleep(0.02)
    return list(paths.values())
