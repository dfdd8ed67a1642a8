"""Reconciliation of four running services on real parts: every loss is named, and repaired without a second effect."""

from collections import Counter
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from deploy.cli.reconcile import Scope, reconcile
from deploy.local.mailbox import Mailbox
from deploy.reconciliation.discrepancies import Discrepancy
from deploy.reconciliation.reading import connected
from deploy.reconciliation.republication import publish_again
from libs.common.events.topics import SERVICES
from tests.conftest import MakeDatabase
from tests.journey.backbone import Backbone, backbone
from tests.recovery.losses import Loss, Losses, losing
from tests.recovery.partners import answering
from tests.running import eventually

AT_ONCE = Scope(days=30, grace=timedelta(0), second_look=timedelta(0))
ISSUES = 8

MILESTONES = (
    "issue.accepted",
    "issue.replacement_ordered",
    "issue.replacement_promised",
    "issue.replacement_shipped",
    "issue.replacement_delivered",
    "issue.resolved",
    "points.granted",
)
READ_BY_SERVICES = (
    "issue.accepted",
    "issue.replacement_ordered",
    "issue.replacement_shipped",
    "issue.collection_booked",
    "issue.item_received",
    "issue.resolved",
    "points.granted",
)


def urls(shop: Backbone) -> dict[str, str]:
    return {name: getattr(shop, name).service.settings.database_url for name in SERVICES}


async def look(shop: Backbone, *, redrive: bool = False) -> list[Discrepancy]:
    """Reconcile without a grace period; publish again what was lost."""
    async with connected(urls(shop)) as connections:
        found = await reconcile(connections, AT_ONCE, datetime.now(UTC))
        if redrive:
            await publish_again(connections, found, shop.prefix)
    return found


async def is_healthy(shop: Backbone, issues: list[UUID]) -> bool:
    """Return whether all issues are resolved in returns and nothing is in transit or differs."""
    resolved = await shop.returns.service.pool.fetchval("SELECT count(*) FROM cases WHERE status = 'resolved'")
    return bool(resolved == len(issues)) and not await look(shop)


def names(finding: Discrepancy, loss: Loss) -> bool:
    """Return whether a finding names this loss: by its event, or by the case or grant that did not come of it."""
    if str(finding.issue_id) != loss.issue_id:
        return False
    instead = {"issue.accepted": "case_missing", "issue.resolved": "grant_missing"}.get(loss.type)
    return loss.type in finding.detail or finding.kind == instead


async def settled(shop: Backbone) -> bool:
    """Return whether no service has anything left to publish."""
    counts = [await getattr(shop, name).service.pool.fetchval("SELECT count(*) FROM outbox") for name in SERVICES]
    return bool(sum(counts) == 0)


def repeated(counts: Mapping[Any, int]) -> dict[Any, int]:
    return {what: count for what, count in counts.items() if count > 1}


async def test_a_healthy_system_has_no_findings(
    database: MakeDatabase, kafka: str, topics: str, smtp: Mailbox, tmp_path: Path
) -> None:
    async with backbone(database, kafka, topics, tmp_path, smtp.url) as shop, answering(shop):
        issues = [await report(shop, number) for number in range(2)]
        await eventually(lambda: is_healthy(shop, issues), "nothing differs", seconds=60, every=0.5)


@pytest.mark.parametrize("seed", [1, 2])
async def test_every_lost_record_is_named_and_repaired_without_a_second_effect(
    database: MakeDatabase, kafka: str, topics: str, smtp: Mailbox, tmp_path: Path, seed: int
) -> None:
    losses = Losses(seed, 15, MILESTONES, READ_BY_SERVICES)
    async with backbone(database, kafka, topics, tmp_path, smtp.url) as shop, answering(shop):
        with losing(losses):
            issues = [await report(shop, number) for number in range(ISSUES)]
            await eventually(lambda: _all_named(shop, losses, issues), "every loss is named", seconds=90, every=0.5)
        await eventually(lambda: _repaired(shop, issues), "nothing differs after repair", seconds=90, every=1)
        assert len(losses.lost) > ISSUES // 2
        assert {bool(loss.service) for loss in losses.lost} == {False, True}  # by the broker, and by services
        assert_nothing_happened_twice(shop, issues, smtp)


async def _all_named(shop: Backbone, losses: Losses, issues: list[UUID]) -> bool:
    stopped = sum(loss.type == "issue.accepted" and loss.service in ("", "returns") for loss in losses.lost)
    resolved = await shop.returns.service.pool.fetchval("SELECT count(*) FROM cases WHERE status = 'resolved'")
    if resolved != len(issues) - stopped or not await settled(shop):
        return False
    found = await look(shop)
    return all(any(names(finding, loss) for finding in found) for loss in losses.lost)


async def _repaired(shop: Backbone, issues: list[UUID]) -> bool:
    await look(shop, redrive=True)
    return await is_healthy(shop, issues)


def assert_nothing_happened_twice(shop: Backbone, issues: list[UUID], smtp: Mailbox) -> None:
    for type_, field in (
        ("replacement.ordered", "issue_id"),
        ("collection.requested", "issue_id"),
        ("issue.resolved", "issue_id"),
    ):
        events = {event["id"]: event["data"][field] for event in shop.events_of(type_)}
        assert repeated(Counter(events.values())) == {}, type_
        assert set(events.values()) == set(map(str, issues)), type_
    apologies = {event["data"]["entry_id"]: event["data"].get("issue_id") for event in shop.events_of("points.granted")}
    granted = Counter(issue_id for issue_id in apologies.values() if issue_id)
    assert granted == Counter(map(str, issues))
    assert repeated(Counter(mail["Message-ID"] for mail in smtp.messages)) == {}
    notices = Counter(
        (event["data"].get("issue_id"), event["data"]["order_id"], event["data"]["kind"])
        for event in shop.events_of("notice.sent")
    )
    assert repeated(notices) == {}


async def report(shop: Backbone, number: int) -> UUID:
    await shop.place_order(f"order-{number}")
    return await shop.report(f"order-{number}")
