"""Service process killed at every step of taking, keeping and sending events: nothing lost, nothing twice, in order.

The partner's server runs in the process of the test. A webhook that was sent before its result was recorded comes again
under the same id, by which a receiver drops it: `effects` does so, as a partner does.
"""

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import asyncpg
import httpx
import pytest

from deploy.local.paths import ROOT
from deploy.local.ports import LOOPBACK, free_port
from libs.common.decisions.clock import SystemClock
from libs.common.messaging.decision_runner import DecisionRunner, Incoming
from libs.common.telemetry.tracing import Tracing
from services.partners.policy.partner_terms import parse_directory
from services.partners.store.feed import Feed
from services.partners.store.subscriptions import create_subscription
from tests.conftest import MakeDatabase
from tests.partners.service import as_partner, event, partners_toml, payload
from tests.partners.webhook_receiver import PartnerServer, partner_server
from tests.running import NO_KAFKA, eventually

KILLED = 137
CUSTOMERS, EACH = 4, 6
STEPS = ["webhooks_claimed", "webhooks_claimed:2", "webhook_sent:1", "webhook_sent:7", "webhook_recorded:3"]


@contextmanager
def service(database: str, failpoint: str = "", port: int = 0) -> Iterator["subprocess.Popen[bytes]"]:
    environment = {
        "DATABASE_URL": database, "KAFKA_BOOTSTRAP_SERVERS": NO_KAFKA, "HTTP_PORT": str(port), "LOG_LEVEL": "ERROR",
        "PARTNERS": partners_toml(acme="warehouse", shop="storefront"), "WEBHOOK_PRIVATE_NETWORKS": "127.0.0.0/8",
        "FAILPOINT": failpoint,
    }  # fmt: skip
    running = subprocess.Popen(
        [sys.executable, "-m", "libs.common.runtime", "services.partners.app"],
        cwd=ROOT,
        env={**os.environ, **environment},
        stderr=subprocess.DEVNULL,
    )
    try:
        yield running
    finally:
        running.kill()
        running.wait()


async def orders(database: str, url: str) -> dict[str, list[str]]:
    """Put replacement orders of some customers into the feed; return their ids by customer, in order."""
    conn = await asyncpg.connect(database)
    runner = DecisionRunner("partners", SystemClock(), Tracing("partners", None))
    customers = [f"C-{number % CUSTOMERS}" for number in range(CUSTOMERS * EACH)]
    events = [
        runner.event(payload("replacement.ordered.v1", customer_id=name), id=f"{name}/{number}")
        for number, name in enumerate(customers)
    ]
    async with conn.transaction():
        await create_subscription(conn, "acme", url, [], None)
        feed = Feed(parse_directory(partners_toml(acme="warehouse")).partners)
        await runner.apply(conn, feed, [Incoming(each) for each in events])
    await conn.close()
    return {name: [each.id for each in events if each.id.startswith(name)] for name in set(customers)}


async def delivered(database: str) -> None:
    """Wait until nothing is pending; leases of the killed process are ended, instead of waiting for them."""
    conn = await asyncpg.connect(database)

    async def none_pending() -> bool:
        await conn.execute(
            "UPDATE webhook_deliveries SET leased_until = NULL WHERE leased_until > now() + '80 seconds'"
        )
        return not await conn.fetchval("SELECT count(*) FROM webhook_deliveries WHERE state = 'pending'")

    try:
        await eventually(none_pending, "everything is delivered", seconds=60, every=0.2)
    finally:
        await conn.close()


def effects(server: PartnerServer) -> dict[str, list[str]]:
    """Return the events by customer, in the order of their first arrival."""
    found: dict[str, list[str]] = {}
    for id_ in dict.fromkeys(server.ids):
        found.setdefault(id_.partition("/")[0], []).append(id_)
    return found


@pytest.mark.parametrize("step", STEPS)
async def test_a_kill_while_sending_loses_nothing_and_keeps_the_order_per_key(
    database: MakeDatabase, step: str
) -> None:
    url = await database("partners")
    with partner_server() as server:
        expected = await orders(url, server.url)
        with service(url, step) as killed:
            assert await asyncio.to_thread(killed.wait, 60) == KILLED
        with service(url):
            await delivered(url)
        assert effects(server) == expected
        contents: dict[str, set[bytes]] = {}
        for hook in server.hooks:
            contents.setdefault(hook.id, set()).add(hook.body)
        assert {len(bodies) for bodies in contents.values()} == {1}


async def test_kills_at_odd_moments_lose_nothing_and_keep_the_order_per_key(database: MakeDatabase) -> None:
    url = await database("partners")
    with partner_server() as server:
        expected = await orders(url, server.url)
        for least in (1, 9, 17):
            with service(url) as running:

                async def reached(least: int = least) -> bool:
                    return len(server.hooks) >= least

                await eventually(reached, f"{least} webhooks have arrived", seconds=60)
                running.send_signal(signal.SIGKILL)
            conn = await asyncpg.connect(url)
            await conn.execute("UPDATE webhook_deliveries SET leased_until = NULL")
            await conn.close()
        with service(url):
            await delivered(url)
        assert effects(server) == expected


async def test_a_partner_that_repeats_its_calls_after_a_kill_publishes_each_event_once(database: MakeDatabase) -> None:
    url, port = await database("partners"), free_port()
    events = [event("order.placed.v1", source="/shop", id=str(n), order_id=f"O-{n}") for n in range(30)]
    answered = 0
    for rounds_left in (2, 1, 0):
        with service(url, port=port) as running:
            async with httpx.AsyncClient(base_url=f"http://{LOOPBACK}:{port}") as client:
                await eventually(partial(is_up, client), "the service answers", seconds=30, every=0.1)
                last = len(events) if not rounds_left else answered + 9
                while answered < last:
                    assert await post(client, events[max(0, answered - 4) : answered + 3]) == 202
                    answered += 3
                call = asyncio.create_task(post(client, events[answered : answered + 3]))
                await asyncio.sleep(0)
                running.kill()
                await asyncio.gather(call, return_exceptions=True)
    conn = await asyncpg.connect(url)
    rows = await conn.fetch(
        "SELECT convert_from(value, 'utf8')::jsonb #>> '{data,order_id}' AS order_id FROM outbox_records ORDER BY id, n"
    )
    await conn.close()
    assert [row["order_id"] for row in rows] == [f"O-{n}" for n in range(30)]


async def post(client: httpx.AsyncClient, events: list[dict[str, Any]]) -> int:
    answer = await client.post("/v1/partner/shop/events", content=json.dumps(events), headers=as_partner("shop"))
    return answer.status_code


async def is_up(client: httpx.AsyncClient) -> bool:
    try:
        return (await client.get("/health/live")).status_code == 200
    except httpx.TransportError:
        return False
