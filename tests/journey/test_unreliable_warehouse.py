"""The demo's unreliable warehouse on real parts: no replacement is promised and then found out of stock."""

import random
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest

from deploy.demo.partners.warehouse import fulfilment_events
from deploy.local.mailbox import Mailbox
from libs.common.events.envelope import Payload
from libs.common.events.warehouse import ReplacementConfirmed, ReplacementOrdered, ReplacementRejected
from tests.conftest import MakeDatabase
from tests.journey.backbone import Backbone, backbone


@pytest.fixture
async def shop(
    database: MakeDatabase, kafka: str, topics: str, smtp: Mailbox, tmp_path: Path
) -> AsyncIterator[Backbone]:
    async with backbone(database, kafka, topics, tmp_path, smtp.url) as running:
        yield running


def first_answer(ordered: dict[str, Any], kind: type[Payload]) -> Payload:
    """Return the demo warehouse's first event about this order, of a run in which it is of this kind."""
    order = ReplacementOrdered.model_validate(ordered["data"])
    for seed in range(1000):
        events = fulfilment_events(order, datetime.now(UTC), 1, random.Random(seed), ZoneInfo("Asia/Tokyo"))
        if isinstance(events[0].payload, kind):
            return events[0].payload
    raise AssertionError(f"the warehouse never begins with {kind.TYPE}")


def announced(shop: Backbone, issue_id: UUID) -> list[tuple[str, list[str]]]:
    """Return the kinds of the sent notices, each with the kinds of promises that it announced."""
    sent = shop.events_of("notice.sent", issue_id=issue_id)
    return [(each["data"]["kind"], [ref["subject"] for ref in each["data"]["announces"]]) for each in sent]


async def test_out_of_stock_is_a_choice_and_no_date_before_it_breaks(shop: Backbone) -> None:
    orders = {"prompt": "order-1", "late": "order-2", "in stock": "order-3"}
    for order_id in orders.values():
        await shop.place_order(order_id)
    issues = {name: await shop.report(order_id) for name, order_id in orders.items()}
    ordered = {name: await shop.wait_for("replacement.ordered", issue_id=issues[name]) for name in orders}

    await shop.publish(first_answer(ordered["prompt"], ReplacementRejected), answers=ordered["prompt"])
    await shop.publish(first_answer(ordered["in stock"], ReplacementConfirmed), answers=ordered["in stock"])
    await shop.wait_for("notice.sent", issue_id=issues["late"], kind="issue_accepted")
    await shop.publish(first_answer(ordered["late"], ReplacementRejected), answers=ordered["late"])
    await shop.wait_for("notice.sent", issue_id=issues["late"], kind="choice_requested")
    await shop.wait_for("notice.sent", issue_id=issues["prompt"], kind="choice_requested")
    await shop.wait_for("notice.sent", issue_id=issues["in stock"], kind="issue_accepted")

    assert announced(shop, issues["prompt"]) == [("choice_requested", [])]
    assert announced(shop, issues["late"]) == [("issue_accepted", ["replacement_date"]), ("choice_requested", [])]
    assert announced(shop, issues["in stock"]) == [("issue_accepted", ["replacement"])]
