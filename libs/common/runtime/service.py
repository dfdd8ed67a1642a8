"""A service: its pool, its shell, its subscriptions and loops, and the HTTP app around them.

Nothing happens before the app's lifespan begins. HTTP answers as soon as Postgres does; Kafka is joined in the
background and tried again until it is there, so that reports are accepted while it is down.
"""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from fastapi import APIRouter, FastAPI
from faststream.kafka import KafkaBroker

from libs.common.config.settings import ServiceSettings
from libs.common.decisions.clock import open_clock
from libs.common.decisions.facts import Facts
from libs.common.events.envelope import Payload
from libs.common.events.registry import AnyEvent
from libs.common.events.topics import Topic
from libs.common.http.problems import Answer, ApiKeyAuth, IdempotencyKey, install_problems
from libs.common.http.request_spans import RequestSpans
from libs.common.messaging import outbox
from libs.common.messaging.broker import new_broker, new_producer, subscribe
from libs.common.messaging.consumer import Consumer
from libs.common.messaging.consumer_health import ConsumerHealth
from libs.common.messaging.dead_letter_replay import Replayer
from libs.common.messaging.decision_runner import Aggregate, DecisionRunner
from libs.common.messaging.relay import Relay
from libs.common.messaging.signal import WakeSignal
from libs.common.messaging.timer_loop import TimerLoop
from libs.common.postgres import retention
from libs.common.postgres.pool import Connection, Pool, create_pool, strip_row_values
from libs.common.postgres.retention import Sweep
from libs.common.runtime.command_batcher import CommandBatcher, Respond
from libs.common.runtime.health import health_routes
from libs.common.runtime.ops_api import ops_routes
from libs.common.telemetry.tracing import Carrier, Tracing

log = logging.getLogger(__name__)

SWEEP_SECONDS = 60.0

_SILENT = ("/health", "/desk", "/c/", "/s/", "/r/", "/v/", "/u/", "/staff/notices/")
"""Requests without a span: asked all the time, or of pages behind signed links and the desk."""

