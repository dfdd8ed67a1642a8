"""Health routes: live (consumers make progress), ready (the database answers), started (all topics are assigned)."""

import asyncio
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request
from fastapi.responses import JSONResponse

from libs.common.postgres.pool import Pool
from libs.common.runtime.background_loops import BackgroundLoops
from libs.common.runtime.kafka_reader import KafkaReader

router = APIRouter(prefix="/health", tags=["health"])


def _kafka(request: Request) -> KafkaReader:
    kafka: KafkaReader = request.app.state.service.kafka
    return kafka


def _loops(request: Request) -> BackgroundLoops:
    loops: BackgroundLoops = request.app.state.service.loops
    return loops


def _pool(request: Request) -> Pool:
    pool: Pool = request.app.state.service.pool
    return pool


Kafka = Annotated[KafkaReader, Depends(_kafka)]
Database = Annotated[Pool, Depends(_pool)]


@router.get("/live")
async def live(request: Request, kafka: Kafka, loops: Annotated[BackgroundLoops, Depends(_loops)]) -> JSONResponse:
    """503 when only a restart can help."""
    # A halted topic makes no progress on purpose; a restart would lose the reason and try the bad deploy again.
    faults = kafka.health.faults(kafka.halted) if kafka.health else []
    faults += [f"{name} has ended" for name in loops.ended()]
    return _response(request, not faults, faults=faults)


@router.get("/ready")
async def ready(request: Request, kafka: Kafka, pool: Database) -> JSONResponse:
    """503 when calls should go elsewhere: no database, or most events fail, as after a bad deploy.

    Kafka may be unreachable: reports are still accepted.
    """
    halted = kafka.halted
    answers = await _database_answers(pool)
    return _response(request, answers and not halted, halted=halted, lag=kafka.lag())


@router.get("/started")
async def started(request: Request, kafka: Kafka) -> JSONResponse:
    """503 until every subscription has its share of partitions. `processed_offsets` are by partition."""
    waiting = kafka.unassigned()
    offsets = kafka.health.processed_offsets() if kafka.health else {}
    return _response(request, not waiting, waiting_for=waiting, lag=kafka.lag(), processed_offsets=offsets)


def _response(request: Request, healthy: bool, **details: Any) -> JSONResponse:
    body = {"service": request.app.state.service.name, "status": "ok" if healthy else "failing", **details}
    return JSONResponse(body, 200 if healthy else 503)


async def _database_answers(pool: Pool) -> bool:
    try:
        async with asyncio.timeout(2):
            await pool.execute("SELECT 1")
    except Exception:
        return False
    return True
