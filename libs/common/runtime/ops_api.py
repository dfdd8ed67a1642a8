"""Ops API of every service: outcome counters, work in flight, and listing, replay and discard of dead letters."""

from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Query, Request
from pydantic import BaseModel

from libs.common.http.api_keys import require_caller
from libs.common.http.problems import PROBLEM_RESPONSE, Problem
from libs.common.messaging import dead_letters
from libs.common.postgres.pool import Pool
from libs.common.runtime.in_flight import DatabaseWork
from libs.common.telemetry.counters import Counters

MAX_ID = 2**62
DeadLetterId = Annotated[int, Path(ge=1, le=MAX_ID)]

_ops = Depends(require_caller("ops"))
router = APIRouter(prefix="/ops", tags=["ops"], dependencies=[_ops], responses=PROBLEM_RESPONSE)


def _pool(request: Request) -> Pool:
    pool: Pool = request.app.state.service.pool
    return pool


def _counters(request: Request) -> Counters:
    counters: Counters = request.app.state.service.counters
    return counters


Database = Annotated[Pool, Depends(_pool)]
Operator = Annotated[str, _ops]


class InFlight(BaseModel):
    """Work of this service that is not finished; `idle`: none of it, until `next_timer_at`."""

    idle: bool
    unread: int
    open_commands: int
    outbox: int
    replaying: int
    due_timers: int
    next_timer_at: datetime | None


class DeadLetterPage(BaseModel):
    """Dead letters, oldest first; `next_after` is the `after` of the next page, null at the end."""

    items: list[dict[str, Any]]
    next_after: int | None


class ReplayRequested(BaseModel):
    """Number of records marked for replay: the requested one and the blocked ones of its key."""

    replaying: int


@router.get("/counters")
async def counters(found: Annotated[Counters, Depends(_counters)]) -> dict[str, int]:
    """Counts of this process since its start, by outcome and reason."""
    return {f"{name}.{reason}": amount for (name, reason), amount in sorted(found.values.items())}


@router.get("/in-flight")
async def in_flight(request: Request, pool: Database) -> InFlight:
    """Counts of work that is not finished: unread records, open commands, outbox, replayed dead letters, due timers."""
    service = request.app.state.service
    unread = sum(service.kafka.lag().values())
    commands = sum(batcher.open_commands for batcher in service.commands.values())
    work = await DatabaseWork.read(pool, service.clock.now())
    idle = not (unread or commands or any(work.counts().values()))
    return InFlight(idle=idle, unread=unread, open_commands=commands, **work.counts(), next_timer_at=work.next_timer_at)


@router.get("/dead-letters")
async def list_dead_letters(
    pool: Database,
    state: Annotated[str, Query(pattern="^(open|replaying|replayed|discarded)$")] = "open",
    after: Annotated[int, Query(ge=0, le=MAX_ID)] = 0,
    limit: Annotated[int, Query(ge=1, le=500)] = 50,
) -> DeadLetterPage:
    async with pool.acquire() as conn:
        found = await dead_letters.list_dead_letters(conn, state=state, after=after, limit=limit)
    last = found[-1].id if len(found) == limit else None
    return DeadLetterPage(items=[letter.as_dict() for letter in found], next_after=last)


@router.get("/dead-letters/{dead_letter_id}")
async def show_dead_letter(dead_letter_id: DeadLetterId, pool: Database) -> dict[str, Any]:
    async with pool.acquire() as conn:
        found = await dead_letters.get_dead_letter(conn, dead_letter_id)
    if found is None:
        raise Problem(
            404,
            "unknown_dead_letter",
            f"dead_letter_id: {dead_letter_id} does not exist; list dead letters at /ops/dead-letters.",
        )
    return found.as_dict()


@router.post("/dead-letters/{dead_letter_id}/replay", status_code=202)
async def replay(dead_letter_id: DeadLetterId, pool: Database, caller: Operator) -> ReplayRequested:
    async with pool.acquire() as conn:
        count = await dead_letters.request_replay(conn, dead_letter_id, caller)
    if not count:
        raise _not_open(dead_letter_id)
    return ReplayRequested(replaying=count)


@router.post("/dead-letters/{dead_letter_id}/discard", status_code=200)
async def discard(dead_letter_id: DeadLetterId, pool: Database, caller: Operator) -> dict[str, str]:
    async with pool.acquire() as conn:
        done = await dead_letters.discard(conn, dead_letter_id, caller)
    if not done:
        raise _not_open(dead_letter_id)
    return {"state": "discarded"}


def _not_open(dead_letter_id: int) -> Problem:
    return Problem(404, "unknown_dead_letter", f"dead_letter_id: {dead_letter_id} is not an open dead letter.")
