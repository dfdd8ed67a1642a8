"""Overload, part of `make bench-more`: reports at the maximum rate, over more connections than intake accepts.

    python -m tests.bench.overload

It shows what callers get, that each accepted report is completed, how soon, and how much memory that takes.
`OVERLOAD_ISSUES` is the number of different reports; each is sent twenty times.
"""

import asyncio
import json
import time
from collections import Counter

import uvloop
from rich.console import Console

from deploy.local.command_line import exit_on_error
from deploy.local.environment import integer
from deploy.local.process_guard import exit_on_signals
from libs.common.events.topics import LOYALTY, SERVICES
from tests.bench.completion import wait_until_complete
from tests.bench.environment import LoadedSystem, loaded_system, servers
from tests.bench.http import connect
from tests.bench.orders import report_call
from tests.bench.system import BenchSystem

MANY_CONNECTIONS = 900
"""More than a service accepts (`HTTP_CONNECTIONS`, 500), fewer than those it answers with an error."""

REPEATED = 20


async def measure(console: Console, system: LoadedSystem, issues: int) -> None:
    plain = await system.flood(issues)
    peaks = dict(system.usage.peak_mb)
    await system.preload(issues)
    granted_before, begin = await system.lag.length([LOYALTY]), time.perf_counter()
    answers, accepted = await _overload(system.system, system.first, issues, REPEATED * issues)
    took = time.perf_counter() - begin
    completion = await wait_until_complete(system.probe, system.lag, accepted, granted_before)
    offered = REPEATED * issues / took / plain.per_second
    counts = ", ".join(f"{number:,} {what}" for what, number in sorted(answers.items()))
    memory = ", ".join(f"{name} {system.usage.peak_mb[name] / peaks[name]:.2f}" for name in SERVICES)
    console.print(f"{REPEATED * issues:,} reports at {offered:.1f} times the plain rate: {counts}", highlight=False)
    console.print(f"all {len(accepted):,} accepted ones complete after {completion.at - begin - took:.1f} s more")
    console.print(f"peak memory, ratio to the plain flood: {memory}", highlight=False)


async def _overload(system: BenchSystem, first: int, orders: int, count: int) -> tuple[Counter[str], dict[str, float]]:
    """Send calls whatever the answers are. An accepted caller keeps its connection, a refused one reconnects at once.
    Reports are repeated, as by impatient clients: one in progress is answered 409, an accepted one 202 again.
    """
    answers: Counter[str] = Counter()
    accepted: dict[str, float] = {}
    numbers = iter(range(count))

    async def work() -> None:
        connection = None
        for number in numbers:
            call = report_call(first + number % orders, system.intake_port, system.api_key)
            try:
                connection = connection or await connect(system.intake_port)
                status, body = await connection.call(call)
            except ConnectionError:
                answers["aborted"] += 1
                connection = None
                continue
            if status == 202:
                accepted.setdefault(json.loads(body)["issue_id"], time.perf_counter())
            silent = status in (429, 503) and not connection.retry_after
            answers[f"answered {status}{' without Retry-After' if silent else ''}"] += 1
            if status == 503:
                connection.close()
                connection = None
        if connection:
            connection.close()

    await asyncio.gather(*(work() for _ in range(MANY_CONNECTIONS)))
    return answers, accepted


async def _run(console: Console, issues: int) -> None:
    with servers() as infrastructure:
        async with loaded_system(console, infrastructure, "") as system:
            await measure(console, system, issues)


def main() -> None:
    with exit_on_error("bench"):
        issues = integer("OVERLOAD_ISSUES", 500, 100, 50_000)
        with exit_on_signals(), asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(_run(Console(), issues))


if __name__ == "__main__":
    main()
