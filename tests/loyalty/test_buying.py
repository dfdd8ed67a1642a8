"""Points for purchases: for what was delivered, kept and paid for, in whatever order it is heard."""

from itertools import permutations
from typing import Any

import pytest

from libs.common.decisions.facts import Ignored
from libs.common.events.loyalty import GrantKind, LegalBasis, PointsGranted
from libs.common.events.registry import AnyEvent
from libs.common.events.storefront import OrderCancelled
from services.loyalty.domain import orders
from services.loyalty.domain.decision_context import Terms
from services.loyalty.domain.orders import HandOver, Order
from services.loyalty.domain.purchases import order_of
from tests.loyalty.histories import (
    HOLD,
    NOON,
    RULES,
    Book,
    commit,
    delivered,
    event,
    order_changed,
    placed,
    refunded,
    reserve,
)


def kept(*events: AnyEvent) -> Order:
    order = Order("A-1")
    for one in events:
        order, _ = orders.decide(order, one, NOON)
    return order


def cancelled(*line_ids: str) -> AnyEvent:
    return event(OrderCancelled(order_id="A-1", line_ids=line_ids, cancelled_at=NOON))


def test_what_is_delivered_earns_a_share_of_its_price() -> None:
    assert Book().bought("4980").take(order_changed()).balances() == (49, 0)


def test_purchase_points_are_a_discount_and_count_for_the_tier() -> None:
    granted = Book().bought().take(order_changed()).said[0]
    assert isinstance(granted, PointsGranted)
    assert (granted.kind, granted.legal_basis, granted.counts_for_tier) == (
        GrantKind.PURCHASE,
        LegalBasis.DISCOUNT,
        True,
    )


def test_a_delivery_in_parts_earns_as_much_as_one_in_whole() -> None:
    book = Book().bought("199").take(order_changed()).bought("398").take(order_changed(version=2))
    assert book.balances() == (3, 0)
    assert [lot.granted for lot in book.account.lots.values()] == [1, 2]


def test_the_same_word_again_gives_nothing_more() -> None:
    assert Book().bought().take(order_changed(), order_changed()).outcomes[-1] == (Ignored("points_are_right"),)


def test_a_refund_takes_the_points_back_and_a_part_of_it_a_part() -> None:
    book = Book().bought("4980").take(order_changed(), refunded("2490"))
    assert book.balances() == (24, 0)
    assert book.take(refunded("2490", 2)).balances() == (0, 0)


def test_a_refund_after_the_points_were_spent_leaves_a_debt() -> None:
    book = Book().bought("49800").take(order_changed()).wait(HOLD).take(reserve(498), commit(), refunded("49800"))
    assert (book.account.purse.available, book.account.purse.debt) == (0, -498)


def test_a_refund_heard_twice_counts_once() -> None:
    assert Book().bought().take(order_changed(), refunded("2490"), refunded("2490")).balances() == (24, 0)


@pytest.mark.parametrize("order", list(permutations(range(3))))
def test_buy_refund_keep_does_not_work_in_any_order(order: tuple[int, ...]) -> None:
    steps = [order_changed(), refunded("4980"), order_changed(version=2)]
    assert Book().bought("4980").take(*(steps[n] for n in order), order_changed(version=3)).balances() == (0, 0)


def test_a_better_tier_later_does_not_make_old_goods_worth_more() -> None:
    book = Book().bought("9900").take(order_changed())
    book.bought("200000", "A-2").take(order_changed("A-2")).wait(HOLD)
    assert book.account.member().tier == "silver"
    assert book.take(order_changed(version=2)).outcomes[-1] == (Ignored("points_are_right"),)


def test_without_a_rule_purchases_earn_nothing() -> None:
    terms = Terms(RULES.model_copy(update={"purchase": None}))
    assert Book(terms=terms).bought().take(order_changed()).entries == []


def test_an_order_is_worth_what_was_delivered_of_it() -> None:
    assert kept(placed(quantity=3), delivered()).kept == 4980
    assert kept(placed(quantity=3), delivered(), delivered(quantity=9)).kept == 3 * 4980


@pytest.mark.parametrize("lines", [(), ("1",)])
def test_what_is_called_off_is_worth_nothing(lines: tuple[str, ...]) -> None:
    assert kept(placed(), delivered(), cancelled(*lines)).kept == 0
    assert kept(placed(), delivered(), cancelled("2")).kept == 4980


def test_a_delivery_before_the_order_counts_once_the_order_is_known() -> None:
    order, facts = orders.decide(kept(delivered()), placed(), NOON)
    assert order.kept == 4980
    assert [type(fact) for fact in facts] == [HandOver]


def test_each_change_is_handed_over_under_a_version_of_its_own() -> None:
    steps: list[Any] = [placed(quantity=2), delivered(), delivered(), cancelled()]
    versions, order = [], Order("A-1")
    for one in steps:
        order, facts = orders.decide(order, one, NOON)
        versions += [fact.version for fact in facts if isinstance(fact, HandOver)]
    assert versions == [1, 2, 3]


def test_prices_do_not_change_under_points() -> None:
    assert kept(placed(), delivered(), placed(amount="1")).kept == 4980


@pytest.mark.parametrize("order_id", ["A-1", "A:1", ":", "注文 7"])
def test_an_order_id_may_be_any_text(order_id: str) -> None:
    book = Book().bought("4980", order_id).take(order_changed(order_id))
    assert order_of(book.entries[0].cause) == order_id
