"""Erases a customer everywhere: `python -m libs.common.privacy.erase_cli --customer C-1`.

Asks every service by one event and waits until each has said that it is done. `--drop-read` then deletes from the
topics with personal data what every consumer group has read, rather than leave it to retention: of all customers, for
Kafka deletes from the beginning of a partition only. What a group has not read yet stays, and a topic that no group
reads stays as it is: nobody is told too little. What is left, `libs.common.privacy.verify_erasure` finds.
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
class Cluster:
    """Where Kafka is, and how to reach it."""

    servers: str
    prefix: str = ""
    security: Mapping[str, Any] | None = None

    @property
    def options(self) -> dict[str, Any]:
        return {"bootstrap_servers": self.servers, **(self.security or {})}


class NotErasedError(Exception):
    """Not every service has said in time that it is done; the message names those that have not."""


async def erase(cluster: Cluster, customer_id: str, seconds: float) -> UUID:
    """Ask, and wait for the answer of every service. Raises `NotErasedError`; asking again is harmless."""
    erasure_id = uuid4()
    consumer = AIOKafkaConsumer(**cluster.options, enable_auto_commit=False)
    async with consumer:
        places = [TopicPartition(cluster.prefix + CUSTOMERS.name, n) for n in range(CUSTOMERS.partitions)]
        consumer.assign(places)
        await consumer.seek_to_end(*places)
        await _request(cluster, customer_id, erasure_id)
        missing = set(SERVICES)
        try:
            async with asyncio.timeout(seconds):
                while missing:
                    missing.discard(_answer(await consumer.getone(), erasure_id) or "")
        except TimeoutError:
            waits = ", ".join(sorted(missing))
            raise NotErasedError(f"after {seconds:g} s not done by: {waits}; they go on when they can") from None
    return erasure_id


async def _request(cluster: Cluster, customer_id: str, erasure_id: UUID) -> None:
    now = datetime.now(UTC)
    asked = CustomerErasureRequested(customer_id=customer_id, erasure_id=erasure_id, requested_at=now)
    event = event_class(CustomerErasureRequested)(
        id=str(erasure_id), source="/erase", type=asked.TYPE, subject=customer_id, time=now, data=asked
    )
    async with AIOKafkaProducer(**cluster.options, acks="all") as producer:
        await producer.send_and_wait(cluster.prefix + CUSTOMERS.name, encode(event), customer_id.encode())


def _answer(record: Any, erasure_id: UUID) -> str | None:
    """The service that has done this erasure, by this record."""
    try:
        told = decode(record.value or b"").data
    except UndecodableError:
        return None
    return told.service if isinstance(told, CustomerErased) and told.erasure_id == erasure_id else None


async def drop_read(cluster: Cluster) -> dict[str, int]:
    """Delete what every group has read of the topics with personal data; gives how many records of each are left."""
    names = [*(topic.name for topic in TOPICS if topic.personal), *map(dead_letter_topic, SERVICES)]
    found = await partitions(cluster)
    admin = AIOKafkaAdminClient(**cluster.options)
    await admin.start()
    try:
        read = await _read_by_all(admin, {cluster.prefix + name for name in names})
        read = {**await _dead_letter_topics(cluster, found), **read}
        if read:
            await admin.delete_records({place: RecordsToDelete(offset) for place, offset in read.items()})
    finally:
        await admin.close()
    left = {name: await _count(cluster, found.get(cluster.prefix + name, [])) for name in names}
    return {name: count for name, count in left.items() if count}


async def _read_by_all(admin: AIOKafkaAdminClient, topics: Iterable[str]) -> dict[TopicPartition, int]:
    """Up to where every group has read that has read anything of a partition."""
    read: dict[TopicPartition, int] = {}
    for group, *_ in await admin.list_consumer_groups():
        for place, told in (await admin.list_consumer_group_offsets(group)).items():
            if place.topic in topics and told.offset >= 0:
                read[place] = min(told.offset, read.get(place, told.offset))
    return read


async def _dead_letter_topics(cluster: Cluster, found: Mapping[str, list[TopicPartition]]) -> dict[TopicPartition, int]:
    """The ends of the topics of dead letters: nobody need read them, the records lie in the service's database."""
    places = [place for service in SERVICES for place in found.get(cluster.prefix + dead_letter_topic(service), [])]
    async with AIOKafkaConsumer(**cluster.options, enable_auto_commit=False) as consumer:
        ends: dict[TopicPartition, int] = await consumer.end_offsets(places) if places else {}
    return ends


async def partitions(cluster: Cluster) -> dict[str, list[TopicPartition]]:
    """Those of every topic under the prefix, by topic; topics of Kafka's own are left out."""
    admin = AIOKafkaAdminClient(**cluster.options)
    await admin.start()
    try:
        names = [name for name in await admin.list_topics() if name.startswith(cluster.prefix) and name[:2] != "__"]
        told = await admin.describe_topics(names) if names else []
    finally:
        await admin.close()
    return {
        one["topic"]: [TopicPartition(one["topic"], part["partition"]) for part in one["partitions"]] for one in told
    }


def _positions(told: Mapping[str, Any]) -> list[TopicPartition]:
    return [TopicPartition(told["topic"], part["partition"]) for part in told["partitions"]]


async def _count(cluster: Cluster, places: Sequence[TopicPartition]) -> int:
    async with AIOKafkaConsumer(**cluster.options, enable_auto_commit=False) as consumer:
        begin, end = await consumer.beginning_offsets(places), await consumer.end_offsets(places)
        return sum(end[place] - begin[place] for place in places)


def main(
    customer: Annotated[str, typer.Option(help="The storefront's id of the customer.")],
    bootstrap_servers: Annotated[str, typer.Option(envvar="KAFKA_BOOTSTRAP_SERVERS")],
    prefix: Annotated[str, typer.Option(envvar="KAFKA_TOPIC_PREFIX")] = "",
    seconds: Annotated[float, typer.Option(help="How long to wait for the services.")] = 60.0,
    drop: Annotated[bool, typer.Option("--drop-read", help="Do not leave it to retention what all have read.")] = False,
) -> None:
    """Erase a customer in every service. KAFKA_SECURITY_PROTOCOL and so on say how to reach a secured broker."""
    cluster = Cluster(bootstrap_servers, prefix, load(KafkaSecurity).kafka_client_options)
    try:
        erasure_id = asyncio.run(erase(cluster, customer, seconds))
    except NotErasedError as error:
        typer.echo(f"{customer}: {error}", err=True)
        raise typer.Exit(1) from None
    typer.echo(f"{customer}: erased by {', '.join(SERVICES)} (erasure {erasure_id})")
    if drop:
        left = asyncio.run(drop_read(cluster))
        rest = ", ".join(f"{name} {count}" for name, count in left.items())
        typer.echo(f"records left that not every group has read: {rest or 'none'}")


if __name__ == "__main__":
    typer.run(main)
