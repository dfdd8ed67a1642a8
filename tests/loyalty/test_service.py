"""Loyalty as a running service: events from Kafka, Postgres, events to Kafka, and vesting by the clock."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from datetime import timedelta
from pathlib import Path

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer

from libs.common.decisions.clock import SharedClock
from libs.common.events.registry import AnyEvent, decode, encode
from services.loyalty.app import create_app
from services.loyalty.settings import LoyaltySettings
from services.loyalty.store import queries
from tests.loyalty.histories import CUSTOMER, HOLD, NOON, reopened, resolved
from tests.running import Live, eventually, running

A_MOMENT = timedelta(minutes=1)


@pytest.fixture
def clock(tmp_path: Path) -> SharedClock:
    return SharedClock.create(tmp_path / "clock", NOON, speed=1)


@pytest.fixture
async def live(
    database: Callable[[str], Awaitable[str]], kafka: str, topics: str, clock: SharedClock, tmp_path: Path
) -> AsyncIterator[Live]:
    url = await database("loyalty")
    times = {"clock_file": tmp_path / "clock", "kafka_session_timeout_ms": 4000}
    async with running(create_app, LoyaltySettings, database=url, kafka=kafka, prefix=topics, **times) as live:
        yield live


async def publish(kafka: str, prefix: str, events: Sequence[AnyEvent]) -> None:
    async with AIOKafkaProducer(bootstrap_servers=kafka) as producer:
        for event in events:
            await producer.send_and_wait(f"{prefix}issues", encode(event), key=event.data.key.encode())


async def published(kafka: str, prefix: str, count: int) -> list[AnyEvent]:
    """Return the first events on the topic of loyalty."""
    consumer = AIOKafkaConsumer(f"{prefix}loyalty", bootstrap_servers=kafka, auto_offset_reset="earliest")
    async with consumer, asyncio.timeout(30):
        return [decode((await consumer.getone()).value) for _ in range(count)]


async def balance(live: Live) -> tuple[int, int]:
    async with live.service.pool.acquire() as conn:
        points = await queries.balance_of(conn, CUSTOMER)
        return points["pending"], points["available"]


async def test_a_resolution_on_kafka_becomes_a_grant_on_kafka(live: Live, kafka: str, topics: str) -> None:
    await publish(kafka, topics, [resolved()])
    assert [event.type for event in await published(kafka, topics, 1)] == ["points.granted.v1"]


async def test_an_event_that_is_read_twice_grants_once(live: Live, kafka: str, topics: str) -> None:
    once = resolved()
    await publish(kafka, topics, [once, once, reopened(), reopened(), resolved(resolution=2)])
    await eventually(lambda: _has(live, (549, 0), entries=3), "the second resolution alone stands")


async def test_points_become_final_when_the_hold_is_over(
    live: Live, kafka: str, topics: str, clock: SharedClock
) -> None:
    await publish(kafka, topics, [resolved()])
    await eventually(lambda: _has(live, (549, 0), entries=1), "the grant is pending")
    clock.set_speed((HOLD + A_MOMENT).total_seconds())
    await eventually(lambda: _has(live, (0, 549), entries=2), "the grant is final")
    assert [event.type for event in await published(kafka, topics, 2)] == ["points.granted.v1", "points.vested.v1"]


async def _has(live: Live, expected: tuple[int, int], entries: int) -> bool:
    async with live.service.pool.acquire() as conn:
        count = await conn.fetchval("SELECT count(*) FROM entries")
    return await balance(live) == expected and count == entries
