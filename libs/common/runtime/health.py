"""Health: alive (consumers make progress), ready (the database answers), started (all topics are assigned)."""

import asyncio
from typing import TYPE_CHECKING, Any

from fastapi import APIRouter
from fastapi.responses import JSONResponse

if TYPE_CHECKING:
    from libs.common.runtime.service import Service


def health_routes(service: "Service") -> APIRouter:
    routes = APIRouter(prefix="/health", tags=["health"])

    def answer(healthy: bool, **details: Any) -> JSONResponse:
        body = {"service": service.name, "status": "ok" if healthy else "failing", **details}
        return JSONResponse(body, 200 if healthy else 503)

    @routes.get("/live")
    async def live() -> JSONResponse:
        """503 when only a restart can help."""
        # A consumer that halts on purpose makes no progress; a restart would only make it forget why.
        halted = any(consumer.halted for consumer in service.consumers)
        faults = [fault for one in service.consumer_health if not halted and (fault := one.fault())]
        faults += [f"{name} has ended" for name, task in service.tasks.items() if task.done()]
        return answer(not faults, faults=faults)

    @routes.get("/ready")
    async def ready() -> JSONResponse:
        """503 when calls should go elsewhere: no database, or most of what comes fails, as after a bad deploy.

        Kafka may be down: reports are still accepted.
        """
        halted = [consumer.aggregate.name for consumer in service.consumers if consumer.halted]
        return answer(await _database_answers(service) and not halted, halted=halted, lag=_lag(service))

    @routes.get("/started")
    async def started() -> JSONResponse:
        """503 until every subscription has its share of partitions, for whoever waits for the whole service."""
        waiting = [one.topic for one in service.consumer_health if not one.is_assigned()]
        begun = bool(service.consumer_health) or not service.subscriptions
        taken = {one.topic: one.processed_offsets() for one in service.consumer_health}
        return answer(begun and not waiting, waiting_for=waiting, lag=_lag(service), taken=taken)

    return routes


def _lag(service: "Service") -> dict[str, int]:
    return {one.topic: one.lag() for one in service.consumer_health}


async def _database_answers(service: "Service") -> bool:
    try:
        async with asyncio.timeout(2):
            await service.pool.execute("SELECT 1")
    except Exception:
        return False
    return True
