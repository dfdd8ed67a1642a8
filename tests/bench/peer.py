"""The peer: the same number of transactions per lifecycle on a job queue of the field, on the same Postgres.

procrastinate keeps its jobs in Postgres and loses none, as the outbox does. taskiq was the other candidate: it needs
Redis, and its Redis broker acknowledges before the work is done. The peer runs in four processes, as the services do.
"""

import asyncio
import time
from importlib.util import find_spec

import asyncpg
from rich.console import Console

from deploy.demo.system import Infrastructure
from deploy.local.command_line import CommandError
from deploy.local.postgres import provision
from deploy.local.processes import Supervisor
from tests.bench.environment import BENCH_LOGS

STEPS = 36
"""Decisions in one lifecycle, each in a transaction of its own."""

PROCESSES, CONCURRENCY = 4, 10
MAX_SECONDS = 180.0


def missing() -> str:
    """The reason why the peer cannot run here; empty where it can."""
    return "" if find_spec("procrastinate") else "procrastinate is not installed; run `make env`"


def name() -> str:
    from importlib.metadata import version

    return f"procrastinate {version('procrastinate')}"


async def lifecycles_per_second(console: Console, infrastructure: Infrastructure, issues: int) -> float:
    from tests.bench.peer_worker import make_app

    database = (await provision(infrastructure.postgres.admin_url, ["peer"]))["peer"]
    app, task = make_app(database.owner_url)
    conn = await asyncpg.connect(database.owner_url)
    with Supervisor(BENCH_LOGS / "peer") as supervisor, console.status(f"{issues:,} lifecycles of the peer"):
        await conn.execute("CREATE TABLE peer_issues (id bigint PRIMARY KEY, steps int NOT NULL, body jsonb NOT NULL)")
        try:
            async with app.open_async():
                await app.schema_manager.apply_schema_async()
                for number in range(PROCESSES):
                    supervisor.start(f"peer-{number}", ["-m", "tests.bench.peer_worker", database.owner_url])
                await _run(conn, task, -issues // 10, 0)
                begin = time.perf_counter()
                await _run(conn, task, 0, issues)
                return issues / (time.perf_counter() - begin)
        finally:
            await conn.close()
            await asyncio.to_thread(supervisor.stop)


async def _run(conn: "asyncpg.Connection[asyncpg.Record]", task: object, first: int, end: int) -> None:
    """Start these lifecycles and wait until their last step is committed."""
    await task.batch_defer_async(*[{"issue": n, "number": 1} for n in range(first, end)])  # type: ignore[attr-defined]
    query = "SELECT count(*) FROM peer_issues WHERE id >= $1 AND steps = $2"
    deadline = time.monotonic() + MAX_SECONDS
    while await conn.fetchval(query, first, STEPS) < end - first:
        if time.monotonic() > deadline:
            raise CommandError(f"peer: not done after {MAX_SECONDS:g} s; read {BENCH_LOGS / 'peer'}")
        await asyncio.sleep(0.1)
