"""Alerts on their causes: each is made in a running service, and promtool evaluates what `/metrics` exported.

Not made here: ServiceDown and CertificateExpires, see test_prometheus.py, and DiskFillsUp, whose rule has a unit test.
"""

import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from aiokafka import AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, RecordsToDelete

from deploy.local.mailbox import Mailbox
from libs.common.decisions.clock import SharedClock
from libs.common.events.envelope import Payload
from libs.common.events.issues import IssueReported, IssueReviewRequested
from libs.common.events.storefront import OrderPlaced
from libs.common.runtime import consumer_metrics, process_metrics
from services.intake import app as intake
from services.intake.settings import IntakeSettings
from services.returns import app as returns
from services.returns.domain.state.case import Case
from services.returns.settings import ReturnsSettings
from tests.common import wire
from tests.conftest import MakeDatabase, as_owner, execute_as_owner
from tests.delivery_notify.service import notifying, settled, take
from tests.delivery_notify.test_sender import later, order
from tests.deploy.promtool import assert_firing, needs_promtool
from tests.deploy.scraping import Scrape, at_rest, scrape, scrape_until, value
from tests.intake.event_builders import NOON, delivered, placed
from tests.intake.service_calls import report
from tests.outbox import take_events
from tests.returns.cases import accepted
from tests.running import NO_KAFKA, Live, running

pytestmark = needs_promtool

NO_TIME = 0.05
"""Seconds between two readings of the database, in place of 15."""


@pytest.fixture(autouse=True)
def reads_often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("libs.common.runtime.database_metrics.READ_SECONDS", NO_TIME)


@asynccontextmanager
async def intake_with(database: MakeDatabase, folder: Path, **settings: Any) -> AsyncIterator[Live]:
    url = await database("intake")
    async with running(intake.create_app, IntakeSettings, database=url, evidence_dir=folder, **settings) as live:
        yield live


def orders(count: int) -> list[Payload]:
    return [placed(order_id=f"O-{number}", customer_id=f"C-{number}").data for number in range(count)]


def records(prefix: str, payloads: Sequence[Payload], event_id: str | None = None) -> list[wire.Wanted]:
    topic = prefix + OrderPlaced.TOPIC.name
    return [(topic, each.key, wire.event_bytes(each, event_id), []) for each in payloads]


async def test_a_relay_without_kafka(database: MakeDatabase, tmp_path: Path) -> None:
    async with intake_with(database, tmp_path, kafka=NO_KAFKA) as live:
        before = await at_rest(live)
        async with live.service.transaction() as tx:
            await tx.write(orders(1))
        await live.service.pool.execute("UPDATE outbox SET created_at = created_at - interval '3 minutes'")
        after = await scrape_until(
            live,
            lambda seen: (
                value(seen, "sakidashi_outbox_age_seconds") > 60
                and value(seen, "sakidashi_outcomes_total", outcome="relay_restarted")
                > value(before, "sakidashi_outcomes_total", outcome="relay_restarted")
            ),
            "the relay failed with a record in the outbox",
        )
    assert_firing(before, after, "RelayStopped", "LoopsRestart")


async def test_timers_behind_a_lock(database: MakeDatabase, tmp_path: Path) -> None:
    clock = SharedClock.create(tmp_path / "clock", NOON, 1.0)
    async with intake_with(database, tmp_path, clock_file=tmp_path / "clock") as live:
        due = clock.now() + timedelta(hours=1)
        await live.service.pool.execute("INSERT INTO timers VALUES ('orders', 'O-1', 'details', $1)", due)
        before = await at_rest(live)
        blocker = await asyncpg.connect(as_owner(str(live.service.settings.database_url)))
        async with blocker.transaction():
            await blocker.execute("LOCK TABLE timers IN EXCLUSIVE MODE")  # as a migration does; reading is possible
            clock._write(clock.now() + timedelta(hours=2), 1.0)
            after = await scrape_until(
                live, lambda seen: value(seen, "sakidashi_timers_late_seconds") > 300, "a timer is late"
            )
        await blocker.close()
    assert_firing(before, after, "TimersLate")


