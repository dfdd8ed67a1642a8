"""Accuracy of first dates from the topics: which dates count, and under which name."""

from typing import Any

from deploy.verification.promise_accuracy import measure_accuracy
from deploy.verification.promise_integrity import judge_promises
from tests.verification.histories import ISSUE, LINE, HistoryBuilder
from tests.verification.test_promise_integrity import DAY, ordered, ref

DELAYED = {"announces": [ref("2026-03-06", 2)], "supersedes": [ref("2026-03-03", 1)]}


def measured(story: HistoryBuilder, dimension: str = "warehouse") -> dict[tuple[str, str], tuple[int, int]]:
    """Kept dates and all that count, by kind and name."""
    history = story.history()
    groups = measure_accuracy(history, judge_promises(history))
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


def test_a_replacement_counts_for_the_warehouse_of_the_reported_line() -> None:
    story = ordered(warehouse="osaka", promised_ship_date=None)
    story.issue("issue.accepted", 1, lines=[LINE])
    story.notice("issue_accepted", 2, issue_id=ISSUE, announces=[ref("2026-03-03", 0, "replacement", "R1")])
    shipped_at = {"shipped_at": "2026-03-03T05:00:00Z"}
    story.add("warehouse.events", "replacement.shipped", DAY, issue_id=ISSUE, replacement_id="R1", **shipped_at)
    assert measured(story) == {("replacement", "osaka"): (1, 1)}
