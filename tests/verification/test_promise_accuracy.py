"""Accuracy of first dates from the topics: which dates count, and under which name."""

from typing import Any

import pytest

from deploy.verification.promise_accuracy import measure_accuracy
from tests.verification.histories import ISSUE, LINE, ORDER_LINE, HistoryBuilder
from tests.verification.test_promise_integrity import DAY, ordered, ref

DELAYED = {"announces": [ref("2026-03-06", 2)], "supersedes": [ref("2026-03-03", 1)]}


def measured(story: HistoryBuilder, dimension: str = "warehouse") -> dict[tuple[str, str], tuple[int, int]]:
    """Kept dates and all that count, by kind and name."""
    groups = measure_accuracy(story.history())
    return {(each.kind, each.name): (each.kept.part, each.kept.whole) for each in groups if each.dimension == dimension}


def shipped(story: HistoryBuilder, at: float, **more: Any) -> HistoryBuilder:
    story.add("storefront.orders", "order.shipped", at, order_id="S1", lines=[LINE], **more)
    return story


def test_a_first_date_is_kept_by_a_shipment_on_its_day() -> None:
    assert measured(shipped(ordered(warehouse="osaka"), DAY)) == {("line", "osaka"): (1, 1)}


def test_a_first_date_is_missed_though_the_delay_was_announced_and_the_later_date_kept() -> None:
    story = ordered(warehouse="osaka")
    story.notice("order_delayed", DAY, **DELAYED)
    assert measured(shipped(story, 3 * DAY)) == {("line", "osaka"): (0, 1)}


def test_a_first_date_is_kept_though_a_later_one_was_announced() -> None:
    story = ordered()
    story.notice("order_delayed", DAY / 2, **DELAYED)
    assert measured(shipped(story, DAY)) == {("line", "unknown"): (1, 1)}


def test_a_date_that_was_cancelled_in_time_does_not_count() -> None:
    story = ordered()
    story.add("storefront.orders", "order.cancelled", 3, order_id="S1")
    assert measured(story) == {}


def test_a_date_that_may_still_be_kept_does_not_count() -> None:
    assert measured(ordered(promised_ship_date="2099-03-03")) == {}


def test_a_delivery_date_counts_for_the_carrier_of_its_parcel() -> None:
    story = ordered(promised_ship_date=None, promised_delivery_date="2026-03-04")
    shipped(story, DAY, carrier="yamato")
    story.add("storefront.orders", "order.delivered", 2 * DAY, order_id="S1", lines=[LINE])
    assert measured(story, "carrier") == {("delivery", "yamato"): (1, 1)}


def delivered_at(hours: float, **shipment: Any) -> dict[tuple[str, str], tuple[int, int]]:
    """Accuracy of the carrier of a shipment after a day, by the hours until its delivery."""
    story = shipped(ordered(promised_ship_date=None), DAY, **shipment)
    story.add("storefront.orders", "order.delivered", hours, order_id="S1", lines=[LINE])
    return measured(story, "carrier")


@pytest.mark.parametrize(("hours", "kept"), [(2 * DAY, 1), (3 * DAY, 0)])
def test_a_first_delivery_date_that_is_stated_with_the_shipment_counts(hours: float, kept: int) -> None:
    assert delivered_at(hours, expected_delivery_date="2026-03-04") == {("delivery", "unknown"): (kept, 1)}


def test_a_delivery_day_that_is_over_when_the_shipment_is_stated_does_not_count() -> None:
    assert delivered_at(2 * DAY, expected_delivery_date="2026-03-02") == {}


def test_a_delivery_date_stated_with_the_shipment_replaces_none_that_was_given_before() -> None:
    story = ordered(promised_ship_date=None, promised_delivery_date="2026-03-06")
    shipped(story, DAY, expected_delivery_date="2026-03-04")
    story.add("storefront.orders", "order.delivered", 7 * DAY, order_id="S1", lines=[LINE])
    assert measured(story, "carrier") == {("delivery", "unknown"): (0, 1)}


def test_a_delivery_date_of_a_cancelled_line_does_not_count() -> None:
    story = ordered(promised_ship_date=None)
    story.add("storefront.orders", "order.cancelled", 3, order_id="S1")
    assert measured(shipped(story, DAY, expected_delivery_date="2026-03-04"), "carrier") == {}


def test_a_first_delivery_date_that_is_stated_with_a_change_of_the_shipment_counts() -> None:
    story = shipped(ordered(promised_ship_date=None), DAY, shipment_id="P1")
    change = {"shipment_id": "P1", "expected_delivery_date": "2026-03-04"}
    story.add("storefront.orders", "shipment.changed", DAY + 1, order_id="S1", **change)
    assert measured(story, "carrier") == {("delivery", "unknown"): (0, 1)}


def test_a_first_delivery_date_that_is_stated_with_a_delay_of_shipped_lines_counts() -> None:
    story = shipped(ordered(promised_ship_date=None), DAY)
    story.add("storefront.orders", "order.delayed", DAY + 1, order_id="S1", promised_delivery_date="2026-03-04")
    assert measured(story, "carrier") == {("delivery", "unknown"): (0, 1)}


def test_the_ship_date_of_a_line_that_was_added_to_the_order_counts() -> None:
    story = ordered(promised_ship_date=None)
    added = {**ORDER_LINE, "line_id": "L2", "warehouse": "osaka"}
    story.add("storefront.orders", "order.changed", 1, order_id="S1", lines=[added])
    assert measured(story) == {("line", "osaka"): (0, 1)}


def test_a_replacement_counts_for_the_warehouse_of_the_reported_line() -> None:
    story = ordered(warehouse="osaka", promised_ship_date=None)
    story.issue("issue.accepted", 1, lines=[LINE])
    story.notice("issue_accepted", 2, issue_id=ISSUE, announces=[ref("2026-03-03", 0, "replacement", "R1")])
    shipped_at = {"shipped_at": "2026-03-03T05:00:00Z"}
    story.add("warehouse.events", "replacement.shipped", DAY, issue_id=ISSUE, replacement_id="R1", **shipped_at)
    assert measured(story) == {("replacement", "osaka"): (1, 1)}
