"""Response times of the desk with 100,000 issues: part of `make bench-more`, alone `python -m tests.bench.desk`.

One intake process on a durable Postgres. A year of issues is written by SQL, one in twenty still open, with timelines
and open work; then each page is requested, one call after the other, over loopback HTTP. The times are those of
complete responses. `DESK_ISSUES` is the number of issues.
"""

import asyncio
import os
import re
import secrets
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import quantiles

import asyncpg
import httpx
from rich.console import Console
from rich.table import Table

from deploy.local import postgres
from deploy.local.command_line import exit_on_error
from deploy.local.environment import integer
from deploy.local.paths import LOGS, run_folder
from deploy.local.ports import LOOPBACK, free_port
from deploy.local.process_guard import exit_on_signals
from deploy.local.processes import Supervisor, answers_ok
from deploy.local.service_environment import ServiceEnvironment, service_command
from libs.common.postgres.pool import Connection
from services.intake.domain.order_contacts import OrderContact, Person
from services.intake.store.order_contacts import write_contacts

CALLS, WARM_UP = 20, 3

_SURNAMES = ["佐藤", "鈴木", "高橋"]
_GIVEN = ["花子", "太郎", "さくら", "健"]
SEED = Path(__file__).with_name("desk.sql")


async def seed(database: postgres.DatabaseAccess, issues: int) -> float:
    """Write a year of issues; returns the seconds it took."""
    await database.migrate("intake")
    conn = await asyncpg.connect(database.owner_url)
    begin = time.perf_counter()
    try:
        await conn.execute(SEED.read_text(encoding="utf-8").replace("{issues}", str(issues)), timeout=600)
        await fill_contacts(conn, issues)
        await conn.execute("ANALYZE")
    finally:
        await conn.close()
    return time.perf_counter() - begin


async def fill_contacts(conn: Connection, issues: int) -> None:
    """Write a contact for every order: 400 surnames, 300 given names, numbers and mail addresses of their own."""
    names = [f"{surname}{given}" for surname, given in zip(_SURNAMES * 100, _GIVEN * 75, strict=True)]
    for begin in range(0, issues, 10_000):
        now = datetime.now(UTC)
        people = [
            OrderContact(
                f"O-{n}", f"C-{n % (issues // 3)}", None, now - timedelta(minutes=n),
                Person(names[n % 300], f"user{n * 7919 % issues}.{n % 90}@mail{n % 9}.example", f"090{n:08}"),
            )
            for n in range(begin, min(begin + 10_000, issues))
        ]  # fmt: skip
        await write_contacts(conn, people)


def pages(http: httpx.Client, issues: int) -> dict[str, str]:
    """The measured pages, by their name in the table."""
    page = http.get("/desk").text
    issue_link = re.search(r"/desk/issues/[0-9a-f-]{36}", page)
    assert issue_link, "the first page shows issues"
    return {
        "work that needs staff now": "/desk",
        "a section of 50": "/desk/work/promises",
        "one issue with its timeline": issue_link[0],
        "search by order": f"/desk/search?q=O-{issues // 2}",
        "search by customer": "/desk/search?q=C-77",
        "search by the end of a number": f"/desk/search?q={issues // 2 + 1}",
        "search by a rare mail": "/desk/search?q=user77.",
        "search by a common name": "/desk/search?q=佐藤",
        "search by a name of one in 300": "/desk/search?q=佐藤花子",
        "search by the end of a telephone number": "/desk/search?q=00004711",
        "search by a common domain": "/desk/search?q=@mail3.example",
        "search by a fragment of a SKU": "/desk/search?q=sku-29",
        "insights of 30 days": "/desk/insights?days=30",
        "insights of a year": "/desk/insights?days=365",
    }


def measure(http: httpx.Client, path: str) -> tuple[float, float]:
    """p50 and p95 in milliseconds."""
    durations: list[float] = []
    for number in range(WARM_UP + CALLS):
        begin = time.perf_counter()
        answer = http.get(path)
        spent = 1000 * (time.perf_counter() - begin)
        assert answer.status_code in (200, 303), f"{path}: {answer.status_code}"
        if number >= WARM_UP:
            durations.append(spent)
    cuts = quantiles(durations, n=20, method="inclusive")
    return cuts[9], cuts[18]


def sign_in(http: httpx.Client, url: str) -> None:
    password = secrets.token_urlsafe(12)
    command = [sys.executable, "-m", "services.intake.cli.staff", "add", "bench", "--role", "agent"]
    subprocess.run(
        command, check=True, capture_output=True, env={**os.environ, "DATABASE_URL": url, "STAFF_PASSWORD": password}
    )
    answer = http.post("/desk/sign-in", data={"name": "bench", "password": password})
    assert answer.status_code == 303, answer.status_code


def run(console: Console, stack: ExitStack, issues: int) -> None:
    folder = stack.enter_context(run_folder("bench-desk"))
    server = stack.enter_context(postgres.server(log=LOGS / "bench" / "desk-postgres.log", environ={}))
    database = asyncio.run(postgres.provision(server.admin_url, ["intake"], "desk_"))["intake"]
    with console.status(f"writing {issues:,} issues"):
        took = asyncio.run(seed(database, issues))
    console.print(f"{issues:,} issues and {12 * issues:,} facts written in {took:.0f} s", highlight=False)
    port = free_port()
    no_kafka = f"{LOOPBACK}:1"
    environment = ServiceEnvironment(no_kafka, "", {}, secrets.token_urlsafe(32), folder, log_level="ERROR")
    env = {
        **environment.of("intake", database.url, f"http://{LOOPBACK}:{port}"),
        "DESK_SECURE_COOKIES": "false",
    }
    supervisor = stack.enter_context(Supervisor(LOGS / "bench"))
    process = supervisor.start("desk", service_command("intake"), env, port)
    process.child.wait_until(lambda: answers_ok(f"{process.url}/health/ready"), 60)
    with httpx.Client(base_url=process.url, timeout=60) as http:
        sign_in(http, database.url)
        rows = [(name, *measure(http, path)) for name, path in pages(http, issues).items()]
    show(console, issues, rows)


def show(console: Console, issues: int, rows: Sequence[tuple[str, float, float]]) -> None:
    table = Table("page", "p50 ms", "p95 ms", title=f"The desk with {issues:,} issues", title_justify="left")
    for column in table.columns[1:]:
        column.justify = "right"
    for name, p50, p95 in rows:
        table.add_row(name, f"{p50:.1f}", f"{p95:.1f}")
    console.print(table)


def main() -> None:
    with exit_on_error("bench"):
        issues = integer("DESK_ISSUES", 100_000, 100, 10_000_000)
        with exit_on_signals(), ExitStack() as stack:
            run(Console(), stack, issues)


if __name__ == "__main__":
    main()
