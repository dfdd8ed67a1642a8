"""What a database forgets by itself: rows whose time is over, some at a time.

Each sweep is one statement that takes at most `$2` rows older than `$1`; it runs until it finds fewer, with room for
others in between, and no longer than a turn. What is queued (outbox, timers, claims) is deleted by whoever takes it.
"""

import asyncio
from dataclasses import dataclass
from datetime import datetime, timedelta

from libs.common.postgres.pool import Pool

BATCH, BATCHES = 1_000, 100
"""A sweep takes so many rows a statement, and so many statements a turn: what is more waits for the next turn."""


@dataclass(frozen=True, slots=True)
class Sweep:
    """`wall` where rows are dated by the wall clock, not by the shop's."""

    name: str
    statement: str
    days: int
    uses_wall_clock: bool = False


async def run(pool: Pool, sweep: Sweep, now: datetime) -> int:
    """One turn; gives how many rows were forgotten. Each statement is a transaction of its own."""
    before, total = now - timedelta(days=sweep.days), 0
    for _ in range(BATCHES):
        async with pool.acquire() as conn:
            status = await conn.execute(sweep.statement, before, BATCH)
        count = int(status.rsplit(" ", 1)[1])
        total += count
        if count < BATCH:
            break
        await asyncio.sleep(0)
    return total


INBOX = """
    DELETE FROM inbox WHERE event_key IN (SELECT event_key FROM inbox WHERE received_at < $1 LIMIT $2)"""
IDEMPOTENCY = """
    DELETE FROM idempotency WHERE (caller, key) IN (
        SELECT caller, key FROM idempotency WHERE answered_at < $1 LIMIT $2)"""
SETTLED = """
    DELETE FROM dead_letters WHERE id IN (
        SELECT id FROM dead_letters WHERE state IN ('replayed', 'discarded') AND settled_at < $1 LIMIT $2)"""


def common_sweeps(inbox_days: int, dead_letter_days: int) -> tuple[Sweep, ...]:
    """What every service forgets: marks and answers that nobody can ask for any more, and settled dead letters."""
    return (
        Sweep("inbox", INBOX, inbox_days, uses_wall_clock=True),
        Sweep("idempotency", IDEMPOTENCY, inbox_days, uses_wall_clock=True),
        Sweep("settled dead letters", SETTLED, dead_letter_days, uses_wall_clock=True),
    )
