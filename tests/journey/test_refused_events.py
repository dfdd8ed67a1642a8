"""Events that nobody can use, of each partner: all their faults are named to the author, and one service keeps them."""

import json
from typing import Any

import pytest
from aiokafka import AIOKafkaProducer

from tests.contracts.reading import sample
from tests.journey.backbone import Backbone

pytestmark = pytest.mark.asyncio(loop_scope="module")


def nonsense(name: str, event_id: str, *, source: str | None = None, **data: Any) -> bytes:
    """Return a sample with other data, written without blanks, as our own events are."""
    event = sample(name, id=event_id, **({"source": source} if source else {}))
    event["data"] |= data
    return json.dumps(event, separators=(",", ":"), ensure_ascii=False).encode()


REFUSED = {
    "only delivery_notify uses its type": (
        "storefront.orders",
        nonsense("order.delayed.v1", "bad-1", order_id="", line_ids=7),
        {"data.order_id", "data.line_ids"},
    ),
    "two faults of a count": (
        "warehouse.events",
        nonsense("item.received.v1", "bad-2", received_at="soon", lines=[]),
        {"data.received_at", "data.lines"},
    ),
    "another author's name": (
        "payment.events",
        nonsense("refund.failed.v1", "bad-3", source="/returns"),
        {"source"},
    ),
    "no type that is known": ("carrier.events", b'{"id":"bad-4","type":"parcel.eaten.v1"}', {"type"}),
}


async def publish(system: Backbone, topic: str, value: bytes, order_id: str) -> None:
    """Write bytes to a topic, in the partition of the customer of this order."""
    async with AIOKafkaProducer(bootstrap_servers=system.kafka) as producer:
        await producer.send_and_wait(system.prefix + topic, value, key=f"customer of {order_id}".encode())


@pytest.mark.parametrize("what", REFUSED)
async def test_all_faults_are_named_and_one_record_is_kept(system: Backbone, what: str) -> None:
    topic, value, faults = REFUSED[what]
    event_id = json.loads(value)["id"]
    order_id = f"after-{event_id}"
    await publish(system, topic, value, order_id)
    answer = await system.wait_for("event.rejected", event_id=event_id)
    assert {fault["field"] for fault in answer["data"]["faults"]} >= faults
    await system.place_order(order_id)  # every service has read on
    kept = [each["topic"] for each in system.events if each.get("id") == event_id and "dead-letters" in each["topic"]]
    assert len(kept) == 1
