"""Purchase points: for goods delivered, kept and paid for, in any order of events."""

from dataclasses import replace
from decimal import Decimal
from itertools import permutations
from typing import Any

import pytest

from libs.common.decisions.facts import Ignored
from libs.common.events.issues import IssueRefunded, IssueRefundReversed
from libs.common.events.loyalty import GrantKind, LegalBasis, PointsGranted
from libs.common.events.registry import AnyEvent
from libs.common.events.storefront import OrderCancelled, OrderPlaced
from libs.common.events.values import Fault, Money, PaidLine, Reason, Remedy
from services.loyalty.domain.decide import decide_order
from services.loyalty.domain.ledger_rules import LedgerRules
from services.loyalty.domain.orders import BirthdayProvided, PurchaseChanged, PurchasedOrder
from services.loyalty.ledger.accounts import PurchaseLine, PurchaseValue
from services.loyalty.ledger.causes import order_id_of
from tests.loyalty.histories import (
    HOLD,
    NOON,
    ORDER,
    RULES,
    InMemoryLedger,
    commit,
    delivered,
    event,
    order_changed,
    placed,
    refunded,
    reserve,
    resolved,
)


def order_after(*events: AnyEvent) -> PurchasedOrder:
    order = PurchasedOrder("A-1")
    for incoming in events:
        order, _ = decide_order(order, incoming, NOON)
    return order


def cancelled(*line_ids: str) -> AnyEvent:
    return event(OrderCancelled(order_id="A-1", line_ids=line_ids, cancelled_at=NOON))


def test_delivered_goods_earn_a_share_of_their_price() -> None:
    assert InMemoryLedger().with_purchase("4980").apply(order_changed()).balances() == (49, 0)


def test_purchase_points_are_a_discount_and_count_for_the_tier() -> None:
    granted = InMemoryLedger().with_purchase().apply(order_changed()).events[0]
    assert isinstance(granted, PointsGranted)
    assert (granted.kind, granted.legal_basis, granted.counts_for_tier) == (
        GrantKind.PURCHASE,
        LegalBasis.DISCOUNT,
        True,
    )


def test_a_delivery_in_parts_earns_as_much_as_one_in_whole() -> None:
    ledger = (
        InMemoryLedger()
        .with_purchase("199")
        .apply(order_changed())
        .with_purchase("398")
        .apply(order_changed(version=2))
    )
    assert ledger.balances() == (3, 0)
    assert [lot.granted for lot in ledger.account.lots.values()] == [1, 2]


def test_a_repeated_event_grants_nothing_more() -> None:
    assert InMemoryLedger().with_purchase().apply(order_changed(), order_changed()).decisions[-1] == (
        Ignored("points_unchanged"),
    )


def test_a_refund_takes_the_points_back_and_a_part_of_it_a_part() -> None:
    ledger = InMemoryLedger().with_purchase("4980").apply(order_changed(), refunded("2490"))
    assert ledger.balances() == (24, 0)
    assert ledger.apply(refunded("2490", 2)).balances() == (0, 0)


def test_a_refund_after_the_points_were_spent_leaves_a_debt() -> None:
    ledger = (
        InMemoryLedger()
        .with_purchase("49800")
        .apply(order_changed())
        .advance(HOLD)
        .apply(reserve(498), commit(), refunded("49800"))
    )
    assert (ledger.account.balances.available, ledger.account.balances.debt) == (0, -498)


def test_a_repeated_refund_counts_once() -> None:
    assert InMemoryLedger().with_purchase().apply(order_changed(), refunded("2490"), refunded("2490")).balances() == (
        24,
        0,
    )


@pytest.mark.parametrize("order", list(permutations(range(3))))
def test_buy_refund_keep_does_not_work_in_any_order(order: tuple[int, ...]) -> None:
    steps = [order_changed(), refunded("4980"), order_changed(version=2)]
    assert InMemoryLedger().with_purchase("4980").apply(
        *(steps[n] for n in order), order_changed(version=3)
    ).balances() == (0, 0)


def test_a_better_tier_later_does_not_make_old_goods_worth_more() -> None:
    ledger = InMemoryLedger().with_purchase("9900").apply(order_changed())
    ledger.with_purchase("200000", "A-2").apply(order_changed("A-2")).advance(HOLD)
    assert ledger.account.current_membership().tier == "silver"
    assert ledger.apply(order_changed(version=2)).decisions[-1] == (Ignored("points_unchanged"),)


