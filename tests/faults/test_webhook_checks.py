"""The checks of the way over HTTP name lost and overtaken webhooks, and taken events that are on no topic."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from deploy.verification.evidence import Fact, History
from libs.common.events.storefront import OrderCancelled
from tests.common import wire
from tests.faults.webhook_checks import taken_events_published, webhooks_delivered

NOW = datetime(2026, 3, 2, tzinfo=UTC)
TYPES = {"shop": ("order.cancelled.v1",)}


def fact(offset: int, key: str = "C-1") -> Fact:
    value = wire.event_bytes(OrderCancelled(order_id=f"O-{offset}", cause="one", cancelled_at=NOW), str(offset))
    return Fact("storefront.orders", 0, offset, key, value)


FACTS = [fact(1), fact(2), fact(3, "C-2")]
HISTORY = History(FACTS, ZoneInfo("Asia/Tokyo"), NOW)
ONE, TWO, OTHER = (each.identity for each in FACTS)


@pytest.mark.parametrize("arrived", [(ONE, TWO, OTHER), (OTHER, ONE, TWO), (ONE, ONE, TWO, ONE, OTHER)])
def test_webhooks_in_the_order_of_their_key_are_no_violation_however_often_they_repeat(
    arrived: tuple[tuple[str, str], ...],
) -> None:
    assert list(webhooks_delivered(HISTORY, TYPES, {"shop": arrived})) == []


@pytest.mark.parametrize(
    ("arrived", "named"),
    [((ONE, OTHER), "shop: no webhook"), ((TWO, ONE, OTHER), "out of order"), ((), "shop: no webhook")],
)
def test_a_lost_or_overtaken_webhook_is_named(arrived: tuple[tuple[str, str], ...], named: str) -> None:
    found = list(webhooks_delivered(HISTORY, TYPES, {"shop": arrived}))
    assert found
    assert all(named in each.description for each in found)


def test_a_taken_event_that_is_on_no_topic_is_named() -> None:
    assert list(taken_events_published(HISTORY, {ONE, TWO})) == []
    [found] = taken_events_published(HISTORY, {ONE, ("/bank", "9")})
    assert "event 9 of /bank" in found.description
