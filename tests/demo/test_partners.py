"""Events of the partners: pure, drawn from a seed."""

import random
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest

from deploy.demo.partners import courier, payment, warehouse
from deploy.demo.partners.codec import ReceivedEvent, ScheduledEvent, encode_event
from deploy.demo.partners.customers import NEW_ADDRESS, fill_form
from deploy.demo.partners.page_forms import answers_on, forms_of
from deploy.demo.partners.partner import Partner
from deploy.demo.partners.settings import PartnerSettings
from libs.common.events.carrier import (
    CollectionAttemptFailed,
    CollectionBooked,
    CollectionRequested,
    ParcelDelivered,
    ParcelFound,
)
from libs.common.events.envelope import Payload
from libs.common.events.issues import IssueAccepted
from libs.common.events.payment import RefundCompleted, RefundFailed, RefundRequested, RefundReversed
from libs.common.events.registry import AnyEvent, decode, event_class
from libs.common.events.values import Address, IssueLine, Money, Reason
from libs.common.events.warehouse import (
    ItemInspected,
    ItemReceived,
    ReplacementConfirmed,
    ReplacementOrdered,
    ReplacementRejected,
    ReplacementShipped,
)

ZONE = ZoneInfo("Asia/Tokyo")
NOW = datetime(2026, 3, 10, 1, 0, tzinfo=UTC)
ISSUE, REPLACEMENT, COLLECTION, REFUND = (UUID(int=number) for number in range(1, 5))
PRICE = Money(amount=Decimal(1000), currency="JPY")
LINE = IssueLine(line_id="L1", quantity=2, sku="CUP", name="cup", unit_price=PRICE)
HOME = Address(name="架空 一花", postal_code="100-0000", country="JP", city="架空区", street="架空町1-1")
SEEDS = range(300)


def ordered(replacement: UUID = REPLACEMENT) -> ReplacementOrdered:
    return ReplacementOrdered(
        issue_id=ISSUE,
        order_id="S1",
        customer_id="C1",
        replacement_id=replacement,
        lines=(LINE,),
        ship_to=HOME,
        promised_ship_date=date(2026, 3, 11),
        ordered_at=NOW,
    )


def shipped() -> ReplacementShipped:
    at = NOW + timedelta(days=1)
    return ReplacementShipped(
        issue_id=ISSUE, replacement_id=REPLACEMENT, shipped_at=at, expected_delivery_date=date(2026, 3, 13)
    )


def collection(attempt: int = 1) -> CollectionRequested:
    return CollectionRequested(
        issue_id=ISSUE,
        order_id="S1",
        customer_id="C1",
        collection_id=COLLECTION,
        lines=(LINE,),
        collect_from=HOME,
        earliest_date=date(2026, 3, 13),
        attempt=attempt,
        requested_at=NOW,
    )


def refund() -> RefundRequested:
    return RefundRequested(
        issue_id=ISSUE, order_id="S1", customer_id="C1", refund_id=REFUND, amount=PRICE, requested_at=NOW
    )


def envelope(payload: ReplacementOrdered | RefundRequested, id: str) -> AnyEvent:
    return event_class(type(payload))(id=id, source="/returns", type=payload.TYPE, time=NOW, data=payload)


def partner() -> Partner:
    return Partner("warehouse", PartnerSettings(repeat_share=0))


@pytest.mark.parametrize("attempt", [1, 2])
def test_the_warehouse_publishes_in_order(attempt: int) -> None:
    for seed in SEEDS:
        events = warehouse.fulfilment_events(ordered(), NOW, attempt, random.Random(seed), ZONE)
        assert all(earlier.at < later.at for earlier, later in pairwise(events))


def test_the_warehouse_does_all_that_warehouses_do() -> None:
    plans = [warehouse.fulfilment_events(ordered(), NOW, 1, random.Random(seed), ZONE) for seed in SEEDS]
    refusals = [event[0].payload for event in plans if isinstance(event[0].payload, ReplacementRejected)]
    kinds = {event.payload.TYPE for plan in plans for event in plan}
    assert kinds == {
        "replacement.confirmed.v1",
        "replacement.delayed.v1",
        "replacement.rejected.v1",
        "replacement.shipped.v1",
    }
    assert {refusal.restock_date is None for refusal in refusals} == {True, False}


def test_asked_a_second_time_the_warehouse_has_it() -> None:
    for seed in SEEDS:
        events = warehouse.fulfilment_events(ordered(), NOW, 2, random.Random(seed), ZONE)
        assert isinstance(events[0].payload, ReplacementConfirmed)


