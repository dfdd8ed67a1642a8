"""Histories of a refund that break an invariant, each by one change to a valid history."""

from tests.verification.histories import ISSUE, LINE, HistoryBuilder
from tests.verification.tampering import Tamper, in_database, with_event

PRICEY = {"amount": "1001", "currency": "JPY"}
TWICE_DELIVERED = {"order_id": "S1", "kept_amount": "2000"}


def _refunded_by_shop(story: HistoryBuilder) -> HistoryBuilder:
    back = {"order_id": "S1", "refund_id": "R1", "amount": {"amount": "1", "currency": "JPY"}}
    return with_event(story, "storefront.orders", "order.refunded", 99, **back)


def _charged_back(story: HistoryBuilder) -> HistoryBuilder:
    back = {"order_id": "S1", "transaction_id": "CB1", "amount": {"amount": "1", "currency": "JPY"}}
    return with_event(story, "payment.events", "payment.charged_back", 99, **back)


def _paid_by_two_transactions(story: HistoryBuilder) -> HistoryBuilder:
    first = story.with_data("refund.completed", transaction_id="T1")
    return first.repeated("refund.completed", transaction_id="T2")


def _came_back(story: HistoryBuilder) -> HistoryBuilder:
    back = {"refund_id": "f1", "transaction_id": "T3", "amount": {"amount": "1000", "currency": "JPY"}}
    return with_event(story, "payment.events", "refund.reversed", 110, issue_id=ISSUE, **back)


def _cut_refund(story: HistoryBuilder) -> HistoryBuilder:
    less = {"amount": {"amount": "900", "currency": "JPY"}}
    cut = story.without("item.received", "replacement.ordered", "points.granted").with_data("issue.refunded", **less)
    return cut.with_data("issue.resolved", fault="merchant")


def _kept_points(story: HistoryBuilder) -> HistoryBuilder:
    granted = {"customer_id": "C1", "entry_id": "g5", "points": 10, "cause": "order:S1:10", "order_id": "S1"}
    return with_event(story, "loyalty", "points.granted", 73, **granted)


TAMPERED_REFUND: list[tuple[str, str, Tamper]] = [
    ("counted_units", "paid before anything came back", lambda s: s.rescheduled("refund.requested", 90)),
    ("counted_units", "paid though nothing came back", lambda s: s.without("item.received")),
    (
        "counted_units",
        "paid more than was counted",
        lambda s: s.with_data("item.received", lines=[{**LINE, "line_id": "L9"}]),
    ),
    ("counted_units", "paid more than it cost", lambda s: s.with_data("refund.requested", amount={"amount": "1001"})),
    ("points_once", "all paid back, points kept", _kept_points),
    ("nothing_twice", "two refunds", lambda s: s.repeated("refund.requested", refund_id="f2")),
    ("nothing_twice", "paid twice", lambda s: s.repeated("refund.completed")),
    ("nothing_lost", "a refund never published", lambda s: s.without("issue.refunded")),
    ("free_of_charge", "a refund that was cut", _cut_refund),
    ("refunded_within_paid", "paid back more than was paid", lambda s: s.with_data("refund.requested", amount=PRICEY)),
    ("refunded_within_paid", "paid back beside the shop", _refunded_by_shop),
    ("refunded_within_paid", "paid back beside a chargeback", _charged_back),
    ("counted_money", "a second payment that nobody sees", _paid_by_two_transactions),
    ("counted_money", "a refund that came back unseen", _came_back),
    ("delivery_counts_once", "one delivery valued twice", in_database("loyalty", "orders", TWICE_DELIVERED)),
    ("counted_goods", "a box in no case", lambda s: s.without("issue.item_received")),
]