def test_without_a_rule_purchases_earn_nothing() -> None:
    rules = LedgerRules(RULES.model_copy(update={"purchase": None}))
    assert InMemoryLedger(rules=rules).with_purchase().apply(order_changed()).entries == []


def test_the_value_of_an_order_is_that_of_its_deliveries() -> None:
    assert order_after(placed(quantity=3), delivered()).kept_amount == 4980
    assert order_after(placed(quantity=3), delivered(), delivered(quantity=9)).kept_amount == 3 * 4980


@pytest.mark.parametrize("lines", [(), ("1",)])
def test_cancelled_goods_are_worth_nothing(lines: tuple[str, ...]) -> None:
    assert order_after(placed(), delivered(), cancelled(*lines)).kept_amount == 0
    assert order_after(placed(), delivered(), cancelled("2")).kept_amount == 4980


def test_a_delivery_before_the_order_counts_once_the_order_is_known() -> None:
    order, facts = decide_order(order_after(delivered()), placed(), NOON)
    assert order.kept_amount == 4980
    assert [type(fact) for fact in facts] == [PurchaseChanged]


def test_each_change_has_a_version_of_its_own() -> None:
    steps: list[Any] = [placed(quantity=2), delivered(), delivered(at=NOON + HOLD), cancelled()]
    versions, order = [], PurchasedOrder("A-1")
    for step in steps:
        order, facts = decide_order(order, step, NOON)
        versions += [fact.version for fact in facts if isinstance(fact, PurchaseChanged)]
    assert versions == [1, 2, 3]


def test_an_order_sent_again_with_another_price_is_a_correction() -> None:
    assert order_after(placed(), delivered(), placed(amount="1")).kept_amount == 1


@pytest.mark.parametrize("order_id", ["A-1", "A:1", ":", "注文 7"])
def test_an_order_id_may_be_any_text(order_id: str) -> None:
    ledger = InMemoryLedger().with_purchase("4980", order_id).apply(order_changed(order_id))
    assert order_id_of(ledger.entries[0].cause) == order_id


def lines_of(*lines: tuple[str, str]) -> tuple[PaidLine, ...]:
    return tuple(
        PaidLine(line_id=line_id, quantity=1, amount=Money(amount=Decimal(amount), currency="JPY"))
        for line_id, amount in lines
    )


def refund_of(amount: str, line_id: str, number: int = 1, **fields: Any) -> AnyEvent:
    paid = refunded(amount, number)
    assert isinstance(paid.data, IssueRefunded)
    data = paid.data.model_copy(update={"lines": lines_of((line_id, amount)), **fields})
    return event(data)


def two_lines(first: str, second: str) -> InMemoryLedger:
    """Return an order of two lines for 5,000 yen each, of which this much was delivered."""
    ledger = InMemoryLedger()
    lines = {"1": PurchaseLine(Decimal(5000), Decimal(first)), "2": PurchaseLine(Decimal(5000), Decimal(second))}
    amount = Decimal(first) + Decimal(second)
    ledger.account = replace(ledger.account, purchases={ORDER: PurchaseValue(ORDER, amount, "JPY", lines)})
    return ledger


def test_the_refund_of_a_lost_line_takes_no_points_of_another_one() -> None:
    ledger = two_lines("5000", "0").apply(order_changed(), refund_of("5000", "2", reason=Reason.LOST_IN_TRANSIT))
    assert ledger.balances() == (50, 0)


@pytest.mark.parametrize(("lost", "left"), [("5000", 50), ("8000", 20)])
def test_a_lost_refund_that_names_no_line_takes_what_did_not_arrive_first(lost: str, left: int) -> None:
    refund = refund_of(lost, "2", reason=Reason.LOST_IN_TRANSIT, lines=())
    assert two_lines("5000", "0").apply(order_changed(), refund).balances() == (left, 0)


def test_the_refund_of_a_delivered_line_takes_its_points_only() -> None:
    assert two_lines("5000", "5000").apply(order_changed(), refund_of("5000", "2")).balances() == (50, 0)


def test_a_lost_unit_of_a_line_takes_no_points_of_the_unit_that_arrived() -> None:
    ledger = InMemoryLedger()
    lines = {"1": PurchaseLine(Decimal(10000), Decimal(5000))}
    ledger.account = replace(ledger.account, purchases={ORDER: PurchaseValue(ORDER, Decimal(5000), "JPY", lines)})
    ledger.apply(order_changed(), refund_of("5000", "1", reason=Reason.LOST_IN_TRANSIT))
    assert ledger.balances() == (50, 0)


