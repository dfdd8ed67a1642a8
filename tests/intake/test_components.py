"""Components of order lines: which parts a report names, what was paid for them, and who holds them."""

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.common.events.issues import IssueAccepted, IssueCancelled, IssueRejected, IssueReplacementDelivered
from libs.common.events.values import Component, LineQuantity, Money, OrderLine, PartQuantity, Reason, ReportedLine
from libs.common.events.values.money import round_up
from libs.common.postgres.pool import Connection
from services.intake.domain.components import price_of_parts, reported_parts
from services.intake.domain.context import CommandRefused
from services.intake.domain.units import Unit
from tests.intake.database_calls import apply, kinds, take
from tests.intake.event_builders import (
    CUSTOMER,
    NOON,
    ORDER,
    after,
    by_http,
    by_kafka,
    delivered,
    event,
    http_id,
    line,
    placed,
    submission,
)


def yen(amount: str) -> Money:
    return Money(amount=Decimal(amount), currency="JPY")


POT = Component(sku="POT", name="Pot")
CUP = Component(sku="CUP", name="Cup", quantity=4)
KIT = line("1", 2).model_copy(update={"components": (POT, CUP), "unit_price": yen("5000")})


def report(*parts: tuple[str, int], quantity: int = 1, reason: Reason = Reason.DEFECTIVE, **fields: Any) -> Any:
    named = tuple(PartQuantity(sku=sku, quantity=count) for sku, count in parts)
    return submission(reason=reason, lines=(ReportedLine(line_id="1", quantity=quantity, parts=named, **fields),))


def accepted(*parts: tuple[str, int], **fields: Any) -> Any:
    _, facts = after([placed(KIT), delivered(), by_http(report(*parts, **fields), key="k")])
    return next(fact for fact in facts if isinstance(fact, IssueAccepted)).lines[0]


def refusal(*parts: tuple[str, int], **fields: Any) -> str:
    _, facts = after([placed(KIT), delivered(), by_http(report(*parts, **fields), key="k")])
    return next(fact for fact in facts if isinstance(fact, CommandRefused)).refusal.code


def test_a_part_costs_its_share_of_the_unit() -> None:
    assert accepted(("CUP", 1)).unit_price == yen("1000")


def test_a_part_that_is_named_in_words_is_found_among_the_components() -> None:
    found = accepted(part=" cup ", reason=Reason.MISSING_PART)
    assert (found.parts, found.unit_price) == ((PartQuantity(sku="CUP", quantity=1),), yen("1000"))


def test_a_part_that_is_named_twice_counts_together() -> None:
    assert accepted(("CUP", 1), ("CUP", 2)).parts == (PartQuantity(sku="CUP", quantity=3),)


def test_a_stated_price_counts_before_an_equal_share() -> None:
    priced = KIT.model_copy(update={"components": (POT.model_copy(update={"unit_price": yen("4200")}), CUP)})
    assert price_of_parts((PartQuantity(sku="POT"),), priced, 1) == yen("4200")
    assert price_of_parts((PartQuantity(sku="CUP"),), priced, 1) == yen("200")


def test_parts_that_cost_more_than_the_kit_are_lowered_in_proportion() -> None:
    dear = tuple(each.model_copy(update={"unit_price": yen("2000")}) for each in (POT, CUP))
    assert price_of_parts((PartQuantity(sku="CUP"),), KIT.model_copy(update={"components": dear}), 1) == yen("1000")


prices = st.decimals(0, 100_000, places=2, allow_nan=False)


@st.composite
def kits(draw: st.DrawFn) -> OrderLine:
    components = tuple(
        Component(
            sku=f"S{number}",
            quantity=draw(st.integers(1, 9)),
            unit_price=draw(st.none() | prices.map(lambda amount: Money(amount=amount, currency="EUR"))),
        )
        for number in range(draw(st.integers(1, 5)))
    )
    paid = Money(amount=draw(prices), currency="EUR")
    return OrderLine(
        line_id="1", sku="KIT", name="Kit", quantity=1, unit_price=paid, components=components
    )  # fmt: skip


@given(kits())
def test_all_parts_together_never_cost_more_than_their_unit(kit: OrderLine) -> None:
    everything = tuple(PartQuantity(sku=each.sku, quantity=each.quantity) for each in kit.components)
    assert price_of_parts(everything, kit, 1).amount <= round_up(kit.unit_price.amount, "EUR")