Loop = Callable[[], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Subscription:
    """Which payloads of one topic a service takes, and the aggregate that decides on them."""

    topic: str
    payload_types: tuple[type[Payload], ...]
    aggregate: Aggregate[Any]
    prompt: bool = False


@dataclass(frozen=True, slots=True)
class ServiceTransaction:
    """A transaction of a service's own loop: rows through `conn`, facts through `write`."""

    conn: Connection
    now: datetime
    decisions: DecisionRunner

    async def write(self, payloads: Sequence[Payload], trace: Carrier | None = None) -> None:
        """Put events into the outbox of this transaction, in this order."""
        await outbox.write(self.conn, [self.decisions.outbox_row(payload, trace) for payload in payloads])


class Service:
    """What the `app.py` of each service wires together."""

    def __init__(
        self, name: str, settings: ServiceSettings, *, description: str, publishes: Sequence[type[Payload]] = ()
    ) -> None:
        self.name, self.settings, self.description, self.publishes = name, settings, description, tuple(publishes)
        self.clock = open_clock(settings.clock_file)
        self.tracing = Tracing(name, settings.otel_exporter_otlp_endpoint)
        self.decisions = DecisionRunner(
            name, self.clock, self.tracing, self.tracing.counters, topic_prefix=settings.kafka_topic_prefix
        )
        self.counters = self.decisions.counters
        self.callers = ApiKeyAuth(settings.api_keys)
        self.subscriptions: list[Subscription] = []
        self.consumers: list[Consumer] = []
        self.consumer_health: list[ConsumerHealth] = []
        self.aggregates: dict[str, Aggregate[Any]] = {}
        self.wake_relay = WakeSignal()
        self.joined = False
        self.tasks: dict[str, asyncio.Task[None]] = {}
        self._commands: dict[str, CommandBatcher] = {}
        self._loops: dict[str, Loop] = {}
        self._sweeps = [*retention.common_sweeps(settings.inbox_retention_days, settings.dead_letter_retention_days)]
        self._pool: Pool | None = None

    # --- wiring -------------------------------------------------------------------------------------------------

    def consume(self, aggregate: Aggregate[Any], *takes: type[Payload], promptly: Collection[Topic] = ()) -> None:
        """Take these payloads for this aggregate; the topics follow from the payloads.

        Those in `promptly` are read at once, for somebody waits for the answer; the others in larger batches.
        """
        self.aggregates[aggregate.name] = aggregate
        twice = {payload.TOPIC.name for payload in takes} & {one.topic for one in self.subscriptions}
        if twice:
            raise ValueError(f"{', '.join(twice)}: taken already; two subscriptions of one group would share it")
        for topic in dict.fromkeys(payload.TOPIC.name for payload in takes):
            chosen = tuple(payload for payload in takes if payload.TOPIC.name == topic)
            prompt = any(one.name == topic for one in promptly)
            self.subscriptions.append(Subscription(topic, chosen, aggregate, prompt))

    def run_in_background(self, name: str, loop: Loop) -> None:
        """Run this loop from start to shutdown; it should never end by itself."""
        self._loops[name] = loop

    def add_retention(self, *sweeps: Sweep) -> None:
        """Rows of this service's own that are kept for a time only."""
        self._sweeps.extend(sweeps)

    def require_caller(self, *allowed: str) -> Callable[..., Awaitable[str]]:
        """A dependency: the name of the caller, who must be one of these."""
        return self.callers.require(*allowed)

    # --- use ----------------------------------------------------------------------------------------------------

    @property
    def pool(self) -> Pool:
        if self._pool is None:
            raise RuntimeError(f"{self.name} is not running")
        return self._pool

    def event(self, payload: Payload, *, id: str | None = None, source: str | None = None) -> AnyEvent:
        """Wrap a command into an envelope; the source is this service unless told otherwise."""
        return self.decisions.event(payload, id=id, source=source)

    async def execute(
        self,
        aggregate: Aggregate[Any],
        event: AnyEvent,
        *,
        idempotency: IdempotencyKey | None = None,
        answer: Respond | None = None,
    ) -> Answer:
        """Decide on a command and commit it, together with whatever else arrives at the same time."""
        return await self._commands[aggregate.name].execute(event, answer or _no_content, idempotency)

    @contextlib.asynccontextmanager
    async def transaction(self) -> AsyncIterator[ServiceTransaction]:
        """A transaction that may write events; the relay is woken after COMMIT."""
        async with self.pool.acquire() as conn, conn.transaction():
            yield ServiceTransaction(conn, self.clock.now(), self.decisions)
        self.wake_relay()

    # --- life ---------------------------------------------------------------------------------------------------

    def create_app(self, *routers: APIRouter, uploads: tuple[str, ...] = ()) -> FastAPI:
        """The HTTP app; everything else lives as long as it does. `uploads` are the paths of upload routes, whole."""
        app = FastAPI(
            title=f"Sakidashi {self.name}", description=self.description, version="1", lifespan=self._lifespan
        )
        app.state.service = self
        install_problems(app, uploads)
        for router in (*routers, health_routes(self), ops_routes(self)):
            app.include_router(router)
        if self.tracing.enabled:
            app.add_middleware(RequestSpans, tracing=self.tracing, silent=_SILENT)
        return app

    def broker(self) -> KafkaBroker:
        """A FastStream broker with every subscription; also what AsyncAPI is made from."""
        broker = new_broker(self.settings, self.name)
        self.consumers, self.consumer_health = [], []
        for one in self.subscriptions:
            take = self._consumer(one) if self._pool else _handle_nothing
            reader = subscribe(
                broker,
                self.settings,
                self.name,
                one.topic,
                one.payload_types,
                take,
                prompt=one.prompt,
                counters=self.counters,
            )
            self.consumer_health.append(ConsumerHealth(one.topic, reader))
        return broker

    def _consumer(self, one: Subscription) -> Callable[[Any], Awaitable[None]]:
        consumer = Consumer(self.decisions, self.pool, one.aggregate, frozenset(one.payload_types), self.wake_relay)
        self.consumers.append(consumer)
        return consumer.handle

    @contextlib.asynccontextmanager
    async def _lifespan(self, app: FastAPI) -> AsyncIterator[None]:
        self._pool = await create_pool(
            self.settings.database_url, size=self.settings.pool_size, application_name=self.name
        )
        stop_kafka = asyncio.Event()
        kafka = asyncio.create_task(self._consume_until(stop_kafka), name="consumers")
        self._start_loops()
        try:
            yield
        finally:
            stop_kafka.set()
            for consumer in self.consumers:
                consumer.stopping.set()
            if self.joined:
                await asyncio.wait([kafka], timeout=40)
            await _cancel([kafka, *self.tasks.values()])
            await _close(self._pool)
            self._pool = None
            self.tracing.shutdown()

    def _start_loops(self) -> None:
        for aggregate in self.aggregates.values():
            commands = CommandBatcher(self.decisions, self.pool, aggregate, self.wake_relay, self.settings.batch_size)
            self._commands[aggregate.name] = commands
            self._loops[f"commands of {aggregate.name}"] = commands.run
            timers = TimerLoop(self.decisions, self.pool, aggregate, self.wake_relay)
            self._loops[f"timers of {aggregate.name}"] = timers.run
        relay = Relay(
            self.settings.database_url,
            lambda: new_producer(self.settings, self.name),
            self.wake_relay,
            self.counters,
        )
        self._loops["relay"] = relay.run
        self._loops["replay"] = Replayer(self.decisions, self.pool, self.aggregates, self.wake_relay).run
        self._loops["sweep"] = self._sweep
        self.tasks = {
            name: asyncio.create_task(_keep_running(name, loop), name=name) for name, loop in self._loops.items()
        }

    async def _consume_until(self, stop: asyncio.Event) -> None:
        """Join Kafka, again and again until it works; then stay until told to stop, and drain."""
        while self.subscriptions and not stop.is_set():
            broker = self.broker()
            try:
                await broker.start()
            except Exception as error:
                log.warning("%s cannot join Kafka yet: %s: %s", self.name, type(error).__name__, error)
                await broker.stop()
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(stop.wait(), 2)
                continue
            self.joined = True
            await stop.wait()
            await broker.stop()

    async def _sweep(self) -> None:
        """Forget what nobody can ask for any more, and what is kept for a time only."""
        while True:
            await asyncio.sleep(SWEEP_SECONDS)
            for sweep in self._sweeps:
                now = datetime.now().astimezone() if sweep.uses_wall_clock else self.clock.now()
                if count := await retention.run(self.pool, sweep, now):
                    self.counters.add("forgotten", sweep.name.replace(" ", "_"), count)


async def _keep_running(name: str, loop: Loop) -> None:
    """A loop that fails is started again; only shutdown ends it."""
    while True:
        try:
            await loop()
        except Exception as error:
            strip_row_values(error)
            log.exception("%s failed and starts again", name)
        await asyncio.sleep(1)


async def _cancel(tasks: Sequence[asyncio.Task[None]]) -> None:
    """Cancel until they have ended: on Python 3.11 a cancellation can get lost in a connection that just failed."""
    while pending := [task for task in tasks if not task.done()]:
        for task in pending:
            task.cancel()
        await asyncio.wait(pending, timeout=1)


async def _close(pool: Pool) -> None:
    """Give every connection its chance to end in order, but do not let a hung one hold the shutdown up."""
    try:
        async with asyncio.timeout(5):
            await pool.close()
    except TimeoutError:
        pool.terminate()


async def _handle_nothing(_: Any) -> None:
    """Stands in for the handlers where a broker is only described."""


def _no_content(_: Facts) -> Answer:
    return Answer(200, {})