def test_the_same_replacement_order_is_handled_once() -> None:
    house = warehouse.Warehouse(partner())
    for name in ("first", "first", "asked again"):
        house.handle(ReceivedEvent(envelope(ordered(), name), {}))
    assert house.attempts[ISSUE] == 1


@pytest.mark.parametrize(("days_before_the_rest", "answers"), [(8.1, True), (7.9, False), (6.1, False), (5.9, True)])
def test_the_warehouse_never_answers_the_orders_of_some_days(days_before_the_rest: float, answers: bool) -> None:
    quiet_from = NOW + timedelta(days=days_before_the_rest)
    house = warehouse.Warehouse(Partner("warehouse", PartnerSettings(repeat_share=0, quiet_from=quiet_from)))
    for name in ("first", "asked again", "asked by staff"):
        house.handle(ReceivedEvent(envelope(ordered(), name), {}))
    assert bool(house.attempts[ISSUE]) is answers


def test_the_warehouse_answers_all_orders_where_the_story_has_no_end() -> None:
    house = warehouse.Warehouse(partner())
    house.handle(ReceivedEvent(envelope(ordered(), "first"), {}))
    house.handle(ReceivedEvent(envelope(ordered(), "asked again"), {}))
    assert house.silent_about == set()


def test_nothing_ships_before_it_was_confirmed_or_on_a_day_before_the_confirmed_one() -> None:
    for seed in SEEDS:
        events = warehouse.fulfilment_events(ordered(), NOW, 2, random.Random(seed), ZONE)
        confirmed, left = events[0].payload, events[-1]
        assert isinstance(confirmed, ReplacementConfirmed)
        assert left.at.astimezone(ZONE).date() >= confirmed.ship_date


def test_what_comes_back_is_counted_then_inspected_short_or_one_too_many_now_and_then() -> None:
    for seed in SEEDS:
        received, inspected = warehouse.return_events(collection(), NOW, random.Random(seed), ZONE)
        assert isinstance(received.payload, ItemReceived)
        assert isinstance(inspected.payload, ItemInspected)
        assert NOW < received.at < inspected.at
        assert received.payload.lines[0].quantity in (1, 2, 3)


def test_a_parcel_is_delivered_once_with_or_without_exceptions_and_raw_scans() -> None:
    direct = set()
    for seed in SEEDS:
        events = courier.delivery_events(shipped(), random.Random(seed), ZONE)
        arrivals = [planned.payload for planned in events if courier.is_delivery(planned)]
        assert len(arrivals) == 1
        direct.add(isinstance(arrivals[0], ParcelDelivered))
    assert direct == {True, False}


def test_several_pieces_leave_in_parts_or_run_short_now_and_then() -> None:
    order = ordered()
    several = order.model_copy(update={"lines": (order.lines[0].model_copy(update={"quantity": 3}),)})
    plans = [warehouse.fulfilment_events(several, NOW, 1, random.Random(seed), ZONE) for seed in SEEDS]
    parcels = [sum(isinstance(event.payload, ReplacementShipped) for event in plan) for plan in plans]
    short = [event.payload.lines for plan in plans for event in plan if isinstance(event.payload, ReplacementRejected)]
    assert 2 in parcels
    assert any(short)


def test_the_courier_never_comes_before_the_earliest_date_or_the_replacement() -> None:
    arrives = datetime(2026, 3, 15, 5, 0, tzinfo=UTC)
    for seed in SEEDS:
        booked, happened = courier.collection_events(collection(), NOW, arrives, random.Random(seed), ZONE)
        assert isinstance(booked.payload, CollectionBooked)
        assert booked.payload.window.day >= date(2026, 3, 13)
        assert happened.at > arrives


def test_now_and_then_nobody_is_at_home() -> None:
    plans = [courier.collection_events(collection(), NOW, None, random.Random(seed), ZONE) for seed in SEEDS]
    assert 0 < sum(isinstance(plan[1].payload, CollectionAttemptFailed) for plan in plans) < 60


def refund_plans(attempt: int) -> list[list[Payload]]:
    return [
        [each.payload for each in payment.refund_events(refund(), NOW, attempt, random.Random(seed))] for seed in SEEDS
    ]


def test_a_refund_fails_at_most_once_and_may_then_be_asked_for_again() -> None:
    failed = [each for plan in refund_plans(1) for each in plan if isinstance(each, RefundFailed)]
    assert failed
    assert all(each.retriable for each in failed)
    assert all(isinstance(each, RefundCompleted) for plan in refund_plans(2) for each in plan)


