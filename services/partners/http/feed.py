"""Route for events that a partner fetches: `GET /v1/partner/{name}/events`, with a cursor and long polling."""

import asyncio
import json
from typing import Annotated, Any

from fastapi import APIRouter, Query
from pydantic import BaseModel

from libs.common.http.problems import PROBLEM_RESPONSE, Problem
from libs.common.runtime.dependencies import CurrentService
from libs.common.runtime.service import Service
from services.partners.http.dependencies import CurrentNews, CurrentPartner, FeedNews
from services.partners.store.feed_reading import StoredEvent, acknowledge, read_cursor, read_events

MAX_WAIT_SECONDS, POLL_SECONDS = 30, 1.0
"""Longest wait of a call, and the pause between two looks for events of other processes."""
MAX_WAITING = 5
"""Calls of one partner that wait at a time, in each process: each holds one of the connections of all callers."""

router = APIRouter(tags=["events"], responses=PROBLEM_RESPONSE)


class FetchedEvent(BaseModel):
    """One event: its position, its Kafka key, its trace context if it has one, and the CloudEvent as on Kafka."""

    position: int
    key: str
    traceparent: str | None
    event: dict[str, Any]


class EventPage(BaseModel):
    """Events in order. `next` is the position to send as `after` once these are stored; more follow if `more`.

    `deleted`: some events behind `after` and up to this position were deleted after retention; null if none were. Ask
    the shop for them; those that are still stored come as usual.
    """

    events: list[FetchedEvent]
    next: int
    more: bool
    deleted: int | None = None


@router.get("/v1/partner/{name}/events")
async def fetch_events(
    partner: CurrentPartner,
    service: CurrentService,
    news: CurrentNews,
    after: Annotated[
        int | None,
        Query(ge=0, le=2**62, description="Position up to which you stored all events; it acknowledges them."),
    ] = None,
    limit: Annotated[int, Query(ge=1, le=200, description="Events at most.")] = 50,
    wait: Annotated[
        int, Query(ge=0, le=MAX_WAIT_SECONDS, description="Seconds to wait for an event if there is none.")
    ] = 0,
) -> EventPage:
    """Return the events that are addressed to you behind `after`, by default behind the last acknowledged position.

    Sending `after` acknowledges all events up to it. An event can come again until it is acknowledged, with its id.
    """
    async with service.pool.acquire() as conn:
        cursor = await read_cursor(conn, partner.name)
        if after is not None and after > cursor.newest:
            raise Problem(422, "unknown_position", f"after: beyond the newest event; send {cursor.newest} at most.")
        begin = cursor.acknowledged if after is None else after
        if after is not None:
            await acknowledge(conn, partner.name, after)
    with news.waiting(partner.name, MAX_WAITING if wait else None):
        return await _wait_for_events(partner.name, service, news, begin, limit, wait)


async def _wait_for_events(
    partner: str, service: Service, news: FeedNews, begin: int, limit: int, wait: int
) -> EventPage:
    deadline = asyncio.get_running_loop().time() + wait
    while True:
        async with service.pool.acquire() as conn:
            found = await read_events(conn, partner, begin, limit + 1)
            deleted = (await read_cursor(conn, partner)).deleted  # after the events: no deletion is missed
        left = deadline - asyncio.get_running_loop().time()
        if found or left <= 0:
            page = found[:limit]
            return EventPage(
                events=[_fetched(each) for each in page],
                next=page[-1].position if page else max(begin, deleted),
                more=len(found) > limit,
                deleted=deleted if deleted > begin else None,
            )
        await news.wait(min(left, POLL_SECONDS))


def _fetched(stored: StoredEvent) -> FetchedEvent:
    traceparent = stored.trace[:55] if stored.trace else None
    event = json.loads(stored.value)
    return FetchedEvent(position=stored.position, key=stored.key, traceparent=traceparent, event=event)
