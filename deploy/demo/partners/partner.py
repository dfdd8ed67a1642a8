"""The common part of all partners: they read topics from the beginning, schedule answers and publish them at their
time.

Schedules are in memory. A restarted partner reads its topics again and republishes everything with the same event ids;
some events are always repeated. `GET /status` reports open work to the clock driver.
"""

import asyncio
import heapq
import random
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import count
from typing import Any, NamedTuple

import httpx
import uvicorn
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import BaseRoute, Route

from deploy.demo.partners.codec import ReceivedEvent, ScheduledEvent, decode_record, encode_event
from deploy.demo.partners.settings import PartnerSettings
from libs.common.decisions.clock import open_clock
from libs.common.events.topics import Topic

TICK_SECONDS = 0.01
NO_KEEPALIVE = httpx.Limits(max_keepalive_connections=0)
"""Rare calls use a new connection each: the server may just be closing a kept one."""
Action = Callable[[], Awaitable[None]]
EventHandler = Callable[[ReceivedEvent], None]
Condition = Callable[[], bool]


def _never() -> bool:
    return False


@dataclass(order=True, slots=True)
class _ScheduledAction:
    at: datetime
    number: int
    action: Action = field(compare=False)


class Partner:
    """One process: a consumer, a producer, a schedule of actions."""

    def __init__(self, name: str, settings: PartnerSettings, reads: Sequence[Topic] = ()) -> None:
        self.name = name
        self.settings = settings
        self.clock = open_clock(settings.clock_file)
        self.details: Callable[[], dict[str, Any]] = dict
        self.routes: list[BaseRoute] = [Route("/status", self._show_status), Route("/health/ready", _ready)]
        self.background_tasks: list[Callable[[], Coroutine[Any, Any, None]]] = []
        self._topics = [settings.kafka_topic_prefix + topic.name for topic in reads]
        self._schedule: list[_ScheduledAction] = []
        self._numbers = count()
        self._busy = 0
        self._unsent = 0
        self._offsets: dict[str, dict[int, int]] = {}
        self._consumer: AIOKafkaConsumer[bytes, bytes] | None = None
        self._producer: AIOKafkaProducer | None = None

    def rng(self, *cause: object) -> random.Random:
        """Random numbers that depend only on the seed, the partner and the cause."""
        return random.Random(":".join(map(str, (self.settings.seed, self.name, *cause))))

    def schedule(self, moment: datetime, action: Action) -> None:
        heapq.heappush(self._schedule, _ScheduledAction(moment, next(self._numbers), action))

    def schedule_event(
        self, planned: ScheduledEvent, trace: Mapping[str, str] | None = None, cancelled: Condition = _never
    ) -> None:
        """Publish this event at its time unless it is cancelled by then; some are published twice."""

        async def publish() -> None:
            if not cancelled():
                await self.publish(planned, trace)

        self.schedule(planned.at, publish)
        rng = self.rng("repeat", planned.name, planned.payload.key)
        if rng.random() < self.settings.repeat_share:
            repeat_at = planned.at + timedelta(minutes=rng.randint(1, 240))
            self.schedule(repeat_at, publish)

    async def publish(self, planned: ScheduledEvent, trace: Mapping[str, str] | None = None) -> None:
        assert self._producer is not None, "run() opens the producer first"
        self._unsent += 1
        sent = await self._producer.send(
            self.settings.kafka_topic_prefix + planned.payload.TOPIC.name,
            key=planned.payload.key.encode(),
            value=encode_event(self.name, planned),
            headers=[(name, value.encode()) for name, value in (trace or {}).items()],
        )
        sent.add_done_callback(self._acknowledged)

    def _acknowledged(self, sent: asyncio.Future[Any]) -> None:
        self._unsent -= 1
        sent.result()

    async def run(self, handle: EventHandler) -> None:
        """Consume, act, and run `background_tasks` until cancelled or until one of them fails."""
        servers = self.settings.kafka_bootstrap_servers
        async with AsyncExitStack() as stack:
            self._producer = AIOKafkaProducer(bootstrap_servers=servers, acks="all", linger_ms=0)
            await self._producer.start()
            stack.push_async_callback(self._producer.stop)
            if self._topics:
                self._consumer = AIOKafkaConsumer(
                    bootstrap_servers=servers,
                    auto_offset_reset="earliest",
                    fetch_max_wait_ms=self.settings.kafka_fetch_max_wait_ms,
                )
                # Without a group: one process per partner, every partition, no rebalance to wait for.
                self._consumer.subscribe(self._topics)
                await self._consumer.start()
                stack.push_async_callback(self._consumer.stop)
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._consume(handle))
                tasks.create_task(self._run_due_actions())
                for loop in self.background_tasks:
                    tasks.create_task(loop())

    async def _consume(self, listen: EventHandler) -> None:
        while self._consumer is not None:
            batches = await self._consumer.getmany(timeout_ms=200)
            for partition, records in batches.items():
                for received in filter(None, map(decode_record, records)):
                    listen(received)
                self._offsets.setdefault(partition.topic, {})[partition.partition] = records[-1].offset + 1

    async def _run_due_actions(self) -> None:
        """Run due actions in order; events of one round are flushed together."""
        while True:
            while self._schedule and self._schedule[0].at <= self.clock.now():
                self._busy = 1
                await heapq.heappop(self._schedule).action()
            if self._busy and self._producer is not None:
                await self._producer.flush()
                self._busy = 0
            await asyncio.sleep(TICK_SECONDS)

    def status(self) -> dict[str, Any]:
        """`backlog` counts due actions and unacknowledged events; `processed` is the offset behind the last handled
        record, by topic and partition.
        """
        due = self._busy + self._unsent + sum(1 for each in self._schedule[:1] if each.at <= self.clock.now())
        next_at = self._schedule[0].at.isoformat() if self._schedule else None
        processed = {topic: self._offsets.get(topic, {}) for topic in self._topics}
        return {"backlog": due, "next_at": next_at, "processed": processed, **self.details()}

    async def _show_status(self, request: Request) -> JSONResponse:
        return JSONResponse(self.status())


class PartnerTask(NamedTuple):
    """A partner and its event handler."""

    partner: Partner
    handle: EventHandler


async def serve(settings: PartnerSettings, routes: Sequence[BaseRoute]) -> None:
    """Serve HTTP until cancelled."""
    config = uvicorn.Config(
        Starlette(routes=routes),
        host=settings.http_host,
        port=settings.http_port,
        log_level="warning",
        access_log=False,
    )
    await uvicorn.Server(config).serve()


async def run_alone(job: PartnerTask) -> None:
    """Run one partner as a process of its own."""
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(job.partner.run(job.handle))
        tasks.create_task(serve(job.partner.settings, job.partner.routes))


async def _ready(request: Request) -> JSONResponse:
    return JSONResponse({"status": "ok"})


def main(run: Callable[[], Awaitable[None]]) -> None:
    """Run a partner's process; Ctrl-C is a normal end."""

    async def started() -> None:
        await run()

    try:
        asyncio.run(started())
    except KeyboardInterrupt:
        return
