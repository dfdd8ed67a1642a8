"""Counts of delivered pieces by lot: the same sums in whatever order the events of an order arrive."""

from collections import Counter
from datetime import date
from itertools import permutations
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.common.events.issues import IssueAccepted
from libs.common.events.registry import AnyEvent
from libs.common.events.storefront import OrderDelivered, OrderShipped
from libs.common.events.values import LineQuantity, ShippedLine
from services.intake.domain.context import OrderState
from services.intake.domain.delivered_units import DeliveryKey, UnitsDelivered
from tests.intake.event_builders import (
    CUSTOMER,
    NOON,
    ORDER,
    RULES,
    after,
    by_http,
    counted_after,
    days,
    delivered,
    event,
    line,
    placed,
    submission,
)

TODAY = date(2026, 3, 10)


def shipped(*lots: tuple[int, str | None]) -> AnyEvent:
    lines = tuple(ShippedLine(line_id="1", quantity=quantity, lot=lot) for quantity, lot in lots)
    return event(OrderShipped(order_id=ORDER, lines=lines, shipped_at=NOON))


def sums(*events: AnyEvent) -> Counter[DeliveryKey]:
    _, facts = counted_after(events)
    found: Counter[DeliveryKey] = Counter()
    for fact in facts:
        if isinstance(fact, UnitsDelivered):
            assert (fact.order_id, fact.customer_id) == (ORDER, CUSTOMER)
            found[fact.delivery] += fact.quantity
    return +found


def arrival(lot: str = "", line_id: str = "1", day: date = TODAY) -> DeliveryKey:
    return DeliveryKey(line_id, f"SKU-{line_id}", lot, day)


@pytest.mark.parametrize(
    ("news", "expected"),
    [
        ([delivered()], {arrival(): 2}),
        ([shipped((2, "A")), delivered()], {arrival("A"): 2}),
        ([shipped((1, "A"), (1, "B")), delivered()], {arrival("A"): 1, arrival("B"): 1}),
        ([shipped((1, "A"), (1, "B")), delivered(quantity=1)], {arrival("A"): 1}),
        ([shipped((1, "A")), delivered()], {arrival("A"): 1, arrival(): 1}),
        ([shipped((2, "A"))], {}),
        ([delivered(quantity=1), delivered(quantity=1, at=NOON + days(1))],
         {arrival(): 1, arrival(day=date(2026, 3, 11)): 1}),
        ([delivered(quantity=5)], {arrival(): 2}),
        ([delivered("2", 1)], {arrival(line_id="2"): 1}),
        ([delivered("9", 1)], {}),
    ],
)  # fmt: skip
def test_pieces_count_when_they_arrive(news: list[AnyEvent], expected: dict[DeliveryKey, int]) -> None:
    for order in permutations([placed(), *news]):
        if [event for event in order if isinstance(event.data, OrderDelivered)] == [
            event for event in news if isinstance(event.data, OrderDelivered)
        ]:
            assert sums(*order) == expected


@given(st.lists(st.tuples(st.integers(1, 3), st.sampled_from(["A", "B", None])), max_size=4), st.integers(0, 6))
def test_no_more_pieces_count_than_were_ordered_and_arrived(lots: list[tuple[int, str | None]], count: int) -> None:
    lines = (LineQuantity(line_id="1", quantity=count),) if count else ()
    arrived = [event(OrderDelivered(order_id=ORDER, lines=lines, delivered_at=NOON))] if count else []
    news = [placed(line("1", 4)), *([shipped(*lots)] if lots else []), *arrived]
    found = sums(*news)
    assert found.total() == min(count, 4)
    assert all(
        found[delivery] <= sum(q for q, lot in lots if (lot or "") == delivery.lot)
        for delivery in found
        if delivery.lot
    )


def accepted_lot(*news: AnyEvent, quantity: int) -> Any:
    _, facts = after([placed(), *news, by_http(submission(quantity))])
    return next(fact for fact in facts if isinstance(fact, IssueAccepted)).lines[0].lot


def test_an_accepted_issue_tells_the_lot_of_its_pieces_where_there_is_one() -> None:
    assert accepted_lot(shipped((2, "A")), delivered(), quantity=2) == "A"
    assert accepted_lot(shipped((1, "A"), (1, "B")), delivered(), quantity=1) == "A"
    assert accepted_lot(shipped((1, "A"), (1, "B")), delivered(), quantity=2) is None
    assert accepted_lot(delivered(), quantity=1) is None


def test_orders_kept_before_lots_were_known_still_read() -> None:
    from pydantic import TypeAdapter

    from services.intake.domain.orders import Order

    old = '{"order_id": "O-1", "moved": {"1": {"shipped": [{"day": "2026-03-10", "quantity": 2}]}}}'
    context = OrderState(TypeAdapter(Order).validate_json(old))
    assert context.order.movements_of("1").lot_of(1) is None
    assert RULES.zone.key == "Asia/Tokyo"
