"""What ops can do with every service: see what was counted, and list, show, replay or discard dead letters."""

from typing import TYPE_CHECKING, Annotated, Any

from fastapi import APIRouter, Depends, Query
from pydantic import BaseModel

from libs.common.http.problems import PROBLEM_RESPONSE, Problem
from libs.common.messaging import dead_letters

if TYPE_CHECKING:
    from libs.common.runtime.service import Service


class DeadLetterPage(BaseModel):
    """Parked records, oldest first; `next_after` is what to ask for next, None at the end."""

    items: list[dict[str, Any]]
    next_after: int | None


class ReplayRequested(BaseModel):
    """How many records will be replayed: the one asked for, and those of its key around it."""

    replaying: int


def ops_routes(service: "Service") -> APIRouter:
    ops = Depends(service.require_caller("ops"))
    routes = APIRouter(prefix="/ops", tags=["ops"], dependencies=[ops], responses=PROBLEM_RESPONSE)

    @routes.get("/counters")
    async def counters() -> dict[str, int]:
        """What this process counted since it began, by outcome and reason."""
        return {f"{name}.{reason}": amount for (name, reason), amount in sorted(service.counters.values.items())}

    @routes.get("/dead-letters")
    async def list_dead_letters(
        state: Annotated[str, Query(pattern="^(open|replaying|replayed|discarded)$")] = "open",
        after: Annotated[int, Query(ge=0, le=2**62)] = 0,
        limit: Annotated[int, Query(ge=1, le=500)] = 50,
    ) -> DeadLetterPage:
        async with service.pool.acquire() as conn:
            found = await dead_letters.list_dead_letters(conn, state=state, after=after, limit=limit)
        last = found[-1].id if len(found) == limit else None
        return DeadLetterPage(items=[one.as_dict() for one in found], next_after=last)

    @routes.get("/dead-letters/{dead_letter_id}")
    async def show_dead_letter(dead_letter_id: int) -> dict[str, Any]:
        async with service.pool.acquire() as conn:
            found = await dead_letters.get_dead_letter(conn, dead_letter_id) if dead_letter_id < 2**62 else None
        if found is None:
            raise Problem(
                404,
                "unknown_dead_letter",
                f"dead_letter_id: {dead_letter_id} is not known; list them at /ops/dead-letters.",
            )
        return found.as_dict()

    @routes.post("/dead-letters/{dead_letter_id}/replay", status_code=202)
    async def replay(dead_letter_id: int, caller: Annotated[str, ops]) -> ReplayRequested:
        async with service.pool.acquire() as conn:
            count = await dead_letters.request_replay(conn, dead_letter_id, caller) if dead_letter_id < 2**62 else 0
        if not count:
            raise Problem(404, "unknown_dead_letter", f"dead_letter_id: {dead_letter_id} is not parked (any more).")
        return ReplayRequested(replaying=count)

    @routes.post("/dead-letters/{dead_letter_id}/discard", status_code=200)
    async def discard(dead_letter_id: int, caller: Annotated[str, ops]) -> dict[str, str]:
        async with service.pool.acquire() as conn:
            done = await dead_letters.discard(conn, dead_letter_id, caller) if dead_letter_id < 2**62 else False
        if not done:
            raise Problem(404, "unknown_dead_letter", f"dead_letter_id: {dead_letter_id} is not parked (any more).")
        return {"state": "discarded"}

    return routes
