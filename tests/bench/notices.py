"""Throughput of notices by real SMTP: part of `make bench-more`, alone `python -m tests.bench.notices`.

A durable Postgres, one process of delivery_notify and a mail sink. `NOTICES` orders are decided to be late by the
service's own code, and their notices become due at once: claimed, rendered as text and HTML, sent over SMTP and
recorded. Measured until the last is settled, with a check that each was sent once. Kafka is absent, so that the CPU is
that of sending and the service's idle loops; the flood covers the cost of an event before its notice.
"""

import asyncio
import secrets
import time
from contextlib import ExitStack
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import asyncpg
from rich.console import Console

from deploy.local import postgres
from deploy.local.command_line import CommandError, exit_on_error
from deploy.local.environment import integer
from deploy.local.paths import LOGS
from deploy.local.ports import LOOPBACK, free_port
from deploy.local.process_guard import exit_on_signals
from deploy.local.processes import Supervisor, answers_ok
from deploy.local.service_environment import ServiceEnvironment, service_command
from libs.common.decisions.calendars import Calendars
from libs.common.decisions.clock import SystemClock
from libs.common.decisions.shop_calendar import ShopCalendar
from libs.common.events.envelope import Payload
from libs.common.events.storefront import OrderPlaced, OrderPromiseChanged
from libs.common.events.values import Address, Contact, Language, Money, OrderLine
from libs.common.messaging.decision_runner import DecisionRunner, Incoming
from libs.common.postgres.pool import Connection
from libs.common.telemetry.tracing import Tracing
from services.delivery_notify.policy.notification_rules import load_rules
from services.delivery_notify.store.conversations import Conversations
from tests.bench.resource_usage import ResourceUsage

BATCH = 200
MAX_SECONDS = 120.0
"""Seconds after which something is wrong."""


async def seed(database: postgres.DatabaseAccess, notices: int) -> None:
    """Create late orders, every second one in English, whose notices are not due yet."""
    await database.migrate("delivery_notify")
    conn = await asyncpg.connect(database.owner_url)
    try:
        runner = DecisionRunner("delivery_notify", SystemClock(), Tracing("delivery_notify", None))
        rules = replace(load_rules(Calendars.of(ShopCalendar(ZoneInfo("Asia/Tokyo")))), batching_delay=timedelta(0))
        conversations = Conversations(rules)
        for begin in range(0, notices, BATCH):
            events = [event for n in range(begin, min(begin + BATCH, notices)) for event in late(n)]
            async with conn.transaction():
                await runner.apply(conn, conversations, [Incoming(runner.event(event)) for event in events])
        await conn.execute("UPDATE notices SET due_at = due_at + interval '1 day'")
        await conn.execute("VACUUM ANALYZE")
    finally:
        await conn.close()


def late(number: int) -> tuple[Payload, Payload]:
    now, order_id = datetime.now(UTC), f"O-{number}"
    language = Language.EN if number % 2 else Language.JA
    price = Money.model_validate({"amount": "4980", "currency": "JPY"})
    item = OrderLine(
        line_id="1",
        sku="KYUSU-1",
        name="急須",
        quantity=1,
        unit_price=price,
        promised_ship_date=(now + timedelta(days=7)).date(),
    )
    order = OrderPlaced(
        order_id=order_id,
        customer_id=f"C-{number}",
        placed_at=now,
        lines=(item,),
        contact=Contact(name="山田 花子", email=f"c{number}@example.jp", language=language),
        ship_to=Address(name="山田 花子", postal_code="1500001", country="JP", city="渋谷区", street="神宮前 9-9"),
    )
    moved = OrderPromiseChanged(order_id=order_id, promised_ship_date=(now + timedelta(days=14)).date(), changed_at=now)
    return order, moved


async def release(conn: Connection, notices: int) -> float:
    """Make all notices due; returns the seconds until the last is settled."""
    begin = time.perf_counter()
    await conn.execute("UPDATE notices SET due_at = made_at")
    while await conn.fetchval("SELECT count(*) FROM notices WHERE settled_at IS NULL"):
        if time.perf_counter() - begin > MAX_SECONDS:
            raise CommandError(f"not all of {notices:,} notices were sent within {MAX_SECONDS:.0f} s")
        await asyncio.sleep(0.1)
    took = time.perf_counter() - begin
    sent = await conn.fetchval("SELECT count(*) FROM notices WHERE status = 'sent'")
    if sent != notices:
        raise CommandError(f"{notices:,} notices were created, {sent:,} were sent")
    return took


async def measure(url: str, usage: ResourceUsage, notices: int) -> tuple[float, dict[str, float]]:
    """Seconds, and CPU seconds by process."""
    conn = await asyncpg.connect(url)
    try:
        before = usage.cpu_seconds()
        took = await release(conn, notices)
        return took, {name: seconds - before[name] for name, seconds in usage.cpu_seconds().items()}
    finally:
        await conn.close()


def run(console: Console, stack: ExitStack, notices: int) -> None:
    server = stack.enter_context(postgres.server(log=LOGS / "bench" / "notices-postgres.log", environ={}))
    database = asyncio.run(postgres.provision(server.admin_url, ["delivery_notify"], "sending_"))["delivery_notify"]
    with console.status(f"deciding on {notices:,} late orders"):
        asyncio.run(seed(database, notices))
    supervisor = stack.enter_context(Supervisor(LOGS / "bench"))
    port, smtp = free_port(), free_port()
    sink = supervisor.start("mail sink", ["-m", "tests.bench.mail_sink", str(smtp)], {}, smtp)
    no_kafka, smtp_url = f"{LOOPBACK}:1", f"smtp://{LOOPBACK}:{smtp}"
    environment = ServiceEnvironment(no_kafka, "", {}, secrets.token_urlsafe(32), log_level="ERROR", smtp_url=smtp_url)
    env = environment.of("delivery_notify", database.url, f"http://{LOOPBACK}:{port}")
    process = supervisor.start("sender", service_command("delivery_notify"), env, port)
    process.child.wait_until(lambda: answers_ok(f"{process.url}/health/ready"), 60)
    usage = ResourceUsage({"sender": process.child.pid, "postgres": server.pid, "mail server": sink.child.pid})
    with console.status(f"sending {notices:,} notices"):
        took, cpu = asyncio.run(measure(database.owner_url, usage, notices))
    shares = ", ".join(f"{name} {1000 * seconds / notices:.2f} ms" for name, seconds in cpu.items())
    console.print(
        f"{notices:,} notices by real SMTP in {took:.1f} s: {notices / took:,.0f} a second, "
        f"{notices / cpu['sender']:,.0f} per CPU second of the sender (CPU of each: {shares})",
        highlight=False,
    )


def main() -> None:
    with exit_on_error("bench"):
        notices = integer("NOTICES", 4_000, 1, 1_000_000)
        with exit_on_signals(), ExitStack() as stack:
            run(Console(), stack, notices)


if __name__ == "__main__":
    main()
