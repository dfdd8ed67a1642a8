"""FastStream configuration for at-least-once delivery. Its defaults would lose events:

- offsets are committed by the `DrainingListener`, after the batch is processed; FastStream's default commits before;
- batches of all topics of a service, in one consumer group, from the earliest offset;
- a parser of our own: a header that is null or not UTF-8 would make FastStream skip the whole batch;
- a `DrainingListener` around the handler: rebalances wait for it, and a leaked `CancelledError` does not end the loop;
- no log line and no injected arguments per message: they cost more than the work.
"""

import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from aiokafka import AIOKafkaProducer, ConsumerRecord
from aiokafka.coordinator.assignors.range import RangePartitionAssignor
from faststream import AckPolicy
from faststream.kafka import KafkaBroker

from libs.common.config.settings import ServiceSettings
from libs.common.events.registry import event_class
from libs.common.events.topics import consumer_group
from libs.common.messaging.dead_letters import text_headers
from libs.common.messaging.long_poll import poll_without_pause
from libs.common.messaging.partitioner import partition_of
from libs.common.messaging.rebalance import DrainingListener, HandleBatch
from libs.common.messaging.subscription import Subscription
from libs.common.telemetry.counters import Counters

if TYPE_CHECKING:
    from faststream.message import StreamMessage

log = logging.getLogger("sakidashi.kafka")  # FastStream adds handlers of its own to loggers under its name
log.setLevel("WARNING")


async def _readable_headers(records: tuple[Any, ...], parse: Callable[[Any], Awaitable[Any]]) -> Any:
    """Parse a batch after replacing headers on which FastStream's parser would fail."""
    return await parse(tuple(record if _is_text(record) else _with_text_headers(record) for record in records))


def _is_text(record: "ConsumerRecord[Any, Any]") -> bool:
    try:
        return all(value is not None and value.decode() is not None for _, value in record.headers)
    except UnicodeDecodeError:
        return False


def _with_text_headers(record: "ConsumerRecord[Any, Any]") -> "ConsumerRecord[Any, Any]":
    return replace(record, headers=[(name, value.encode()) for name, value in text_headers(record.headers).items()])


async def _raw(message: "StreamMessage[Any]") -> list[Any]:
    """Pass raw records on; the consumer decodes each body once with the contract's decoder."""
    return list(message.raw_message)


FETCH_MAX_BYTES = 4 * 1024 * 1024
"""Maximum size of one fetch, which bounds the memory of records that wait in the consumer."""


def new_broker(settings: ServiceSettings, service: str) -> KafkaBroker:
    """Return a consume-only broker; events are published through the outbox and the relay."""
    return KafkaBroker(
        settings.kafka_bootstrap_servers.split(","),
        client_id=f"sakidashi-{service}",
        security=settings.faststream_security(),
        graceful_timeout=25.0,
        metadata_max_age_ms=settings.kafka_metadata_max_age_ms,
        allow_auto_create_topics=False,
        apply_types=False,
        consumer_only=True,
        parser=_readable_headers,
        decoder=_raw,
        log_level=logging.DEBUG,
        logger=log,
        description=f"Sakidashi {service}",
    )


def subscribe(
    broker: KafkaBroker,
    settings: ServiceSettings,
    service: str,
    subscriptions: Sequence[Subscription],
    handle_batch: HandleBatch,
    counters: Counters,
) -> DrainingListener:
    """Subscribe one handler to all topics of a service, in one consumer group.

    Range assignment gives a process the same partition numbers of every topic, so that with one key for all topics one
    process has all facts of that key. The fetch is a long poll: aiokafka runs one at a time per broker.

    Rejected: a consumer per topic. Thirty consumers that poll cost twice the CPU in a system at rest, and partitions of
    a key were spread over the processes.
    """
    prefix = settings.kafka_topic_prefix
    drain = DrainingListener(prefix, handle_batch, counters)
    subscriber = broker.subscriber(
        *(prefix + each.topic for each in subscriptions),
        group_id=consumer_group(service, prefix),
        ack_policy=AckPolicy.MANUAL,
        batch=True,
        max_records=settings.batch_size,
        auto_offset_reset="earliest",
        partition_assignment_strategy=(RangePartitionAssignor,),
        session_timeout_ms=settings.kafka_session_timeout_ms,
        heartbeat_interval_ms=min(3_000, settings.kafka_session_timeout_ms // 3),
        rebalance_timeout_ms=60_000,
        max_poll_interval_ms=settings.kafka_max_poll_interval_ms,
        listener=drain,
        fetch_min_bytes=1,
        fetch_max_wait_ms=settings.kafka_fetch_max_wait_ms,
        fetch_max_bytes=FETCH_MAX_BYTES,
        max_partition_fetch_bytes=2 * 1024 * 1024,
        include_in_schema=False,
    )
    drain.subscriber = subscriber

    async def handle(records: Any) -> None:
        await drain.handle(records)

    subscriber(handle)
    poll_without_pause(subscriber, gather=not any(each.prompt for each in subscriptions))
    return drain


def describe(broker: KafkaBroker, settings: ServiceSettings, service: str, subscription: Subscription) -> None:
    """Add a subscriber that only shows the topic and its payloads in AsyncAPI."""
    subscriber = broker.subscriber(
        settings.kafka_topic_prefix + subscription.topic,
        group_id=consumer_group(service, settings.kafka_topic_prefix),
        ack_policy=AckPolicy.MANUAL,
        batch=True,
        title=f"{subscription.topic}:{service}",
        description=f"{service} consumes: " + ", ".join(payload.TYPE for payload in subscription.payload_types),
    )

    async def handle(records: Any) -> None:
        """Receive nothing: this subscriber is never started."""

    classes: Any = tuple(event_class(payload) for payload in subscription.payload_types)
    handle.__annotations__ = {"records": list[_union(classes)], "return": None}  # type: ignore[misc]
    subscriber(handle)


def _union(classes: tuple[Any, ...]) -> Any:
    union = classes[0]
    for cls in classes[1:]:
        union = union | cls
    return union


def new_producer(settings: ServiceSettings, service: str) -> AIOKafkaProducer:
    """Return the relay's producer: idempotent where the broker supports it, with large batches for pipelined sends."""
    return AIOKafkaProducer(
        bootstrap_servers=settings.kafka_bootstrap_servers,
        client_id=f"sakidashi-{service}-relay",
        acks="all",
        enable_idempotence=settings.kafka_idempotence,
        max_batch_size=512 * 1024,
        max_request_size=1024 * 1024,
        linger_ms=0,
        compression_type="lz4",
        partitioner=partition_of,
        request_timeout_ms=15_000,
        **settings.kafka_client_options,
    )
