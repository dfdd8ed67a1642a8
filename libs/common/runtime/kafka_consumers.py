"""Kafka side of a service: its subscriptions, their consumers, and the loop that keeps them joined.

HTTP is served while Kafka is unreachable, so joining runs in the background and is retried until it succeeds.
"""

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Any

from faststream.kafka import KafkaBroker

from libs.common.config.settings import ServiceSettings
from libs.common.events.envelope import Payload
from libs.common.events.topics import Topic
from libs.common.messaging.broker import new_broker, subscribe
from libs.common.messaging.consumer import Consumer
from libs.common.messaging.consumer_health import ConsumerHealth
from libs.common.messaging.decision_runner import Aggregate, DecisionRunner
from libs.common.messaging.signal import WakeSignal
from libs.common.postgres.pool import Pool

log = logging.getLogger(__name__)

RETRY_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class Subscription:
    """One topic, the payload types consumed from it, and the aggregate that decides on them.

    `prompt`: fetched without batching delay.
    """

    topic: str
    payload_types: tuple[type[Payload], ...]
    aggregate: Aggregate[Any]
    prompt: bool = False


class KafkaConsumers:
    """All consumers of one service; `consumers` and `health` are in the order of `subscriptions`."""

    def __init__(
        self, service: str, settings: ServiceSettings, decisions: DecisionRunner, wake_relay: WakeSignal
    ) -> None:
        self._service, self._settings, self._decisions, self._wake_relay = service, settings, decisions, wake_relay
        self.subscriptions: list[Subscription] = []
        self.consumers: list[Consumer] = []
        self.health: list[ConsumerHealth] = []
        self.joined = False
        self._stop = asyncio.Event()

    def subscribe(
        self, aggregate: Aggregate[Any], payload_types: Sequence[type[Payload]], promptly: Collection[Topic]
    ) -> None:
        """Add one subscription per topic of these payload types. Raises `ValueError` for a topic subscribed before."""
        twice = {payload.TOPIC.name for payload in payload_types} & {each.topic for each in self.subscriptions}
        if twice:
            raise ValueError(f"{', '.join(twice)}: subscribed twice; two subscriptions in one group split the topic")
        for topic in dict.fromkeys(payload.TOPIC.name for payload in payload_types):
            chosen = tuple(payload for payload in payload_types if payload.TOPIC.name == topic)
            prompt = any(each.name == topic for each in promptly)
            self.subscriptions.append(Subscription(topic, chosen, aggregate, prompt))

    def lag(self) -> dict[str, int]:
        """Return the unread records by topic."""
        return {consumer.topic: consumer.lag() for consumer in self.health}

    def broker(self, pool: Pool | None = None) -> KafkaBroker:
        """Return a FastStream broker with every subscription. Without a pool it only describes them, for AsyncAPI."""
        broker = new_broker(self._settings, self._service)
        self.consumers, self.health = [], []
        for each in self.subscriptions:
            listener = subscribe(
                broker,
                self._settings,
                self._service,
                each.topic,
                each.payload_types,
                self._handler(each, pool) if pool else _discard,
                prompt=each.prompt,
                counters=self._decisions.counters,
            )
            self.health.append(ConsumerHealth(each.topic, listener))
        return broker

    def _handler(self, subscription: Subscription, pool: Pool) -> Callable[[Any], Awaitable[None]]:
        consumer = Consumer(
            self._decisions,
            pool,
            subscription.aggregate,
            frozenset(subscription.payload_types),
            self._wake_relay,
        )
        self.consumers.append(consumer)
        return consumer.handle

    async def run(self, pool: Pool) -> None:
        """Join Kafka, retrying until it succeeds; consume until `stop`, then drain."""
        while self.subscriptions and not self._stop.is_set():
            broker = self.broker(pool)
            try:
                await broker.start()
            except Exception as error:
                log.warning("failed to join Kafka error=%s: %s", type(error).__name__, error)
                await broker.stop()
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._stop.wait(), RETRY_SECONDS)
                continue
            self.joined = True
            await self._stop.wait()
            await broker.stop()

    def stop(self) -> None:
        """Make `run` drain and return; a batch that waits for a retry is given back."""
        self._stop.set()
        for consumer in self.consumers:
            consumer.stopping.set()


async def _discard(_: Any) -> None:
    """Handler of a broker that only describes its subscriptions."""
