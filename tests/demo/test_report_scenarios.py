"""A replay depends on its seed only."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from uuid import NAMESPACE_OID, UUID, uuid5

from deploy.demo.data import bundled
from deploy.demo.partners.order_lifecycle import lifecycle_events
from deploy.demo.partners.report_scenarios import ReportChannel, ReportVariant, report_of_replacement, reports
from libs.common.events.issues import IssueReplacementDelivered
from libs.common.events.storefront import OrderPlaced, OrderPromiseChanged
from libs.common.events.values import LineQuantity, Reason

BOOK = bundled.read()


def test_buyers_of_kits_report_missing_parts_by_their_item() -> None:
    orders = BOOK.orders[:60]
    sold = {part.sku for order in orders for line in order.lines for part in line.parts}
    for seed in range(5):
        drawn = {part.sku for report in reports(orders, seed, 0.4) for line in report.lines for part in line.parts}
        assert drawn
        assert drawn <= sold


def test_the_same_seed_draws_the_same_reports() -> None:
    assert reports(BOOK.orders, 7, 0.3) == reports(BOOK.orders, 7, 0.3)


def test_another_seed_draws_other_reports() -> None:
    assert reports(BOOK.orders, 7, 0.3) != reports(BOOK.orders, 8, 0.3)


def test_the_reports_of_an_order_do_not_depend_on_other_orders() -> None:
    alone = [each for order in BOOK.orders[:50] for each in reports([order], 7, 0.3)]
    together = reports(BOOK.orders[:50], 7, 0.3)
    assert sorted(alone, key=lambda each: each.at) == together


def test_all_reasons_channels_and_variants_occur() -> None:
    drawn = reports(BOOK.orders, 1, 1.0)
    assert {each.reason for each in drawn} == set(Reason)
    assert {each.channel for each in drawn} == set(ReportChannel)
    assert {each.variant for each in drawn} == set(ReportVariant) - {ReportVariant.DEFECTIVE_REPLACEMENT}


def test_nobody_reports_before_delivery_but_for_what_never_arrived() -> None:
    delivered = {order.order_id: order.delivered_at for order in BOOK.orders}
    for each in reports(BOOK.orders, 1, 1.0):
        arrived = delivered.get(each.order_id)
        assert each.reason is Reason.LOST_IN_TRANSIT or arrived is None or each.at > arrived


def test_the_lifecycle_of_an_order_is_in_order_and_begins_with_its_placing() -> None:
    for order in BOOK.orders:
        events = lifecycle_events(order, BOOK.zone, seed=1)
        assert isinstance(events[0].payload, OrderPlaced)
        assert all(earlier.at <= later.at for earlier, later in pairwise(events))


def test_a_later_date_is_announced_before_the_promised_day_ends() -> None:
    for order in BOOK.orders:
        for event in lifecycle_events(order, BOOK.zone, seed=1):
            if isinstance(event.payload, OrderPromiseChanged) and event.payload.cause == "supplier_late":
                assert event.at.astimezone(BOOK.zone).date() <= order.promised_ship_date


def test_some_late_orders_are_not_announced() -> None:
    late = [o for o in BOOK.orders if o.shipped_at and o.shipped_at.date() > o.promised_ship_date]
    announced = [
        any(isinstance(t.payload, OrderPromiseChanged) for t in lifecycle_events(o, BOOK.zone, 1)) for o in late
    ]
    assert any(announced)
    assert not all(announced)


def test_every_event_of_an_order_has_a_name_of_its_own() -> None:
    for order in BOOK.orders:
        names = [event.name for event in lifecycle_events(order, BOOK.zone, seed=1)]
        assert len(names) == len(set(names))


def test_a_preorder_reports_its_progress_before_it_ships() -> None:
    preorder = next(order for order in BOOK.orders if order.is_preorder and order.shipped_at)
    stages = [event for event in lifecycle_events(preorder, BOOK.zone, seed=1) if event.name.startswith("progress")]
    assert len(stages) == 4
    assert preorder.shipped_at
    assert all(event.at < preorder.shipped_at + timedelta(seconds=1) for event in stages)


def test_a_report_sent_twice_has_the_same_time() -> None:
    drawn = reports(BOOK.orders, 1, 1.0)
    first = {each.key: each for each in drawn if each.variant is ReportVariant.NONE}
    twice = [each for each in drawn if each.variant is ReportVariant.SENT_TWICE]
    assert twice
    assert all(each.reported_at == first[each.key].reported_at for each in twice)


def test_a_few_replacements_are_reported_broken_themselves_and_never_before_they_arrived() -> None:
    at, pieces = datetime(2026, 3, 9, 5, tzinfo=UTC), (LineQuantity(line_id="L1", quantity=1),)
    facts = {"order_id": "S1", "customer_id": "C1", "replacement_id": UUID(int=1), "delivered_at": at, "lines": pieces}
    arrived = [
        IssueReplacementDelivered.model_validate({"issue_id": uuid5(NAMESPACE_OID, str(n)), **facts})
        for n in range(500)
    ]
    drawn = [report for each in arrived if (report := report_of_replacement(each, 1))]
    assert 0.04 < len(drawn) / len(arrived) < 0.13
    assert all(report.at > at and report.lines[0].line_id == "L1" for report in drawn)
    assert len({report.key for report in drawn}) == len(drawn)
