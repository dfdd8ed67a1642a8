"""Metrics that a running service exports about its relay, its pool, its deadlines and its partners."""

from collections.abc import Awaitable, Callable
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from libs.common.events.issues import IssueRefunded, IssueReported, IssueReviewRequested
from libs.common.events.values import Money
from services.intake import app as intake
from services.intake.settings import IntakeSettings
from services.returns import app as returns
from services.returns.settings import ReturnsSettings
from tests.deploy.scraping import at_rest, names, scrape, scrape_until, value
from tests.intake.event_builders import NOON, delivered, placed
from tests.intake.service_calls import report
from tests.intake.storefronts import calls
from tests.running import Live, running
from tests.security.apps import SHOPIFY_SECRET, WEBHOOK_SECRET

MakeDatabase = Callable[[str], Awaitable[str]]

IDS = {"issue_id": UUID(int=1), "order_id": "O-1", "customer_id": "C-1"}


@pytest.fixture(autouse=True)
def reads_often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("libs.common.runtime.database_metrics.READ_SECONDS", 0.05)


async def feed(live: Live, aggregate: str, *payloads: object) -> None:
    """Let an aggregate take these, as if they came from Kafka."""
    for payload in payloads:
        await live.service.execute(live.service.aggregates[aggregate], live.service.event(payload))  # type: ignore[arg-type]


async def test_a_relay_counts_what_kafka_acknowledged(
    database: MakeDatabase, kafka: str, topics: str, tmp_path: Path
) -> None:
    url = await database("intake")
    more: dict[str, Any] = {"kafka": kafka, "prefix": topics, "evidence_dir": tmp_path}
    async with running(intake.create_app, IntakeSettings, database=url, **more) as live:
        await feed(live, "orders", placed().data, delivered().data)
        assert (await report(live)).status_code == 202
        sent = "messaging_client_sent_messages_total"
        seen = await scrape_until(
            live, lambda seen: value(seen, sent, messaging_destination_name="issues") == 2, "report and acceptance left"
        )
    assert value(seen, "sakidashi_relay_active") == 1
    assert value(seen, "sakidashi_events_published_total", event_type=IssueReported.TYPE) == 1


async def test_the_wait_for_a_connection_is_measured(database: MakeDatabase, tmp_path: Path) -> None:
    url = await database("intake")
    async with running(intake.create_app, IntakeSettings, database=url, evidence_dir=tmp_path, pool_size=2) as live:
        before = await at_rest(live)
        for _ in range(3):
            async with live.service.pool.acquire():
                pass
        await live.service.pool.execute("SELECT 1")
        after = await scrape(live)
    count = "db_client_connection_wait_time_seconds_count"
    assert value(after, count) >= value(before, count) + 4
    assert "db_client_connection_wait_time_seconds_sum" in names(after)


_TWO_ISSUES = """
    INSERT INTO issues (issue_id, order_id, customer_id, reason, lines, reported_at, decide_by)
    SELECT gen_random_uuid(), 'O-1', 'C-1', 'defective', '[]', now() - interval '3 days',
           now() + days * interval '1 day'
    FROM unnest('{1, -1}'::int[]) AS days"""


async def test_open_issues_show_their_age_and_their_deadline(database: MakeDatabase, tmp_path: Path) -> None:
    url = await database("intake")
    async with running(intake.create_app, IntakeSettings, database=url, evidence_dir=tmp_path) as live:
        await at_rest(live)
        await live.service.pool.execute(_TWO_ISSUES)
        seen = await scrape_until(
            live, lambda seen: value(seen, "sakidashi_issues_undecided", state="overdue") == 1, "an issue is overdue"
        )
    assert value(seen, "sakidashi_issues_undecided", state="in_time") == 1
    assert value(seen, "sakidashi_issues_age_seconds", status="accepted") == pytest.approx(3 * 24 * 3600, rel=0.01)


async def test_webhooks_are_counted_by_partner_and_outcome(database: MakeDatabase, tmp_path: Path) -> None:
    url = await database("intake")
    more: dict[str, Any] = {
        "evidence_dir": tmp_path,
        "webhook_secrets": WEBHOOK_SECRET,
        "shopify_secrets": SHOPIFY_SECRET,
    }
    async with running(intake.create_app, IntakeSettings, database=url, **more) as live:
        assert (await calls.shopify(live, "orders/create", calls.shop_order(), SHOPIFY_SECRET)).status_code == 202
        assert (await calls.shopify(live, "orders/create", calls.shop_order(), "wrong")).status_code == 401
        assert (await live.client.post("/v1/webhooks/standard", json={})).status_code == 401
        seen = await scrape(live)
    received = "sakidashi_webhooks_received_total"
    assert value(seen, received, partner="shopify", outcome="published") == 1
    assert value(seen, received, partner="shopify") == 2
    assert value(seen, received, partner="standard") == 1


async def test_refunds_are_counted_as_paid_and_as_failed(database: MakeDatabase) -> None:
    async with running(returns.create_app, ReturnsSettings, database=await database("returns")) as live:
        before = await scrape(live)
        paid = Money(amount=Decimal(4980), currency="JPY")
        async with live.service.transaction() as tx:
            await tx.write(
                [
                    IssueRefunded(**IDS, refund_id=UUID(int=2), amount=paid, refunded_at=NOON),
                    IssueReviewRequested(**IDS, cause="refund_failed", due_at=NOON + timedelta(days=1)),
                    IssueReviewRequested(**IDS, cause="value", due_at=NOON + timedelta(days=1)),
                ]
            )
        after = await scrape(live)
    failed = "sakidashi_refunds_failed_total"
    assert (value(before, failed), value(after, failed)) == (0, 1)
    assert failed in names(before), "a series that begins with its first count has no increase in Prometheus"
    assert value(after, "sakidashi_refunds_paid_total", currency="JPY") == 4980
    assert value(after, "sakidashi_reviews_requested_total", cause="value") == 1
