"""Courses that the auditor must not take for violations, and the violations next to them."""

from dataclasses import replace
from typing import Any

import pytest

from deploy.verification.auditor import CHECKS
from deploy.verification.verdict import run_check
from tests.verification.histories import (
    ISSUE,
    LINE,
    START,
    TRACE,
    HistoryBuilder,
    merged_history,
    refund_history,
    valid_history,
)
from tests.verification.tampering import OTHER, OTHER_TRACE, with_event

YEN = {"amount": "1000", "currency": "JPY"}


def violations(name: str, story: HistoryBuilder) -> list[str]:
    return [each.description for each in run_check(name, CHECKS[name], story.history()).violations or ()]


def moved(story: HistoryBuilder, customer: str, *kinds: str) -> HistoryBuilder:
    """The same history with facts of these types under another account, in the partition of that account."""
    facts = [replace(fact, partition=1) if fact.type in kinds else fact for fact in story.facts]
    story = replace(story, facts=sorted(facts, key=lambda fact: -fact.partition))
    for kind in kinds:
        story = story.with_data(kind, customer_id=customer)
    return story


LATE = ("issue.replacement_shipped", "issue.replacement_delivered", "issue.resolved")


def test_facts_of_a_merged_customer_move_to_the_partition_of_the_account_that_remains() -> None:
    assert violations("in_order_per_issue", moved(merged_history(), "C2", *LATE)) == []
    assert violations("ship_first", moved(merged_history(), "C2", *LATE)) == []


def test_facts_of_an_account_that_was_not_merged_stay_in_one_partition() -> None:
    assert violations("in_order_per_issue", moved(valid_history(), "C2", *LATE))
    assert violations("in_order_per_issue", moved(merged_history(), "C1", *LATE))


def test_order_is_judged_across_the_partitions_of_merged_accounts() -> None:
    late = moved(merged_history(), "C2", *LATE[1:]).rescheduled("issue.replacement_shipped", 130)
    assert any("precedes" in each for each in violations("in_order_per_issue", late))


def again(story: HistoryBuilder) -> HistoryBuilder:
    """The history with the refund of it requested and paid once more, under another id."""
    asked: dict[str, Any] = {"issue_id": ISSUE, "order_id": "S1", "refund_id": "f2", "amount": YEN}
    return with_event(story, "payment.orders", "refund.requested", 120, customer_id="C1", **asked)


def came_back(story: HistoryBuilder, amount: str = "1000") -> HistoryBuilder:
    back = {"refund_id": "f1", "transaction_id": "T9", "amount": {**YEN, "amount": amount}}
    return with_event(story, "payment.events", "refund.reversed", 110, issue_id=ISSUE, **back)


@pytest.mark.parametrize("name", ["nothing_twice", "counted_units", "refunded_within_paid"])
def test_money_that_came_back_may_be_paid_again(name: str) -> None:
    assert violations(name, again(came_back(refund_history()))) == []
    assert violations(name, again(refund_history()))


@pytest.mark.parametrize("name", ["counted_units", "refunded_within_paid"])
def test_no_more_than_what_came_back_is_paid_again(name: str) -> None:
    assert violations(name, again(came_back(refund_history(), "999")))


def test_a_purchase_whose_refund_came_back_may_keep_its_points() -> None:
    points = {"cause": "order:S1", "points": 10, "entry_id": "p1"}
    story = with_event(refund_history(), "loyalty", "points.granted", 60, order_id="S1", customer_id="C1", **points)
    back = {"issue_id": ISSUE, "order_id": "S1", "refund_id": "f1", "transaction_id": "T9", "amount": YEN}
    returned = with_event(story, "issues", "issue.refund_reversed", 110, customer_id="C1", **back)
    assert any("points left" in each for each in violations("points_once", story))
    assert not any("points left" in each for each in violations("points_once", returned))


def test_a_collection_that_was_called_off_may_be_requested_again() -> None:
    asked = {"issue_id": ISSUE, "order_id": "S1", "collection_id": "c2", "earliest_date": "2026-03-08"}
    twice = with_event(valid_history(), "carrier.orders", "collection.requested", 110, **asked)
    ended = {"issue_id": ISSUE, "collection_id": "c1"}
    called_off = with_event(twice, "carrier.orders", "collection.cancelled", 109, **ended)
    assert violations("nothing_twice", called_off) == []
    assert violations("nothing_twice", twice)


@pytest.mark.parametrize(("cause", "found"), [("units_unshipped", 0), ("supplier", 1)])
def test_a_new_date_after_the_shipment_is_right_only_for_units_that_did_not_leave(cause: str, found: int) -> None:
    delay = {"issue_id": ISSUE, "order_id": "S1", "replacement_id": "r1", "version": 2, "cause": cause}
    dates = {"ship_date": "2026-03-07", "previous_ship_date": "2026-03-06"}
    story = with_event(valid_history(), "issues", "issue.replacement_delayed", 97, **delay, **dates)
    story.notice("replacement_delayed", 97.1, issue_id=ISSUE, promised_date="2026-03-07")
    older = [each for each in violations("notice_before_promise_breaks", story) if "older" in each]
    assert len(older) == found