async def test_an_unreadable_record_and_a_reused_id(
    database: MakeDatabase, kafka: str, topics: str, tmp_path: Path
) -> None:
    async with intake_with(database, tmp_path, kafka=kafka, prefix=topics) as live:
        before = await at_rest(live)
        garbage: wire.Wanted = (topics + OrderPlaced.TOPIC.name, "O-1", b"{", [])
        first, second = orders(2)
        await wire.publish(kafka, [garbage, *records(topics, [first], "the-id"), *records(topics, [second], "the-id")])
        after = await scrape_until(
            live, lambda seen: value(seen, "sakidashi_dead_letters_open") == 2, "two records are dead letters"
        )
    assert_firing(before, after, "DeadLettersOpen", "EventIdReused")


async def test_a_release_that_fails_on_every_record(
    database: MakeDatabase, kafka: str, topics: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    passed = [0.0]
    monkeypatch.setattr(consumer_metrics, "WaitingTime", lambda: _WAITING(clock=lambda: time.monotonic() + passed[0]))
    async with intake_with(database, tmp_path, kafka=kafka, prefix=topics) as live:
        before = await at_rest(live)
        await execute_as_owner(str(live.service.settings.database_url), "ALTER TABLE orders RENAME TO orders_of_later")
        await wire.publish(kafka, records(topics, orders(80)))
        await scrape_until(live, lambda seen: value(seen, "sakidashi_consumer_lag") > 0, "records wait")
        await scrape_until(live, lambda seen: value(seen, "sakidashi_consumer_halted") == 1, "the topic is halted")
        await scrape(live)
        passed[0] = 600.0
        after = await scrape(live)
    assert_firing(before, after, "TopicHalted", "OldestUnreadTooOld", "DeadLettersOpen")


_WAITING = consumer_metrics.WaitingTime


@pytest.mark.apache
async def test_records_that_retention_took(database: MakeDatabase, kafka: str, topics: str, tmp_path: Path) -> None:
    url, place = await database("intake"), TopicPartition(topics + OrderPlaced.TOPIC.name, 0)

    def started() -> Any:
        more: dict[str, Any] = {"kafka": kafka, "prefix": topics, "evidence_dir": tmp_path}
        return running(intake.create_app, IntakeSettings, database=url, **more)

    async def read(live: Live, count: int) -> Scrape:
        name, topic = "messaging_client_consumed_messages_total", OrderPlaced.TOPIC.name
        return await scrape_until(
            live, lambda seen: value(seen, name, messaging_destination_name=topic) >= count, "the records are read"
        )

    async with started() as live:
        await _write_to(kafka, place, orders(1))
        await read(live, 1)
    await _write_to(kafka, place, orders(6)[1:])
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka)
    await admin.start()
    await admin.delete_records({place: RecordsToDelete(before_offset=6)})
    await admin.close()
    async with started() as live:
        before = await at_rest(live)
        await _write_to(kafka, place, orders(7)[6:])
        after = await read(live, 1)
    assert value(after, "sakidashi_outcomes_total", outcome="lost_to_retention") == 5
    assert_firing(before, after, "RecordsLost")


async def _write_to(kafka: str, place: TopicPartition, payloads: Sequence[Payload], at_ms: int | None = None) -> None:
    producer = AIOKafkaProducer(bootstrap_servers=kafka, acks="all")
    await producer.start()
    for each in payloads:
        await producer.send_and_wait(
            place.topic, wire.event_bytes(each), each.key.encode(), partition=place.partition, timestamp_ms=at_ms
        )
    await producer.stop()


async def test_reports_that_fail(database: MakeDatabase, tmp_path: Path) -> None:
    async with intake_with(database, tmp_path) as live:
        assert (await report(live)).status_code == 404, "the order is not known: no fault of ours"
        before = await at_rest(live)
        await execute_as_owner(str(live.service.settings.database_url), "ALTER TABLE orders RENAME TO orders_of_later")
        assert (await report(live)).status_code >= 500
        after = await scrape(live)
    assert_firing(before, after, "ReportsFailFast", "ReportsFailSlowly")


