"""The common part of all partners: they read topics from the beginning, schedule answers and publish them at their
time.

Schedules are in memory. A restarted partner reads its topics again and republishes everything with the same event ids;
some events are always repeated. `GET /status` reports open work to the clock driver. Partners in one process share a
consumer and a producer: each consumer costs fetches while idle.
"""

import asyncio
import heapq
import random
from collections import defaultdict
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
from libs.common.events.envelope import Payload
from libs.common.events.topics import Topic
from libs.common.messaging.signal import WakeSignal

MAX_SLEEP_SECONDS = 1.0
"""The schedule is looked at this often at least; setting the clock and new entries wake it."""

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
    """One partner: the topics it reads, and a schedule of actions."""

    def __init__(self, name: str, settings: PartnerSettings, reads: Sequence[Topic] = ()) -> None:
        self.name = name
        self.settings = settings
        self.clock = open_clock(settings.clock_file)
        self.details: Callable[[], dict[str, Any]] = dict
        self.routes: list[BaseRoute] = [Route("/status", self._show_status), Route("/health/ready", _ready)]
        self.background_tasks: list[Callable[[], Coroutine[Any, Any, None]]] = []
        self.topics = [settings.kafka_topic_prefix + topic.name for topic in reads]
        self._schedule: list[_ScheduledAction] = []
        self._numbers = count()
        self._busy = 0
        self._unsent = 0
        self._wake = WakeSignal()
        self._offsets: dict[str, dict[int, int]] = {}
        self._keys: dict[str, bytes] = {}
        self._producer: AIOKafkaProducer | None = None

    def rng(self, *cause: object) -> random.Random:
        """Random numbers that depend only on the seed, the partner and the cause."""
        return random.Random(":".join(map(str, (self.settings.seed, self.name, *cause))))

    def is_quiet(self, moment: datetime) -> bool:
        """Return true for a time at which customers and staff do nothing any more."""
        return self.settings.quiet_from is not None and moment >= self.settings.quiet_from

    def schedule(self, moment: datetime, action: Action) -> None:
        heapq.heappush(self._schedule, _ScheduledAction(moment, next(self._numbers), action))
        self._wake()

    def schedule_event(
        self, planned: ScheduledEvent, trace: Mapping[str, str] | None = None, cancelled: Condition = _never
    ) -> None:
        """Publish this event at its time unless it is cancelled by then; some are published twice."""

        async def publish() -> None:
            if not cancelled():
                await self.publish(planned, trace)

        self.schedule(planned.at, publish)
        rng = self.rng("repeat", planned.name, planned.payload.subject)
        if rng.random() < self.settings.repeat_share:
            repeat_at = planned.at + timedelta(minutes=rng.randint(1, 240))
            self.schedule(repeat_at, publish)

    async def publish(self, planned: ScheduledEvent, trace: Mapping[str, str] | None = None) -> None:
        assert self._producer is not None, "run() opens the producer first"
        self._unsent += 1
        sent = await self._producer.send(
            self.settings.kafka_topic_prefix + planned.payload.TOPIC.name,
            key=self._key_of(planned.payload),
            value=encode_event(self.name, planned),
            headers=[(name, value.encode()) for name, value in (trace or {}).items()],
        )
        sent.add_done_callback(self._acknowledged)

    def _key_of(self, payload: Payload) -> bytes:
        """The key of the record that is answered, or of an earlier event about the same subject, if it names one."""
        if not payload.subject:
            return payload.key.encode()
        known = self._keys.get(payload.subject)
        return known if known is not None else self._keys.setdefault(payload.subject, payload.key.encode())

    def keep_key(self, received: ReceivedEvent) -> None:
        """Keep the key of a received record for its answers."""
        if received.key and received.event.subject:
            self._keys[received.event.subject] = received.key

    def _acknowledged(self, sent: asyncio.Future[Any]) -> None:
        self._unsent -= 1
        sent.result()

    def handled(self, topic: str, partition: int, offset: int) -> None:
        """Record that everything before `offset` was handled."""
        self._offsets.setdefault(topic, {})[partition] = offset

    async def act(self, producer: AIOKafkaProducer) -> None:
        """Run due actions in order until cancelled; events of one round are flushed together."""
        self._producer = producer
        self.clock.on_set(self._wake)
        while True:
            while self._schedule and self._schedule[0].at <= self.clock.now():
                self._busy = 1
                await heapq.heappop(self._schedule).action()
            if self._busy:
                await producer.flush()
                self._busy = 0
            await self._wake.wait(self._seconds_to_next())

    def _seconds_to_next(self) -> float:
        if not self._schedule:
            return MAX_SLEEP_SECONDS
        left = self.clock.real_seconds(self._schedule[0].at - self.clock.now())
        return min(MAX_SLEEP_SECONDS, max(0.0, left))

    def status(self) -> dict[str, Any]:
        """`backlog` counts due actions and unacknowledged events; `processed` is the offset behind the last handled
        record, by topic and partition.
        """
        due = self._busy + self._unsent + sum(1 for each in self._schedule[:1] if each.at <= self.clock.now())
        next_at = self._schedule[0].at.isoformat() if self._schedule else None
        processed = {topic: self._offsets.get(topic, {}) for topic in self.topics}
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


async def run_partners(settings: PartnerSettings, partners: Sequence[PartnerTask]) -> None:
    """Consume, act, and run `background_tasks` until cancelled or until one of them fails."""
    async with AsyncExitStack() as stack:
        producer = AIOKafkaProducer(bootstrap_servers=settings.kafka_bootstrap_servers, acks="all", linger_ms=0)
        await producer.start()
        stack.push_async_callback(producer.stop)
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(_consume(settings, partners))
            for task in partners:
                tasks.create_task(task.partner.act(producer))
                for loop in task.partner.background_tasks:
                    tasks.create_task(loop())


async def _consume(settings: PartnerSettings, partners: Sequence[PartnerTask]) -> None:
    """Hand every record to the partners that read its topic.

    Without a group: one process, every partition, no rebalance to wait for.
    """
    readers: defaultdict[str, list[PartnerTask]] = defaultdict(list)
    for task in partners:
        for topic in task.partner.topics:
            readers[topic].append(task)
    if not readers:
        return
    consumer: AIOKafkaConsumer[bytes, bytes] = AIOKafkaConsumer(
        *readers,
        bootstrap_servers=settings.kafka_bootstrap_servers,
        auto_offset_reset="earliest",
        fetch_max_wait_ms=settings.kafka_fetch_max_wait_ms,
    )
    await consumer.start()
    try:
        while True:
            for partition, records in (await consumer.getmany(timeout_ms=1_000)).items():
                events = [received for record in records if (received := decode_record(record))]
                for task in readers[partition.topic]:
                    for received in events:
                        task.partner.keep_key(received)
                        task.handle(received)
                    task.partner.handled(partition.topic, partition.partition, records[-1].offset + 1)
    finally:
        await consumer.stop()


async def run_alone(job: PartnerTask) -> None:
    """Run one partner as a process of its own."""
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(run_partners(job.partner.settings, [job]))
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
