"""Service process killed at every step of sending: no notice is lost, and no key is sent with two contents.

Mail server and SMS gateway run in a process of their own. The tests end the leases of the killed process instead of
waiting for five minutes.
"""

import asyncio
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import AbstractContextManager, asynccontextmanager, contextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

import asyncpg
import httpx
import pytest

from deploy.local.paths import ROOT
from deploy.local.ports import LOOPBACK, free_port
from libs.common.decisions.clock import SystemClock
from libs.common.events.values import Contact
from libs.common.messaging.decision_runner import DecisionRunner, Incoming
from libs.common.telemetry.tracing import Tracing
from services.delivery_notify.store.conversations import Conversations
from tests.conftest import MakeDatabase
from tests.delivery_notify.conversation_driver import RULES
from tests.delivery_notify.providers import SIGNING_SECRET
from tests.delivery_notify.service import SECRETS
from tests.delivery_notify.test_sender import later, order
from tests.running import NO_KAFKA, eventually

ORDERS = 12
KILLED = 137

STEPS = [
    "notices_claimed",
    "message_delivered:1",
    "message_delivered:5",
    "notices_sent",
    "notices_recording",
    "notices_recorded",
]


@dataclass
class ProviderProcess:
    smtp: int
    http: int

    async def seen(self) -> dict[str, list[str]]:
        async with httpx.AsyncClient() as client:
            found: dict[str, list[str]] = (await client.get(f"http://{LOOPBACK}:{self.http}/seen")).json()
            return found

    async def _answers(self) -> bool:
        try:
            return await self.seen() == {}
        except httpx.TransportError:
            return False


@asynccontextmanager
async def provider_process() -> AsyncIterator[ProviderProcess]:
    ports = ProviderProcess(free_port(), free_port())
    with process("-m", "tests.delivery_notify.provider_process", str(ports.smtp), str(ports.http)):
        await eventually(ports._answers, "the providers answer")
        yield ports


@contextmanager
def process(*arguments: str, **environment: str) -> Iterator["subprocess.Popen[bytes]"]:
    """Run a process until the block is left."""
    running = subprocess.Popen(
        [sys.executable, *arguments], cwd=ROOT, env={**os.environ, **environment}, stderr=subprocess.DEVNULL
    )
    try:
        yield running
    finally:
        running.kill()
        running.wait()


def service(
    database: str, there: ProviderProcess, failpoint: str = ""
) -> AbstractContextManager["subprocess.Popen[bytes]"]:
    return process(
        "-m", "libs.common.runtime", "services.delivery_notify.app",
        DATABASE_URL=database, KAFKA_BOOTSTRAP_SERVERS=NO_KAFKA, HTTP_PORT="0", LOG_LEVEL="ERROR",
        SMTP_URL=f"smtp://{LOOPBACK}:{there.smtp}", MAIL_FROM="Shop <shop@example.jp>", SMTP_CONNECTIONS="2",
        SMS_WEBHOOK_URL=f"http://{LOOPBACK}:{there.http}/sms", SMS_WEBHOOK_SECRET=SIGNING_SECRET,
        QUIET_FROM_HOUR="0", QUIET_TO_HOUR="0", PUBLIC_URL="http://localhost", LINK_SECRETS=SECRETS,
        FAILPOINT=failpoint,
    )  # fmt: skip


async def orders_that_are_late(database: str) -> None:
    """Orders with one notice each; every second customer prefers SMS."""
    conn = await asyncpg.connect(database)
    runner = DecisionRunner("delivery_notify", SystemClock(), Tracing("delivery_notify", None))
    payloads: list[Any] = []
    for number in range(ORDERS):
        contact = Contact(name="山田", email=f"c{number}@example.jp", phone="+819012345678")
        about = {"order_id": f"O-{number}", "customer_id": f"C-{number}", "contact": contact}
        payloads += [order().model_copy(update=about), later().model_copy(update={"order_id": f"O-{number}"})]
        if number % 2:
            like = "INSERT INTO preferences (customer_id, channels, changed_at) VALUES ($1, '{sms}', now())"
            await conn.execute(like, f"C-{number}")
    async with conn.transaction():
        at_once = Conversations(replace(RULES, batching_delay=timedelta(0)))
        await runner.apply(conn, at_once, [Incoming(runner.event(payload)) for payload in payloads])
    await conn.close()


async def settled(database: str) -> dict[str, str]:
    """Return the status of all notices once settled; remaining leases are ended."""
    conn = await asyncpg.connect(database)

    async def look() -> dict[str, str]:
        await conn.execute("UPDATE notices SET wait_until = NULL WHERE wait_until > now() + interval '1 minute'")
        rows = await conn.fetch("SELECT notice_id, status FROM notices")
        found = {str(row["notice_id"]): row["status"] for row in rows}
        return found if "sending" not in found.values() and "pending" not in found.values() else {}

    try:
        return await eventually(look, "all notices are settled", seconds=60, every=0.5)
    finally:
        await conn.close()


@pytest.mark.parametrize("step", STEPS)
async def test_a_kill_at_any_step_loses_nothing_and_repeats_nothing(database: MakeDatabase, step: str) -> None:
    url = await database("delivery_notify")
    await orders_that_are_late(url)
    async with provider_process() as there:
        with service(url, there, step) as killed:
            assert await asyncio.to_thread(killed.wait, 60) == KILLED
        with service(url, there):
            found = await settled(url)
        seen = await there.seen()
    assert set(found.values()) == {"sent"}
    assert seen.keys() == found.keys()
    assert all(len(set(map(_to, copies))) == 1 for copies in seen.values())
    assert sum("@" in _to(copies[0]) for copies in seen.values()) == ORDERS / 2


def _to(copy: str) -> str:
    """Return the recipient of a mail, or the data of an SMS without its timestamp."""
    return copy.partition('"data"')[2] or copy


async def test_kills_at_odd_moments_lose_nothing_and_repeat_nothing(database: MakeDatabase) -> None:
    url = await database("delivery_notify")
    await orders_that_are_late(url)
    async with provider_process() as there:
        for some in (1, 4, 8):
            with service(url, there) as running:
                await eventually(lambda least=some: reached(there, least), f"{some} messages have arrived", seconds=60)  # type: ignore[misc]
                running.kill()
            conn = await asyncpg.connect(url)
            await conn.execute("UPDATE notices SET wait_until = NULL")
            await conn.close()
        with service(url, there):
            found = await settled(url)
        seen = await there.seen()
    assert set(found.values()) == {"sent"}
    assert seen.keys() == found.keys()


async def reached(there: ProviderProcess, count: int) -> bool:
    return len(await there.seen()) >= count