@pytest.mark.parametrize(
    ("hours", "cause", "found"), [(100.0, "charged_back", 0), (100.0, "no_address", 1), (99.0, "charged_back", 1)]
)
def test_money_that_went_back_twice_at_one_moment_is_a_matter_of_staff(hours: float, cause: str, found: int) -> None:
    back = {"order_id": "S1", "transaction_id": "CB", "amount": YEN}
    story = with_event(refund_history(), "payment.events", "payment.charged_back", hours, **back)
    story = with_event(story, "issues", "issue.review_requested", 100.5, issue_id=ISSUE, order_id="S1", cause=cause)
    assert len(violations("refunded_within_paid", story)) == found


def booked_late(attempt: int) -> HistoryBuilder:
    """A history in which the only booking has no effect: a second request came before it was read."""
    story = valid_history().without("issue.collection_booked").with_data("collection.booked", attempt=attempt)
    again = {"issue_id": ISSUE, "order_id": "S1", "collection_id": "c1", "earliest_date": "2026-03-07", "attempt": 2}
    return with_event(story, "carrier.orders", "collection.requested", 97.5, **again)


def test_a_booking_of_a_former_request_is_not_due_before_the_collection() -> None:
    assert not any("precedes" in each for each in violations("in_order_per_issue", booked_late(attempt=1)))
    assert any("precedes" in each for each in violations("in_order_per_issue", booked_late(attempt=2)))


def collected_again(after: str) -> HistoryBuilder:
    """A history in which the goods are collected a second time, after this event of a partner."""
    ids = {"issue_id": ISSUE, "order_id": "S1"}
    story = with_event(valid_history(), "warehouse.orders", after, 152, **ids, return_id="x1", receipt_id="gate-1")
    again = {"collection_id": "c2", "earliest_date": "2026-03-09", "attempt": 2}
    return with_event(story, "carrier.orders", "collection.requested", 152, **ids, **again)


def test_goods_are_collected_again_once_something_else_was_sent_back() -> None:
    assert violations("nothing_twice", collected_again("item.return_ordered")) == []
    assert violations("nothing_twice", collected_again("replacement.readdressed"))


def counted_by_staff(trace: str) -> HistoryBuilder:
    """A history in which staff take lost goods for received, by a decision with this trace."""
    story = refund_history()
    story.add("issues", "issue.staff_decision_applied", 100, trace, issue_id=ISSUE, action="approve_review")
    return story.without("item.received")


def test_goods_that_staff_take_for_received_are_counted() -> None:
    assert violations("counted_units", counted_by_staff(TRACE)) == []
    assert violations("counted_units", counted_by_staff(OTHER_TRACE))


def other_papers(**shown: str) -> HistoryBuilder:
    """A history with a box that names an issue of nobody."""
    box = {"issue_id": OTHER, "lines": [LINE], "received_at": START.isoformat(), "receipt_id": "gate-9"}
    story = with_event(valid_history(), "warehouse.events", "item.received", 151, **box)
    return with_event(story, "anomalies", "anomaly.detected", 151, thing="count:gate-9", **shown)


def test_a_box_that_names_an_issue_of_nobody_is_kept_and_shown() -> None:
    assert violations("nothing_lost", other_papers(detail=f"issue {OTHER}")) == []
    assert violations("nothing_lost", other_papers(detail="issue of somebody"))


def swapped_again() -> HistoryBuilder:
    """A history in which the goods are collected a second time, and the courier swaps the records of that visit."""
    story = valid_history().without("issue.collection_booked")
    for kind in ("collection.collected", "collection.booked"):
        story = with_event(story, "carrier.events", kind, 122, issue_id=ISSUE, collection_id="c2")
    return story


def test_each_collection_is_judged_by_the_order_of_its_own_records() -> None:
    assert not any("precedes" in each for each in violations("in_order_per_issue", swapped_again()))
    once = valid_history().without("issue.collection_booked")
    assert any("precedes" in each for each in violations("in_order_per_issue", once))


def paid_by_units(second_receipt: str) -> HistoryBuilder:
    """A history with a second refund, after a second event of this type about the goods."""
    story = with_event(refund_history(), "issues", second_receipt, 119, issue_id=ISSUE, order_id="S1", lines=[LINE])
    return again(story)


def test_units_that_come_back_one_by_one_are_paid_back_one_by_one() -> None:
    assert violations("nothing_twice", paid_by_units("issue.item_received")) == []
    assert violations("nothing_twice", paid_by_units("issue.item_inspected"))


def sent_in_spite(cause: str) -> HistoryBuilder:
    """A history with a second replacement that was cancelled, left all the same, and was reviewed for this cause."""
    ids = {"issue_id": ISSUE, "order_id": "S1", "replacement_id": "r2"}
    story = with_event(valid_history(), "warehouse.orders", "replacement.cancelled", 121, **ids)
    story = with_event(story, "warehouse.events", "replacement.shipped", 122, **ids)
    return with_event(story, "issues", "issue.review_requested", 122, issue_id=ISSUE, order_id="S1", cause=cause)


def test_a_parcel_that_left_in_spite_of_its_cancellation_is_a_matter_for_staff() -> None:
    assert violations("nothing_lost", sent_in_spite("moved_after_stop")) == []
    assert violations("nothing_lost", sent_in_spite("value"))
