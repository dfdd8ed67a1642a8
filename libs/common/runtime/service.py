"""A service: pool, decision runner, Kafka reader and background loops, with the HTTP app around them.

Everything starts with the app's lifespan. HTTP is served as soon as the pool exists, also while Kafka is unreachable.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar

from fastapi import APIRouter, FastAPI
from faststream.kafka import KafkaBroker

from libs.common import __version__
from libs.common.config.settings import ServiceSettings
from libs.common.decisions.clock import open_clock
from libs.common.decisions.facts import Facts
from libs.common.events.anomalies import AnomalyDetected
from libs.common.events.envelope import Payload
from libs.common.events.json_text import well_formed
from libs.common.events.registry import AnyEvent
from libs.common.events.topics import Topic
from libs.common.http import idempotency
from libs.common.http.api_keys import ApiKeyAuth
from libs.common.http.body_limit import BodyLimitMiddleware
from libs.common.http.examples import add_examples
from libs.common.http.idempotency import IdempotencyKey
from libs.common.http.problems import Answer, install_problems
from libs.common.http.request_metrics import RequestMetrics
from libs.common.messaging import outbox
from libs.common.messaging.broker import new_producer
from libs.common.messaging.calendar_changes import schedule_review_of_dates
from libs.common.messaging.dead_letter_replay import Replayer
from libs.common.messaging.decision_runner import Aggregate, DecisionRunner
from libs.common.messaging.relay import Relay
from libs.common.messaging.signal import WakeSignal
from libs.common.messaging.subscription import Subscription
from libs.common.messaging.timer_loop import TimerLoop
from libs.common.postgres import retention
from libs.common.postgres.column_keys import configured_keys
from libs.common.postgres.key_register import register_when_reachable
from libs.common.postgres.pool import Connection, Pool, create_pool, is_transient
from libs.common.postgres.retention import Sweep
from libs.common.runtime import health, metrics_api, ops_api
from libs.common.runtime.background_loops import BackgroundLoops, Loop, cancel
from libs.common.runtime.command_batcher import MAX_ATTEMPTS, Besides, CommandBatcher, Respond, retry_pause, unavailable
from libs.common.runtime.kafka_reader import KafkaReader
from libs.common.runtime.service_metrics import ServiceMetrics
from libs.common.runtime.warm_up import Preparation
from libs.common.telemetry.request_spans import RequestSpans
from libs.common.telemetry.trace_context import Carrier
from libs.common.telemetry.tracing import Tracing
from libs.common.web.api_docs import api_docs_routes
from libs.common.web.entry_page import entry_routes

T = TypeVar("T")

SWEEP_SECONDS = 60.0
_UNTRACED = (health.router.prefix, metrics_api.PATH)
DRAIN_SECONDS = 40.0
"""Maximum time for running batches to finish at shutdown."""


@dataclass(frozen=True, slots=True)
class ServiceTransaction:
    """A transaction of a background loop: rows through `conn`, events through `write`."""

    conn: Connection
    now: datetime
    decisions: DecisionRunner

    written: list[Payload] = field(default_factory=list)

    async def write(self, payloads: Sequence[Payload], trace: Carrier | None = None) -> None:
        """Write events to the outbox in this transaction, in this order."""
        await outbox.write(self.conn, [self.decisions.outbox_row(payload, trace) for payload in payloads])
        self.written.extend(payloads)


class Service:
    """Composition root of one service, used by its `app.py`."""

    def __init__(
        self, name: str, settings: ServiceSettings, *, description: str, publishes: Sequence[type[Payload]] = ()
    ) -> None:
        self.name, self.settings, self.description = name, settings, description
        self.publishes: tuple[type[Payload], ...] = (*publishes, AnomalyDetected)
        self.clock = open_clock(settings.clock_file)
        self.tracing = Tracing(name, settings.otel_exporter_otlp_endpoint)
        self.metrics = ServiceMetrics(name, settings, self.clock)
        self.counters = self.metrics.counters
        self.decisions = DecisionRunner(
            name,
            self.clock,
            self.tracing,
            self.counters,
            topic_prefix=settings.kafka_topic_prefix,
            metrics=self.metrics.decisions,
        )
        self.column_keys = configured_keys(settings)
        self.callers = ApiKeyAuth(settings.api_keys)
        self.aggregates: dict[str, Aggregate[Any]] = {}
        self.wake_relay = WakeSignal()
        self.kafka = KafkaReader(name, settings, self.decisions, self.wake_relay)
        self.metrics.observe_consumer(self.kafka)
        self.loops = BackgroundLoops()
        self.commands: dict[str, CommandBatcher] = {}
        self._sweeps = [*retention.common_sweeps(settings.inbox_retention_days, settings.dead_letter_retention_days)]
        self.preparations: list[Preparation] = []
        self._starts: list[Callable[[Connection], Awaitable[None]]] = []
        self._pool: Pool | None = None

    # --- wiring -------------------------------------------------------------------------------------------------

    def add_aggregate(
        self, aggregate: Aggregate[Any], *payload_types: type[Payload], promptly: Collection[Topic] = ()
    ) -> None:
        """Subscribe an aggregate to these payload types; the topics follow from the types.

        Records of topics in `promptly` are decided before others, for steps that a customer or a caller waits for.
        """
        self.aggregates[aggregate.name] = aggregate
        self.kafka.subscribe(aggregate, payload_types, promptly)

    def run_in_background(self, name: str, loop: Loop) -> None:
        """Run this loop from start to shutdown; it is restarted when it fails or returns."""
        self.loops.add(name, loop)

    def prepare(self, *preparations: Preparation) -> None:
        """Do this work before the process serves, and not at the first event (see `warm_up`)."""
        self.preparations.extend(preparations)

    def at_start(self, work: Callable[[Connection], Awaitable[None]]) -> None:
        """Do this work on the database at each start, before anything is served; it must be idempotent."""
        self._starts.append(work)

    def review_dates_on_change(self, aggregate: str, fingerprint: str, *watched: str) -> None:
        """Fire a timer for each state with one of the watched timers, once per change of the calendar file."""

        async def review(conn: Connection) -> None:
            await schedule_review_of_dates(conn, aggregate, fingerprint, watched, self.clock.now())

        self.at_start(review)

    def add_retention(self, *sweeps: Sweep) -> None:
        """Add retention sweeps for the service's own tables."""
        self._sweeps.extend(sweeps)

    # --- use ----------------------------------------------------------------------------------------------------

    @property
    def pool(self) -> Pool:
        if self._pool is None:
            raise RuntimeError(f"{self.name} is not running")
        return self._pool

    @property
    def subscriptions(self) -> list[Subscription]:
        return self.kafka.subscriptions

    def event(self, payload: Payload, *, id: str | None = None, source: str | None = None) -> AnyEvent:
        """Wrap a command into an envelope; the default source is this service."""
        return self.decisions.event(payload, id=id, source=source)

    async def execute(
        self,
        aggregate: Aggregate[Any],
        event: AnyEvent,
        *,
        idempotency: IdempotencyKey | None = None,
        answer: Respond | None = None,
        besides: Besides | None = None,
    ) -> Answer:
        """Decide on a command and commit it in one batch with other waiting commands, and what `besides` writes."""
        return await self.commands[aggregate.name].execute(event, answer or _no_content, idempotency, besides)

    async def transact(self, work: Callable[[ServiceTransaction], Awaitable[T]]) -> T:
        """Run the work of a call in a transaction, again after a transient error.

        For calls that are no command of an aggregate. Raises `Problem` 503 when all attempts failed.
        """
        for attempt in range(MAX_ATTEMPTS):
            try:
                async with self.transaction() as tx:
                    return await work(tx)
            except Exception as error:
                if not is_transient(error):
                    raise
            await asyncio.sleep(retry_pause(attempt))
        raise unavailable()

    async def answer_once(self, key: IdempotencyKey, work: Callable[[ServiceTransaction], Awaitable[Answer]]) -> Answer:
        """Run the work of a call like `transact` and store its answer under the key, or replay the first answer.

        Raises `Problem` 409, 422 or 503.
        """

        async def once(tx: ServiceTransaction) -> Answer:
            return await idempotency.answer_once(tx.conn, key, lambda: work(tx))

        return await self.transact(once)

    @contextlib.asynccontextmanager
    async def transaction(self) -> AsyncIterator[ServiceTransaction]:
        """Open a transaction that may write events; the relay is signalled after COMMIT."""
        async with self.pool.acquire() as conn, conn.transaction():
            yield (tx := ServiceTransaction(conn, self.clock.now(), self.decisions))
        self.wake_relay()
        self.decisions.committed([tx.written])

    # --- lifecycle ----------------------------------------------------------------------------------------------

    def create_app(
        self,
        *routers: APIRouter,
        uploads: tuple[str, ...] = (),
        signed: tuple[str, ...] = (),
        untraced: tuple[str, ...] = (),
        pages: Mapping[str, str] | None = None,
        examples: Path | None = None,
    ) -> FastAPI:
        """Return the HTTP app, whose lifespan starts and stops everything else.

        `uploads` are the full path templates of upload routes, `signed` the paths whose bodies are verified, `untraced`
        the path prefixes of requests without a span, `pages` the pages for people that `GET /` links to, `examples` the
        file with examples of its routes.
        """
        app = FastAPI(
            title=f"Sakidashi {self.name}",
            description=self.description,
            version=__version__,
            docs_url=None,
            redoc_url=None,
            swagger_ui_oauth2_redirect_url=None,
            lifespan=self._lifespan,
        )
        app.state.service = self
        app.state.api_keys = self.callers
        app.add_middleware(BodyLimitMiddleware, repair=well_formed, uploads=uploads, signed=signed)
        install_problems(app)
        common = (health.router, ops_api.router, metrics_api.router, api_docs_routes(), entry_routes(pages or {}))
        for router in (*routers, *common):
            app.include_router(router)
        add_examples(app, *[examples] if examples else [])
        if self.tracing.enabled:
            app.add_middleware(RequestSpans, tracing=self.tracing, untraced=(*_UNTRACED, *untraced))
        app.add_middleware(RequestMetrics, duration=self.metrics.requests)
        return app

    def broker(self) -> KafkaBroker:
        """Return a FastStream broker that describes every subscription, for AsyncAPI."""
        return self.kafka.described()

    @contextlib.asynccontextmanager
    async def _lifespan(self, app: FastAPI) -> AsyncIterator[None]:
        self._pool = await create_pool(
            self.settings.database_url,
            size=self.settings.pool_size,
            application_name=self.name,
            connection_class=self.column_keys.connection_class,
            acquired=self.metrics.connection_wait.record,
        )
        await register_when_reachable(self._pool, self.column_keys)
        for work in self._starts:
            async with self._pool.acquire() as conn:
                await work(conn)
        kafka = asyncio.create_task(self.kafka.run(self._pool), name="reader")
        self._add_common_loops(self._pool)
        self.loops.start()
        try:
            yield
        finally:
            self.kafka.stop()
            if self.kafka.joined:
                await asyncio.wait([kafka], timeout=DRAIN_SECONDS)
            await cancel([kafka])
            await self.loops.cancel()
            await _close(self._pool)
            self._pool = None
            self.tracing.shutdown()
            self.metrics.shutdown()

    def _add_common_loops(self, pool: Pool) -> None:
        for aggregate in self.aggregates.values():
            commands = CommandBatcher(self.decisions, pool, aggregate, self.wake_relay, self.settings.batch_size)
            self.commands[aggregate.name] = commands
            self.loops.add(f"commands of {aggregate.name}", commands.run)
            timers = TimerLoop(self.decisions, pool, aggregate, self.wake_relay)
            self.loops.add(f"timers of {aggregate.name}", timers.run)
        relay = Relay(
            self.settings.database_url,
            lambda: new_producer(self.settings, self.name),
            self.wake_relay,
            self.counters,
            self.column_keys,
        )
        self.metrics.relay.relay = relay
        self.loops.add("relay", relay.run)
        self.loops.add("replay", Replayer(self.decisions, pool, self.aggregates, self.wake_relay).run)
        self.loops.add("retention", self._sweep)
        self.metrics.add_loops(self.loops, pool)

    async def _sweep(self) -> None:
        """Delete rows past their retention, once a minute."""
        while True:
            await asyncio.sleep(SWEEP_SECONDS)
            for sweep in self._sweeps:
                now = datetime.now().astimezone() if sweep.uses_wall_clock else self.clock.now()
                if count := await retention.run(self.pool, sweep, now):
                    self.counters.add("retention_deleted", sweep.name.replace(" ", "_"), count)


async def _close(pool: Pool) -> None:
    """Close all connections, but do not let a hung one delay the shutdown."""
    try:
        async with asyncio.timeout(5):
            await pool.close()
    except TimeoutError:
        pool.terminate()


def _no_content(_: Facts) -> Answer:
    return Answer(200, {})
