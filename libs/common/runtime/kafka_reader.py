"""Kafka side of a service: its subscriptions, the consumer that reads them, and the loop that keeps it joined.

HTTP is served while Kafka is unreachable, so joining runs in the background and is retried until it succeeds.
"""

import asyncio
import contextlib
import logging
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from aiokafka import TopicPartition
from faststream.kafka import KafkaBroker

from libs.common.config.settings import ServiceSettings
from libs.common.events.envelope import Payload
from libs.common.events.topics import Topic
from libs.common.messaging.broker import describe, new_broker, subscribe
from libs.common.messaging.consumer import Consumer
from libs.common.messaging.consumer_health import ConsumerHealth
from libs.common.messaging.decision_runner import Aggregate, DecisionRunner
from libs.common.messaging.fetch_session import use_fetch_sessions
from libs.common.messaging.signal import WakeSignal
from libs.common.messaging.subscription import Subscription
from libs.common.postgres.pool import Pool

log = logging.getLogger(__name__)

RETRY_SECONDS = 2.0


class KafkaReader:
    """Reads all topics of one service in one consumer group; `consumer` and `health` exist once it joins."""

    def __init__(
        self, service: str, settings: ServiceSettings, decisions: DecisionRunner, wake_relay: WakeSignal
    ) -> None:
        self._service, self._settings, self._decisions, self._wake_relay = service, settings, decisions, wake_relay
        self.subscriptions: list[Subscription] = []
        self.consumer: Consumer | None = None
        self.health: ConsumerHealth | None = None
        self.joined = False
        self._stop = asyncio.Event()

    def subscribe(
        self, aggregate: Aggregate[Any], payload_types: Sequence[type[Payload]], promptly: Collection[Topic]
    ) -> None:
        """Add one subscription per topic of these payload types. Raises `ValueError` for a topic subscribed before."""
        twice = {payload.TOPIC.name for payload in payload_types} & {each.topic for each in self.subscriptions}
        if twice:
            raise ValueError(f"{', '.join(twice)}: subscribed twice; a topic has one aggregate")
        for topic in dict.fromkeys(payload.TOPIC.name for payload in payload_types):
            chosen = tuple(payload for payload in payload_types if payload.TOPIC.name == topic)
            prompt = any(each.name == topic for each in promptly)
            self.subscriptions.append(Subscription(topic, chosen, aggregate, prompt))

    @property
    def topics(self) -> list[str]:
        return [each.topic for each in self.subscriptions]

    @property
    def halted(self) -> list[str]:
        """Topics that are not processed, because most of their records failed."""
        return sorted(self.consumer.halted) if self.consumer else []

    def lag(self) -> dict[str, int]:
        """Return the unread records by topic."""
        return self.health.lag() if self.health else {}

    def positions(self) -> dict[TopicPartition, tuple[int, int]]:
        """Return by assigned partition the next offset to process and the next one to be written."""
        return self.health.positions() if self.health else {}

    def consumed(self) -> dict[str, int]:
        """Return the processed records by topic, since the consumer joined."""
        return self._by_topic(self.health.listener.consumed) if self.health else {}

    def late(self) -> dict[str, int]:
        """Return how many of them were processed late, by topic."""
        return self._by_topic(self.health.listener.late) if self.health else {}

    def _by_topic(self, counts: Mapping[str, int]) -> dict[str, int]:
        return {self.unprefixed(topic): count for topic, count in dict(counts).items()}

    def unprefixed(self, topic: str) -> str:
        """Return the name of a topic without the prefix of this deployment."""
        return topic.removeprefix(self._settings.kafka_topic_prefix)

    def unassigned(self) -> list[str]:
        """Return the topics of which this process does not know its share yet."""
        return self.health.unassigned() if self.health else self.topics

    def described(self) -> KafkaBroker:
        """Return a FastStream broker that describes every subscription, for AsyncAPI."""
        broker = new_broker(self._settings, self._service)
        for each in self.subscriptions:
            describe(broker, self._settings, self._service, each)
        return broker

    def broker(self, pool: Pool) -> KafkaBroker:
        """Return a FastStream broker with one subscriber for all topics."""
        broker = new_broker(self._settings, self._service)
        consumer = Consumer(self._decisions, pool, self.subscriptions, self._wake_relay)
        listener = subscribe(
            broker, self._settings, self._service, self.subscriptions, consumer.handle, self._decisions.counters
        )
        self.consumer, self.health = consumer, ConsumerHealth(self.topics, listener)
        return broker

    async def run(self, pool: Pool) -> None:
        """Join Kafka, retrying until it succeeds; consume until `stop`, then drain."""
        while self.subscriptions and not self._stop.is_set():
            broker = self.broker(pool)
            try:
                await broker.start()
                if self.health:
                    use_fetch_sessions(self.health.listener.consumer)
            except asyncio.CancelledError:  # a service that stops while it joins
                await broker.stop()
                raise
            except Exception as error:
                log.warning("failed to join Kafka error=%s: %s", type(error).__name__, error)
                await broker.stop()
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._stop.wait(), RETRY_SECONDS)
                continue
            self.joined = True
            await self._stop.wait()
            if self.health:
                await self.health.listener.close()
            await broker.stop()

    def stop(self) -> None:
        """Make `run` drain and return; a batch that waits for a retry is given back."""
        self._stop.set()
        if self.consumer:
            self.consumer.stopping.set()
