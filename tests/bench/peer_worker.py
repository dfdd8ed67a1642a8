"""The peer as its users write it: procrastinate, one transaction per step, the next step deferred in it.

    python -m tests.bench.peer_worker <database URL>    works until SIGTERM; SIGTERM lets running jobs finish

A step loads the state of its issue locked, changes it, saves it and defers the next step in the same transaction, which
is the queue's own way to lose nothing. There is no mail, no decision, no contract and no Kafka: an upper limit.
"""

import asyncio
import json
import sys
from typing import Any

from procrastinate import App, PsycopgConnector

from tests.bench.peer import CONCURRENCY, STEPS


def make_app(database_url: str) -> tuple[App, Any]:
    """The app and its first step."""
    app = App(connector=PsycopgConnector(conninfo=database_url, min_size=2, max_size=CONCURRENCY + 2))

    async def step(issue: int, number: int) -> None:
        pool = app.connector.pool  # type: ignore[attr-defined,unused-ignore]
        async with pool.connection() as conn, conn.transaction():
            found = await conn.execute("SELECT body FROM peer_issues WHERE id = %s FOR UPDATE", (issue,))
            row = await found.fetchone()
            body = {**(row[0] if row else {}), f"step {number}": "decided"}
            await conn.execute(
                "INSERT INTO peer_issues (id, steps, body) VALUES (%s, %s, %s)"
                " ON CONFLICT (id) DO UPDATE SET steps = excluded.steps, body = excluded.body",
                (issue, number, json.dumps(body)),
            )
            if number < STEPS:
                await task.configure(connection=conn).defer_async(issue=issue, number=number + 1)

    task = app.task(name="step")(step)
    return app, task


async def main(database_url: str) -> None:
    app, _ = make_app(database_url)
    async with app.open_async():
        await app.run_worker_async(concurrency=CONCURRENCY, delete_jobs="successful")


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
