"""Retention: deletes expired rows in small batches.

A sweep is one statement that deletes at most `$2` rows older than `$1`. It is repeated until it finds fewer, at most
`MAX_BATCHES` times per run. Queues (outbox, timers, claims) are not swept: their readers delete the rows.
"""

import asyncio
from dataclasses import dataclass
from datetime import datetime, timedelta

from libs.common.postgres.batch import row_count
from libs.common.postgres.pool import Pool

BATCH, MAX_BATCHES = 1_000, 100
"""Rows per statement and statements per run; the rest is left to the next run."""


@dataclass(frozen=True, slots=True)
class Sweep:
    """A retention rule: `statement` deletes rows older than `days`.

    `uses_wall_clock`: the rows are dated by the wall clock, not by the shop's.
    """

    name: str
    statement: str
    days: int
    uses_wall_clock: bool = False


async def run(pool: Pool, sweep: Sweep, now: datetime) -> int:
    """Run one sweep and return the number of deleted rows. Each statement is a transaction of its own."""
    before, total = now - timedelta(days=sweep.days), 0
    for _ in range(MAX_BATCHES):
        async with pool.acquire() as conn:
            status = await conn.execute(sweep.statement, before, BATCH)
        count = row_count(status)
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
    """Return the sweeps of every service: inbox, stored answers, and settled dead letters."""
    return (
        Sweep("inbox", INBOX, inbox_days, uses_wall_clock=True),
        Sweep("idempotency", IDEMPOTENCY, inbox_days, uses_wall_clock=True),
        Sweep("settled dead letters", SETTLED, dead_letter_days, uses_wall_clock=True),
    )
