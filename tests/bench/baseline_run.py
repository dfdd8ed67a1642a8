"""Runs the bare loop on the same broker and Postgres as the services."""

import asyncio
import time
from collections.abc import Mapping
from pathlib import Path
from statistics import median

from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from deploy.demo.system import Infrastructure
from deploy.local.command_line import CommandError
from deploy.local.postgres import provision
from deploy.local.processes import ServiceProcess, Supervisor
from tests.bench.baseline_plan import PARTITIONS, PLAN, PartResult, PartRun, records_per_lifecycle
from tests.bench.environment import BENCH_LOGS
from tests.bench.resource_usage import ResourceUsage

ROUNDS = 3
"""A round takes seconds, and rounds differ by a tenth and more."""

PREFIX = "baseline"
MAX_SECONDS = 300.0


class BaselineError(CommandError):
    """The bare loop did not finish; the message ends with the log of the failed part."""


async def cpu_ms(infrastructure: Infrastructure, lifecycles: int) -> float:
    """CPU milliseconds per lifecycle with those of Kafka and Postgres, the median of the rounds.

    Each round has its own topics and tables. Raises `BaselineError`.
    """
    with Supervisor(BENCH_LOGS / PREFIX) as supervisor:
        rounds = [await _round(supervisor, infrastructure, lifecycles, f"{PREFIX}{number}") for number in range(ROUNDS)]
        return median(rounds)


async def _round(supervisor: Supervisor, infrastructure: Infrastructure, lifecycles: int, name: str) -> float:
    with_tables = [part.name for part in PLAN if part.tables]
    databases = await provision(infrastructure.postgres.admin_url, with_tables, f"{name}_")
    urls = {part: database.owner_url for part, database in databases.items()}  # it makes its own tables
    await _create_topics(infrastructure.broker.bootstrap_servers, f"{name}.")
    folder = infrastructure.folder / name
    folder.mkdir()
    started = {}
    for part in PLAN:
        run = PartRun(part.name, lifecycles, infrastructure.broker.bootstrap_servers, f"{name}.", urls.get(part.name))
        path = folder / f"{part.name}.json"
        path.write_text(run.text(), encoding="utf-8")
        started[part.name] = supervisor.start(f"{name}-{part.name}", ["-m", "tests.bench.baseline", path])
    await _wait_for(folder, ".ready", started)
    servers = ResourceUsage({"kafka": infrastructure.broker.pid, "postgres": infrastructure.postgres.pid})
    before = sum(servers.cpu_seconds().values())
    (folder / "go").touch()
    done = [PartResult.read(path.read_text(encoding="utf-8")) for path in await _wait_for(folder, ".done", started)]
    cpu = sum(servers.cpu_seconds().values()) - before + sum(part.cpu for part in done)
    for process in started.values():
        await asyncio.to_thread(process.stop)
    return 1000 * cpu / lifecycles


async def _create_topics(bootstrap_servers: str, prefix: str) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap_servers)
    await admin.start()
    try:
        await admin.create_topics([NewTopic(prefix + name, PARTITIONS, 1) for name in records_per_lifecycle()])
    finally:
        await admin.close()


async def _wait_for(folder: Path, suffix: str, started: Mapping[str, ServiceProcess]) -> list[Path]:
    """The files of all parts with this suffix, once they are written."""
    paths = {name: folder / f"{name}{suffix}" for name in started}
    deadline = time.monotonic() + MAX_SECONDS
    while missing := [name for name, path in paths.items() if not path.exists()]:
        for name in missing:
            if not started[name].alive and not paths[name].exists():
                raise BaselineError(f"bare loop, part {name}, ended early\n{started[name].child.log_tail()}")
        if time.monotonic() > deadline:
            raise BaselineError(f"bare loop: {', '.join(missing)} not done after {MAX_SECONDS:g} s")
        await asyncio.sleep(0.02)
    return list(paths.values())
