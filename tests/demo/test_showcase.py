"""The orders that `make demo` replays by default show every feature with the default seed."""

from collections import Counter
from datetime import timedelta

import pytest

from deploy.demo.data.order_sources import load_orders
from deploy.demo.data.orders import OrderDataset
from deploy.demo.partners.report_scenarios import BAD_LOTS, CustomerReport, ReportChannel, ReportVariant, reports
from deploy.demo.replay import Schedule
from deploy.demo.run import BUNDLED_ORDERS, REPORT_SHARE_BUNDLED
from libs.common.events.values import Reason

SEED = 1


@pytest.fixture(scope="module")
def showcase() -> OrderDataset:
    return load_orders(None, SEED, BUNDLED_ORDERS)


@pytest.fixture(scope="module")
def story(showcase: OrderDataset) -> list[CustomerReport]:
    """The reports before the end of the story."""
    ends_at = Schedule.of(showcase, whole=False).ends_at
    assert ends_at is not None
    return [report for report in reports(showcase.orders, SEED, REPORT_SHARE_BUNDLED) if report.at < ends_at]


def test_every_reason_is_reported_and_every_mistake_of_a_client_is_made(story: list[CustomerReport]) -> None:
    assert {report.reason for report in story} == set(Reason)
    of_replacements = {ReportVariant.DEFECTIVE_REPLACEMENT}
    assert {report.variant for report in story} == set(ReportVariant) - of_replacements
    assert {report.channel for report in story} == set(ReportChannel)


def test_enough_buyers_of_the_defective_lot_report_it_before_the_last_ones_are_served(
    showcase: OrderDataset, story: list[CustomerReport]
) -> None:
    buyers = [order for order in showcase.orders if any(line.lot in BAD_LOTS for line in order.lines)]
    reporters = {report.order_id for report in story}
    last = max(order.shipped_at for order in buyers if order.shipped_at)
    early = [each for each in buyers if each.delivered_at and each.delivered_at < last - timedelta(days=3)]
    assert sum(order.order_id in reporters for order in early) >= 7


def test_orders_are_late_preordered_cancelled_and_lost(showcase: OrderDataset) -> None:
    found = Counter[str]()
    for order in showcase.orders:
        found["late"] += bool(order.shipped_at and order.shipped_at.date() > order.promised_ship_date)
        found["preordered"] += order.is_preorder
        found["cancelled"] += bool(order.cancelled_at)
        found["lost"] += bool(order.shipped_at and not order.delivered_at)
    assert all(found[each] for each in ("late", "preordered", "cancelled", "lost"))


def test_the_story_ends_while_orders_are_still_on_their_way(
    showcase: OrderDataset, story: list[CustomerReport]
) -> None:
    schedule = Schedule.of(showcase, whole=False)
    assert schedule.ends_at is not None
    assert schedule.quiet_from is not None
    assert any(order.shipped_at and order.shipped_at > schedule.ends_at for order in showcase.orders)
    assert sum(report.at > schedule.quiet_from - timedelta(days=3) for report in story) >= 5
