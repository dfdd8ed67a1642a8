"""Process killed between Kafka and a partner, in both directions: each event arrives, once and in order per key."""

import asyncio
import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import partial
from os import environ
from typing import Any

import httpx
import pytest

from deploy.local.paths import ROOT
from deploy.local.ports import LOOPBACK, free_port
from tests.common import wire
from tests.conftest import MakeDatabase
from tests.partners.service import as_partner, event, partners_toml, payload
from tests.partners.test_kills import KILLED, effects, is_up
from tests.partners.webhook_receiver import PartnerServer, partner_server
from tests.running import eventually

Process = subprocess.Popen[bytes]
COUNT = 18
TO_PARTNER = ["after_inbox", "before_commit", "after_commit", "before_offsets"]
FROM_PARTNER = ["relay_selected", "relay_sent", "relay_deleted"]


@contextmanager
def service(
    database: str, kafka: str, prefix: str, port: int, failpoint: str = ""
) -> Iterator[subprocess.Popen[bytes]]:
    environment = {
        "DATABASE_URL": database, "KAFKA_BOOTSTRAP_SERVERS": kafka, "KAFKA_TOPIC_PREFIX": prefix,
        "HTTP_PORT": str(port), "LOG_LEVEL": "ERROR", "PARTNERS": partners_toml(acme="warehouse", shop="storefront"),
        "WEBHOOK_PRIVATE_NETWORKS": "127.0.0.0/8", "FAILPOINT": failpoint, "KAFKA_SESSION_TIMEOUT_MS": "6000",
    }  # fmt: skip
    running = subprocess.Popen(
        [sys.executable, "-m", "libs.common.runtime", "services.partners.app"], cwd=ROOT, env={**environ, **environment}
    )
    try:
        yield running
    finally:
        running.kill()
        running.wait()


@pytest.mark.timeout(180)
@pytest.mark.parametrize("step", TO_PARTNER)
async def test_a_kill_on_the_way_to_a_partner_loses_and_repeats_nothing(
    database: MakeDatabase, kafka: str, topics: str, step: str
) -> None:
    url, port = await database("partners"), free_port()
    expected: dict[str, list[str]] = {}
    records: list[wire.Wanted] = []
    for number in range(COUNT):
        customer = f"C-{number % 3}"
        id_ = f"{customer}/{number}"
        expected.setdefault(customer, []).append(id_)
        value = wire.event_bytes(payload("replacement.ordered.v1", customer_id=customer), id_, "/returns")
        records.append((f"{topics}warehouse.orders", customer, value, []))
    with partner_server() as server:
        with service(url, kafka, topics, port, step) as killed:
            async with httpx.AsyncClient(base_url=f"http://{LOOPBACK}:{port}") as client:
                await eventually(partial(is_up, client), "the service answers", seconds=30, every=0.1)
                hooks = "/v1/partner/acme/webhooks"
                await client.post(hooks, json={"url": server.url}, headers=as_partner("acme"))
            await wire.publish(kafka, records)
            assert await asyncio.to_thread(killed.wait, 60) == KILLED
        with service(url, kafka, topics, port):
            await eventually(partial(has, server, COUNT), "everything arrived", seconds=90)
        assert effects(server) == expected


async def has(server: PartnerServer, count: int) -> bool:
    return len(set(server.ids)) >= count


@pytest.mark.timeout(180)
@pytest.mark.parametrize("step", FROM_PARTNER)
async def test_a_kill_on_the_way_from_a_partner_loses_nothing_and_keeps_ids_and_order(
    database: MakeDatabase, kafka: str, topics: str, step: str
) -> None:
    url, port = await database("partners"), free_port()
    events = [event("order.placed.v1", source="/shop", id=str(n), order_id=f"O-{n}") for n in range(COUNT)]
    with service(url, kafka, topics, port, step) as killed:
        with suppress(httpx.TransportError):  # the kill can come before the answer
            await post(port, events)
        assert await asyncio.to_thread(killed.wait, 60) == KILLED
    with service(url, kafka, topics, port):
        assert await post(port, events) == 202

        async def published() -> list[str]:
            records = await wire.read_all(kafka, f"{topics}storefront.orders")
            found = list(dict.fromkeys(json.loads(record.value)["id"] for record in records))
            return found if len(found) >= COUNT else []

        ids = await eventually(published, "everything is published", seconds=60, every=0.5)
    assert ids == [str(n) for n in range(COUNT)]


async def post(port: int, events: list[dict[str, Any]]) -> int:
    async with httpx.AsyncClient(base_url=f"http://{LOOPBACK}:{port}") as client:
        await eventually(partial(is_up, client), "the service answers", seconds=30, every=0.1)
        body = json.dumps(events)
        answer = await client.post("/v1/partner/shop/events", content=body, headers=as_partner("shop"))
        return answer.status_code