@pytest.mark.parametrize(
    ("parts", "fields", "code"),
    [
        ([("LID", 1)], {}, "unknown_part"),
        ([("CUP", 5)], {}, "too_many_parts"),
        ([("CUP", 9)], {"quantity": 2}, "too_many_parts"),
        ([("CUP", 1)], {"reason": Reason.CHANGED_MIND}, "parts_not_returnable"),
    ],
)
def test_parts_that_the_order_does_not_hold_are_refused(parts: Any, fields: Any, code: str) -> None:
    assert refusal(*parts, **fields) == code


def test_a_part_is_held_without_the_others() -> None:
    context, _ = after([placed(KIT), delivered(), by_http(report(("CUP", 2)), key="k")])
    assert context.entitlements == {Unit("1", 1, 0, "CUP"): http_id("k")}


def test_parts_of_two_units_are_held_in_both() -> None:
    context, _ = after([placed(KIT), delivered(), by_http(report(("CUP", 5), quantity=2), key="k")])
    assert set(context.entitlements) == {Unit("1", 1, 0, "CUP"), Unit("1", 2, 0, "CUP")}


def test_a_report_without_parts_holds_the_unit_with_all_its_components() -> None:
    context, _ = after([placed(KIT), delivered(), by_http(submission(), key="k")])
    assert set(context.entitlements) == {Unit("1", 1), Unit("1", 1, 0, "POT"), Unit("1", 1, 0, "CUP")}


@pytest.mark.parametrize(
    ("first", "second", "is_accepted"),
    [
        (report(("CUP", 1), quantity=2), report(("POT", 1)), True),
        (report(("CUP", 8), quantity=2), report(("CUP", 1)), False),
        (report(("CUP", 8), quantity=2), submission(), False),
        (report(("CUP", 1)), submission(), True),
        (report(("CUP", 1)), submission(2), False),
        (submission(2), report(("POT", 1)), False),
        (submission(1), report(("POT", 1)), True),
    ],
)
def test_a_unit_and_a_part_of_it_are_never_remedied_together(first: Any, second: Any, is_accepted: bool) -> None:
    _, facts = after([placed(KIT), delivered(), by_kafka(first), by_kafka(second)])
    outcomes = [type(fact) for fact in facts if isinstance(fact, IssueAccepted | IssueRejected)]
    assert outcomes == [IssueAccepted, IssueAccepted if is_accepted else IssueRejected]


def test_words_that_are_no_component_leave_the_report_about_the_unit() -> None:
    assert reported_parts(ReportedLine(line_id="1", quantity=1, part="the handle"), KIT) == ()


async def rows(conn: Connection) -> list[tuple[Any, ...]]:
    found = await conn.fetch(
        "SELECT unit_number, component, generation, replaced_on IS NOT NULL FROM part_entitlements ORDER BY 1, 2, 3"
    )
    return [tuple(row) for row in found]


async def test_the_database_holds_one_live_entitlement_per_component_of_a_unit(conn: Connection) -> None:
    await take(conn, placed(KIT), delivered(), by_http(report(("CUP", 1)), key="k"), by_http(submission(), key="all"))
    assert await rows(conn) == [(1, "CUP", 0, False), (2, "CUP", 0, False), (2, "POT", 0, False)]
    assert await conn.fetchval("SELECT count(*) FROM entitlements") == 1


async def test_a_part_that_arrived_can_be_reported_again_by_itself(conn: Connection) -> None:
    await take(conn, placed(KIT), delivered(), by_http(report(("CUP", 1)), key="k"))
    arrived = IssueReplacementDelivered(
        issue_id=http_id("k"),
        order_id=ORDER,
        customer_id=CUSTOMER,
        replacement_id=http_id("r"),
        delivered_at=NOON,
        lines=(LineQuantity(line_id="1", quantity=1),),
    )
    await apply(conn, event(arrived))
    (facts,) = await take(conn, by_http(report(("CUP", 1)), key="again"))
    assert IssueAccepted in kinds(facts)
    assert await rows(conn) == [(1, "CUP", 0, True), (1, "CUP", 1, False)]


async def test_a_cancelled_report_frees_its_parts(conn: Connection) -> None:
    await take(conn, placed(KIT), delivered(quantity=1), by_http(submission(), key="k"))
    ids = {"issue_id": http_id("k"), "order_id": ORDER, "customer_id": CUSTOMER}
    await apply(conn, event(IssueCancelled(**ids, cause="found it", cancelled_at=NOON)))
    (facts,) = await take(conn, by_http(report(("POT", 1)), key="again"))
    assert IssueAccepted in kinds(facts)
