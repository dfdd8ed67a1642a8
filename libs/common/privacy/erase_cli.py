"""Erases a customer in every service: `python -m libs.common.privacy.erase_cli --customer C-1`.

Publishes one request and waits for the confirmation of each service. `--drop-read` then deletes records from the topics
with personal data before their retention ends, as far as every consumer group has read them; of all customers, because
Kafka only deletes from the beginning of a partition. Topics that no group reads are left unchanged.
`libs.common.privacy.verify_erasure` finds remaining data.
"""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Any
from uuid import UUID, uuid4

import typer
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, RecordsToDelete

from libs.common.config.kafka_security import KafkaSecurity
from libs.common.config.settings import load
from libs.common.events.customers import CustomerErased, CustomerErasureRequested
from libs.common.events.registry import UndecodableError, decode, encode, event_class
from libs.common.events.topics import CUSTOMERS, SERVICES, TOPICS, dead_letter_topic


@dataclass(frozen=True, slots=True)
class KafkaCluster:
    """Address and security options of a Kafka cluster."""

    servers: str
    prefix: str = ""
    security: Mapping[str, Any] | None = None

    @property
    def options(self) -> dict[str, Any]:
        return {"bootstrap_servers": self.servers, **(self.security or {})}


class NotErasedError(Exception):
    """Not every service confirmed the erasure in time; the message names those that did not."""


async def erase(cluster: KafkaCluster, customer_id: str, seconds: float) -> UUID:
    """Request an erasure and wait for all confirmations. Raises `NotErasedError`; a repeated request is harmless."""
    erasure_id = uuid4()
    consumer = AIOKafkaConsumer(**cluster.options, enable_auto_commit=False)
    async with consumer:
        assigned = (await partitions(cluster))[cluster.prefix + CUSTOMERS.name]
        consumer.assign(assigned)
        await consumer.seek_to_end(*assigned)
        await _request(cluster, customer_id, erasure_id)
        missing = set(SERVICES)
        try:
            async with asyncio.timeout(seconds):
                while missing:
                    missing.discard(_confirming_service(await consumer.getone(), erasure_id) or "")
        except TimeoutError:
            waiting = ", ".join(sorted(missing))
            raise NotErasedError(f"not confirmed within {seconds:g} s: {waiting}; they continue later") from None
    return erasure_id


async def _request(cluster: KafkaCluster, customer_id: str, erasure_id: UUID) -> None:
    now = datetime.now(UTC)
    request = CustomerErasureRequested(customer_id=customer_id, erasure_id=erasure_id, requested_at=now)
    event = event_class(CustomerErasureRequested)(
        id=str(erasure_id), source="/erase", type=request.TYPE, subject=customer_id, time=now, data=request
    )
    async with AIOKafkaProducer(**cluster.options, acks="all") as producer:
        await producer.send_and_wait(cluster.prefix + CUSTOMERS.name, encode(event), customer_id.encode())


def _confirming_service(record: Any, erasure_id: UUID) -> str | None:
    """Return the service that confirms this erasure in this record, or None."""
    try:
        payload = decode(record.value or b"").data
    except UndecodableError:
        return None
    return payload.service if isinstance(payload, CustomerErased) and payload.erasure_id == erasure_id else None


async def drop_read(cluster: KafkaCluster) -> dict[str, int]:
    """Delete records that every group has read from the topics with personal data; return the remaining counts."""
    names = [*(topic.name for topic in TOPICS if topic.personal), *map(dead_letter_topic, SERVICES)]
    found = await partitions(cluster)
    admin = AIOKafkaAdminClient(**cluster.options)
    await admin.start()
    try:
        read = await _read_by_all(admin, {cluster.prefix + name for name in names})
        read = {**await _dead_letter_ends(cluster, found), **read}
        if read:
            await admin.delete_records({partition: RecordsToDelete(offset) for partition, offset in read.items()})
    finally:
        await admin.close()
    left = {name: await _count(cluster, found.get(cluster.prefix + name, [])) for name in names}
    return {name: count for name, count in left.items() if count}


async def _read_by_all(admin: AIOKafkaAdminClient, topics: Iterable[str]) -> dict[TopicPartition, int]:
    """Return the lowest committed offset of each partition, of groups with a commit."""
    read: dict[TopicPartition, int] = {}
    for group, *_ in await admin.list_consumer_groups():
        for partition, committed in (await admin.list_consumer_group_offsets(group)).items():
            if partition.topic in topics and committed.offset >= 0:
                read[partition] = min(committed.offset, read.get(partition, committed.offset))
    return read


async def _dead_letter_ends(
    cluster: KafkaCluster, found: Mapping[str, list[TopicPartition]]
) -> dict[TopicPartition, int]:
    """Return the end offsets of the dead-letter topics: the records are in the service's database as well."""
    names = [cluster.prefix + dead_letter_topic(service) for service in SERVICES]
    assigned = [partition for name in names for partition in found.get(name, [])]
    async with AIOKafkaConsumer(**cluster.options, enable_auto_commit=False) as consumer:
        ends: dict[TopicPartition, int] = await consumer.end_offsets(assigned) if assigned else {}
    return ends


async def partitions(cluster: KafkaCluster) -> dict[str, list[TopicPartition]]:
    """Return the partitions of every topic under the prefix, without Kafka's internal topics."""
    admin = AIOKafkaAdminClient(**cluster.options)
    await admin.start()
    try:
        names = [name for name in await admin.list_topics() if name.startswith(cluster.prefix) and name[:2] != "__"]
        described = await admin.describe_topics(names) if names else []
    finally:
        await admin.close()
    return {
        topic["topic"]: [TopicPartition(topic["topic"], each["partition"]) for each in topic["partitions"]]
        for topic in described
    }


async def _count(cluster: KafkaCluster, assigned: Sequence[TopicPartition]) -> int:
    async with AIOKafkaConsumer(**cluster.options, enable_auto_commit=False) as consumer:
        begin, end = await consumer.beginning_offsets(assigned), await consumer.end_offsets(assigned)
        return sum(end[each] - begin[each] for each in assigned)


def main(
    customer: Annotated[str, typer.Option(help="Customer id of the storefront.")],
    bootstrap_servers: Annotated[str, typer.Option(envvar="KAFKA_BOOTSTRAP_SERVERS")],
    prefix: Annotated[str, typer.Option(envvar="KAFKA_TOPIC_PREFIX")] = "",
    seconds: Annotated[float, typer.Option(help="Timeout for the confirmations of the services.")] = 60.0,
    drop: Annotated[bool, typer.Option("--drop-read", help="Delete records that all groups have read.")] = False,
) -> None:
    """Erase a customer in every service. For a secured broker set KAFKA_SECURITY_PROTOCOL and the related variables."""
    cluster = KafkaCluster(bootstrap_servers, prefix, load(KafkaSecurity).kafka_client_options)
    try:
        erasure_id = asyncio.run(erase(cluster, customer, seconds))
    except NotErasedError as error:
        typer.echo(f"{customer}: {error}", err=True)
        raise typer.Exit(1) from None
    typer.echo(f"{customer}: erased by {', '.join(SERVICES)} (erasure {erasure_id})")
    if drop:
        left = asyncio.run(drop_read(cluster))
        remaining = ", ".join(f"{name} {count}" for name, count in left.items())
        typer.echo(f"records not read by every group: {remaining or 'none'}")


if __name__ == "__main__":
    typer.run(main)
