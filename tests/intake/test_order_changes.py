"""Orders that change: added, reduced and removed lines, in any order of arrival, and a history sent again."""

from itertools import permutations

import pytest

from libs.common.decisions.facts import Ignored
from libs.common.events.issues import IssueAccepted
from libs.common.events.registry import AnyEvent
from libs.common.events.storefront import OrderChanged
from libs.common.events.values import Component
from services.intake.domain.context import OrderState
from tests.intake.event_builders import (
    CUSTOMER,
    NOON,
    ORDER,
    after,
    by_http,
    days,
    delivered,
    event,
    line,
    placed,
    shipped,
    submission,
)


def changed(*lines: object, day: int = 1) -> AnyEvent:
    at = NOON + days(day)
    return event(OrderChanged(order_id=ORDER, customer_id=CUSTOMER, changed_at=at, lines=lines), at=at)


def quantities(context: OrderState) -> dict[str, int]:
    assert context.order.purchase is not None
    return {each.line_id: each.quantity for each in context.order.purchase.lines}


@pytest.mark.parametrize("order", list(permutations(range(3))))
def test_the_newest_statement_of_each_line_counts_whenever_it_arrives(order: tuple[int, ...]) -> None:
    events = [placed(), changed(line("1", 5), line("3", 1), day=1), changed(line("1", 1), day=2)]
    context, _ = after([events[index] for index in order])
    assert quantities(context) == {"1": 1, "2": 1, "3": 1}


LID = Component(sku="LID", name="Lid")


@pytest.mark.parametrize("order", list(permutations(range(3))))
def test_a_statement_without_components_keeps_those_of_the_item(order: tuple[int, ...]) -> None:
    kit = line("1", 1).model_copy(update={"components": (LID,)})
    events = [placed(), changed(kit, day=1), changed(line("1", 2), day=2)]
    context, _ = after([events[index] for index in order])
    assert context.order.purchase is not None
    found = context.order.purchase.line("1")
    assert found is not None
    assert (found.quantity, found.components) == (2, (LID,))


def test_another_item_of_a_line_has_no_components_of_the_one_before() -> None:
    kit = line("1", 1).model_copy(update={"components": (LID,)})
    context, _ = after(
        [placed(), changed(kit, day=1), changed(kit.model_copy(update={"sku": "X", "components": ()}), day=2)]
    )
    assert context.order.purchase is not None
    assert [each.components for each in context.order.purchase.lines if each.line_id == "1"] == [()]


def moved(market: str, day: int) -> AnyEvent:
    at = NOON + days(day)
    return event(OrderChanged(order_id=ORDER, customer_id=CUSTOMER, changed_at=at, market=market), at=at)


def corrected(market: str, day: int) -> AnyEvent:
    order = placed().data
    return event(order.model_copy(update={"market": market, "updated_at": NOON + days(day)}), at=NOON + days(day))


@pytest.mark.parametrize("order", list(permutations(range(3))))
def test_the_newest_market_counts_whenever_it_arrives(order: tuple[int, ...]) -> None:
    events = [placed(), moved("FR", day=1), moved("DE", day=2)]
    context, _ = after([events[index] for index in order])
    assert context.order.purchase is not None
    assert context.order.purchase.market == "DE"


@pytest.mark.parametrize(("day", "market"), [(1, "FR"), (3, "DE")])
def test_a_corrected_order_sets_the_market_unless_a_newer_change_did(day: int, market: str) -> None:
    context, _ = after([placed(), moved("FR", day=2), corrected("DE", day)])
    assert context.order.purchase is not None
    assert context.order.purchase.market == market


def test_a_removed_line_stays_known_with_no_unit() -> None:
    context, _ = after([placed(), changed(line("2", 0))])
    assert quantities(context) == {"1": 2, "2": 0}


def test_a_history_sent_again_undoes_no_correction_and_counts_nothing_twice() -> None:
    history = [placed(), shipped(quantity=2), delivered(quantity=2)]
    once, _ = after([*history, changed(line("1", 3))])
    again = [event(each.data, at=NOON + days(30)) for each in history]
    twice, facts = after(again, context=once)
    assert twice.order == once.order
    assert {type(fact) for fact in facts} == {Ignored}
    assert twice.order.movements_of("1").delivered_quantity == 2


def test_virtual_goods_can_be_reported_without_a_delivery() -> None:
    voucher = line("1", 1).model_copy(update={"requires_shipping": False})
    _, facts = after([placed(voucher), by_http(submission(1))])
    assert any(isinstance(fact, IssueAccepted) for fact in facts)