@pytest.mark.parametrize(("remedy", "left"), [(Remedy.REFUND, 0), (Remedy.REPLACEMENT, 50)])
def test_goods_that_points_paid_for_keep_their_purchase_points_unless_refunded(remedy: Remedy, left: int) -> None:
    ledger = InMemoryLedger()
    amount = Decimal(5000)
    lines = {"1": PurchaseLine(amount, amount)}
    paid_with_points = PurchaseValue(ORDER, amount, "JPY", lines, 5000, spent_value=amount, goods_amount=amount)
    ledger.account = replace(ledger.account, purchases={ORDER: paid_with_points})
    ended = resolved(remedy=remedy, fault=Fault.CUSTOMER, value=Money(amount=amount, currency="JPY"))
    ledger.apply(order_changed(), event(ended.data.model_copy(update={"order_id": ORDER})))
    assert sum(lot.balances.net_granted for lot in ledger.account.lots_for(order_id=ORDER)) == left


def test_the_payments_of_one_refund_add_up_and_a_repeated_one_counts_once() -> None:
    halves = [refund_of("2500", "1", transaction_id=f"tx-{number}") for number in (1, 2, 2)]
    assert two_lines("5000", "5000").apply(order_changed(), *halves).balances() == (50, 0)


def test_a_refund_that_came_back_gives_its_points_back() -> None:
    paid = refund_of("5000", "1", transaction_id="tx-1")
    assert isinstance(paid.data, IssueRefunded)
    fields = paid.data.model_dump(include={"issue_id", "order_id", "customer_id", "refund_id"})
    back = IssueRefundReversed(
        **fields, amount=paid.data.amount, transaction_id="rev-1", lines=paid.data.lines, reversed_at=NOON
    )
    assert two_lines("5000", "5000").apply(order_changed(), paid, event(back)).balances() == (100, 0)


def test_shipping_that_went_back_costs_no_points() -> None:
    refund = refund_of("5000", "1")
    assert isinstance(refund.data, IssueRefunded)
    with_shipping = refund.data.model_copy(update={"amount": Money(amount=Decimal(5770), currency="JPY")})
    assert two_lines("5000", "5000").apply(order_changed(), event(with_shipping)).balances() == (50, 0)


def test_points_are_earned_by_the_amount_that_was_paid() -> None:
    order = placed(amount="10000")
    assert isinstance(order.data, OrderPlaced)
    line = order.data.lines[0].model_copy(update={"paid_amount": Money(amount=Decimal(5000), currency="JPY")})
    discounted = event(order.data.model_copy(update={"lines": (line,)}))
    assert order_after(discounted, delivered()).kept_amount == 5000


@pytest.mark.parametrize("first", ["cancelled", "refunded"])
def test_refunded_and_cancelled_is_one_loss(first: str) -> None:
    """The line is worth nothing once, and the other line keeps its points."""
    ledger = two_lines("5000", "5000").apply(order_changed())
    cancelled_line = {"1": PurchaseLine(Decimal(0), Decimal(0)), "2": PurchaseLine(Decimal(5000), Decimal(5000))}
    steps = ["cancelled", "refunded"] if first == "cancelled" else ["refunded", "cancelled"]
    for step in steps:
        if step == "refunded":
            ledger.apply(refund_of("5000", "1"))
            continue
        value = PurchaseValue(ORDER, Decimal(5000), "JPY", cancelled_line)
        ledger.account = replace(ledger.account, purchases={ORDER: value})
        ledger.apply(order_changed(version=2))
    assert ledger.balances() == (50, 0)


def test_a_history_sent_again_earns_nothing_more() -> None:
    history = [placed(quantity=4), delivered(quantity=2)]
    once = order_after(*history)
    twice = order_after(*history, *(event(each.data) for each in history))
    assert (twice.kept_amount, twice.version) == (once.kept_amount, once.version)


@pytest.mark.parametrize("birthday", ["02-30", "04-31", "13-01", "1-1", "today"])
def test_a_birthday_that_does_not_exist_is_left_out(birthday: str) -> None:
    order = placed()
    order = event(order.data.model_copy(update={"birthday": birthday}))
    _, facts = decide_order(PurchasedOrder("A-1"), order, NOON)
    assert Ignored("invalid_birthday") in facts
    assert not any(isinstance(fact, BirthdayProvided) for fact in facts)
