"""Warehouse, courier and payment provider of the benchmark in one process; each answers at once.

Answers that depend on another event wait for it on `issues`, where order is certain: delivery follows the shipment,
receipt follows the collection. Only the needed fields are decoded; the trace is passed on.
"""

import asyncio
import json
import os
import signal
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import uvloop
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

from libs.common.events.carrier import CollectionRequested
from libs.common.events.envelope import TRACE_HEADERS
from libs.common.events.issues import IssueCollected, IssueReplacementShipped
from libs.common.events.payment import RefundRequested
from libs.common.events.topics import CARRIER_ORDERS, ISSUES, PAYMENT_ORDERS, WAREHOUSE_ORDERS
from libs.common.events.warehouse import ReplacementOrdered
from libs.common.messaging.partitions import partitions_of
from tests.bench.answers import BOOKED, COLLECTED, CONFIRMED, DELIVERED, INSPECTED, PAID, RECEIVED, SHIPPED, format_time

ANSWERED_TOPICS = (WAREHOUSE_ORDERS, CARRIER_ORDERS, PAYMENT_ORDERS, ISSUES)

Answer = tuple[str, bytes]


def subject_of(value: bytes) -> bytes:
    """The subject of an event, without decoding the rest."""
    return value.partition(b'"subject":"')[2].partition(b'"')[0]


def _mark(type_: str) -> bytes:
    return f'"type":"{type_}"'.encode()


_ORDERED, _REQUESTED, _REFUND = (_mark(p.TYPE) for p in (ReplacementOrdered, CollectionRequested, RefundRequested))
_ISSUE_SHIPPED, _ISSUE_COLLECTED = _mark(IssueReplacementShipped.TYPE), _mark(IssueCollected.TYPE)


def answers_to(issue: bytes, value: bytes, now: str) -> Iterator[Answer]:
    """Topic and value of all answers to this record, in order."""
    if _ORDERED in value:
        data = json.loads(value)["data"]
        replacement = data["replacement_id"]
        yield CONFIRMED.render(issue, now, replacement, data["promised_ship_date"])
        yield SHIPPED.render(issue, now, replacement, data["promised_ship_date"])
    elif _ISSUE_SHIPPED in value:
        yield DELIVERED.render(issue, now, json.loads(value)["data"]["replacement_id"])
    elif _REQUESTED in value:
        data = json.loads(value)["data"]
        yield BOOKED.render(issue, now, data["collection_id"], data["earliest_date"])
        yield COLLECTED.render(issue, now, data["collection_id"])
    elif _ISSUE_COLLECTED in value:
        yield RECEIVED.render(issue, now, "received")
        yield INSPECTED.render(issue, now, "inspected")
    elif _REFUND in value:
        data = json.loads(value)["data"]
        yield PAID.render(issue, now, data["refund_id"], amount=data["amount"]["amount"])


async def run(bootstrap_servers: str, prefix: str) -> None:
    """Answer until cancelled. Reads without a group, from the beginning: there is one such process, and one run."""
    consumer = AIOKafkaConsumer(
        bootstrap_servers=bootstrap_servers, auto_offset_reset="earliest", group_id=None, fetch_max_wait_ms=50
    )
    producer = AIOKafkaProducer(bootstrap_servers=bootstrap_servers, acks="all", max_batch_size=512 * 1024)
    await producer.start()
    await consumer.start()
    consumer.assign(await partitions_of(consumer, ANSWERED_TOPICS, prefix))
    try:
        while True:
            await _answer(producer, await consumer.getmany(timeout_ms=1_000, max_records=1_000), prefix)
    finally:
        await consumer.stop()
        await producer.stop()


async def _answer(producer: AIOKafkaProducer, batches: dict[TopicPartition, list[Any]], prefix: str) -> None:
    now = format_time(datetime.now(UTC))
    sent = []
    for records in batches.values():
        for record in records:
            trace = [header for header in record.headers if header[0] in TRACE_HEADERS]
            for topic, value in answers_to(subject_of(record.value), record.value, now):
                sent.append(await producer.send(prefix + topic, value, key=record.key, headers=trace))
    if sent:
        await asyncio.gather(*sent)


async def main() -> None:
    task = asyncio.ensure_future(run(os.environ["KAFKA_BOOTSTRAP_SERVERS"], os.environ.get("KAFKA_TOPIC_PREFIX", "")))
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    await asyncio.wait({task})
    if not task.cancelled():
        task.result()


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(main())