async def test_records_that_returns_processes_late(database: MakeDatabase, kafka: str, topics: str) -> None:
    url = await database("returns")
    async with running(returns.create_app, ReturnsSettings, database=url, kafka=kafka, prefix=topics) as live:
        before = await at_rest(live)
        a_minute_ago = int((time.time() - 60) * 1000)
        await _write_to(kafka, TopicPartition(topics + "issues", 0), orders(3), a_minute_ago)
        after = await scrape_until(
            live, lambda seen: value(seen, "sakidashi_consumer_late_messages_total") == 3, "the records are read"
        )
    assert_firing(before, after, "ReplacementsLateFast", "ReplacementsLateSlowly")


async def test_a_release_that_forgets_deadlines(database: MakeDatabase, monkeypatch: pytest.MonkeyPatch) -> None:
    deadlines = Case.timers
    monkeypatch.setattr(Case, "timers", lambda case: {k: v for k, v in deadlines(case).items() if k == "review"})
    async with running(returns.create_app, ReturnsSettings, database=await database("returns")) as live:
        before = await at_rest(live)
        await feed(live, "cases", accepted())
        stalled = {"outcome": "anomaly", "reason": "stalled"}
        after = await scrape_until(
            live, lambda seen: value(seen, "sakidashi_outcomes_total", **stalled) == 1, "the case is counted"
        )
    assert_firing(before, after, "CasesStalled")


async def test_notices_that_the_mail_server_refuses(database: MakeDatabase, smtp: Mailbox) -> None:
    smtp.refusals.append("550 no such user")
    async with notifying(await database("delivery_notify"), smtp.url) as live:
        before = await at_rest(live)
        await take(live, order(), later())
        await settled(live)
        after = await scrape_until(
            live, lambda seen: value(seen, "sakidashi_notices_total", outcome="failed") == 1, "the failure is counted"
        )
    assert_firing(before, after, "NoticesFail")


async def test_a_report_that_nobody_decides(database: MakeDatabase, tmp_path: Path) -> None:
    clock = SharedClock.create(tmp_path / "clock", NOON, 1.0)
    async with intake_with(database, tmp_path, clock_file=tmp_path / "clock") as live:
        await feed(live, "orders", placed().data, delivered().data)
        assert (await report(live)).status_code == 202
        written = await take_events(live.service.pool)
        (reported,) = [each.data for each in written if isinstance(each.data, IssueReported)]
        ids = {name: getattr(reported, name) for name in ("issue_id", "order_id", "customer_id")}
        review = IssueReviewRequested(**ids, cause="value", due_at=NOON + timedelta(days=1))
        await feed(live, "timeline", reported, review)
        before = await scrape_until(live, lambda seen: value(seen, "sakidashi_work_items") >= 1, "the desk has work")
        clock._write(clock.now() + timedelta(days=14), 1.0)
        after = await scrape_until(
            live, lambda seen: value(seen, "sakidashi_issues_decision_delay_seconds") > 3600, "the decision is overdue"
        )
    assert_firing(before, after, "DecisionOverdue", "WorkOverdue")


async def feed(live: Live, aggregate: str, *payloads: Payload) -> None:
    """Let an aggregate take these, as if they came from Kafka."""
    for payload in payloads:
        await live.service.execute(live.service.aggregates[aggregate], live.service.event(payload))


async def test_a_held_event_loop(database: MakeDatabase, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process_metrics, "SAMPLE_SECONDS", 0.02)
    async with intake_with(database, tmp_path) as live:
        before = await at_rest(live)
        time.sleep(1.2)  # noqa: ASYNC251 - the cause itself
        after = await scrape_until(
            live,
            lambda seen: value(seen, _DELAYS, le="+Inf") > value(seen, _DELAYS, le="1.0"),
            "the delay is measured",
        )
    assert_firing(before, after, "EventLoopBlocked")


_DELAYS = "sakidashi_event_loop_delay_seconds_bucket"


async def test_a_pool_without_a_free_connection(database: MakeDatabase, tmp_path: Path) -> None:
    async with intake_with(database, tmp_path, pool_size=2) as live:
        used = {"db_client_connection_state": "used"}
        before = await scrape_until(
            live, lambda seen: value(seen, "db_client_connection_count", **used) < 2, "a connection is free"
        )
        async with live.service.pool.acquire(), live.service.pool.acquire():
            after = await scrape(live)
    assert_firing(before, after, "ConnectionPoolExhausted")