def test_two_payments_of_a_refund_add_up_to_it_unless_it_was_paid_twice() -> None:
    totals = []
    for plan in refund_plans(1):
        paid = [each for each in plan if isinstance(each, RefundCompleted)]
        assert len({each.transaction_id for each in paid}) == len(paid)
        if len(paid) == 2:
            totals.append(sum(each.amount.amount for each in paid) / refund().amount.amount)
    assert set(totals) == {1, 2}


def test_a_few_refunds_come_back_after_they_were_paid() -> None:
    back = [plan for plan in refund_plans(1) if isinstance(plan[-1], RefundReversed)]
    assert 0 < len(back) < len(SEEDS) / 5
    assert all(isinstance(plan[0], RefundCompleted) for plan in back)


def test_a_refund_that_was_paid_is_not_paid_again() -> None:
    provider = payment.PaymentProvider(partner())
    for name in ("one", "two", "three", "four"):
        provider.handle(ReceivedEvent(envelope(refund(), name), {}))
    assert len(provider.paid) == 1
    assert len(provider.requests[REFUND]) <= 2


def test_a_repeated_event_has_the_same_id() -> None:
    planned = ScheduledEvent(NOW, "shipped-1", shipped())
    assert decode(encode_event("warehouse", planned)) == decode(encode_event("warehouse", planned))


def test_a_page_is_answered_by_its_buttons_with_its_hidden_fields() -> None:
    page = """<form method="post" action="/c/token"><input type="hidden" name="t" value="x">
        <button name="choice" value="wait">Wait</button><button name="choice" value="cancel">Cancel</button></form>"""
    assert answers_on(page) == [("/c/token", {"t": "x", "choice": c}) for c in ("wait", "cancel")]


def test_a_date_field_is_filled_with_the_first_day_it_allows() -> None:
    page = '<form action=""><input type="date" name="day" min="2026-03-12"><button name="choice" value="change"></form>'
    assert answers_on(page) == [("", {"day": "2026-03-12", "choice": "change"})]


CHOICE_PAGE = """<form method="post"><input type="radio" name="choice" value="wait">
<input type="radio" name="choice" value="change"><select name="change"><option value="date"><option value="item">
<option value="address"></select><input type="date" name="requested_date" min="2026-03-12"><input name="requested_sku">
<input name="street"><input type="radio" name="choice" value="cancel"></form>"""


def test_what_can_be_changed_is_an_answer_of_its_own_each() -> None:
    answers = [(fields["choice"], fields.get("change")) for _, fields in answers_on(CHOICE_PAGE)]
    changes = [("change", each) for each in ("date", "item", "address")]
    assert answers == [("wait", None), *changes, ("cancel", None)]


def test_customers_write_what_they_want_beside_their_answer() -> None:
    rng = random.Random(1)
    answers = [fill_form(fields, rng, ["CUP-12"]) for _, fields in answers_on(CHOICE_PAGE)]
    by_change = {fields["change"]: fields for fields in answers if fields["choice"] == "change"}
    assert "2026-03-19" <= by_change["date"]["requested_date"] <= "2026-04-02"
    assert by_change["item"]["requested_sku"] == "CUP-12"
    assert by_change["address"]["street"] == NEW_ADDRESS["street"]
    assert answers[0]["street"] == ""


def test_a_window_is_chosen_from_the_list_of_the_page() -> None:
    page = (
        '<form action="/w"><select name="window"><option value="a"><option value="b"></select><button></button></form>'
    )
    assert [form.lists for form in forms_of(page)] == [{"window": ["a", "b"]}]


def accepted(reason: Reason) -> IssueAccepted:
    return IssueAccepted(
        issue_id=ISSUE, order_id="S1", customer_id="C1", reason=reason, lines=(LINE,), reported_at=NOW, accepted_at=NOW
    )


def test_lost_parcels_turn_up_at_the_customers_or_on_their_way_back_or_never() -> None:
    plans = [courier.search_result(accepted(Reason.LOST_IN_TRANSIT), random.Random(seed)) for seed in SEEDS]
    found = [plan.payload for plan in plans if plan]
    assert 0.5 < len(found) / len(SEEDS) < 0.7
    assert {each.with_customer for each in found if isinstance(each, ParcelFound)} == {True, False}
    assert all(plan.at > NOW for plan in plans if plan)


def test_only_a_parcel_that_is_lost_is_looked_for() -> None:
    assert not any(courier.search_result(accepted(Reason.DEFECTIVE), random.Random(seed)) for seed in SEEDS)
