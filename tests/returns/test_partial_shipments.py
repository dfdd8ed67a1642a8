"""Quantities per leg: partial replacements, shortages, variants, and returns in another quantity."""

from datetime import date, timedelta

from libs.common.events.carrier import CollectionRequested, ParcelDelivered
from libs.common.events.issues import (
    IssueChoiceRequested,
    IssueReplacementDelivered,
    IssueReplacementPartShipped,
    IssueReplacementShipped,
    IssueResolved,
)
from libs.common.events.notices import CustomerDecided
from libs.common.events.payment import RefundRequested
from libs.common.events.values import Choice, Condition, InspectedLine, LineQuantity, Reason, ReceivedLine, Variant
from libs.common.events.warehouse import (
    ItemInspected,
    ItemReceived,
    ReplacementOrdered,
    ReplacementRejected,
    ReplacementShipped,
)
from services.returns.domain.state.outbound_leg import OutboundStatus
from services.returns.domain.state.review_causes import ReviewCause
from services.returns.domain.state.unit_report import unit_report
from tests.returns.cases import CALENDAR, ISSUE, CaseScenario, line, open_scenario, refusal_reasons

RED = Variant(sku="POT-RED", name="Teapot, red")


def pieces(quantity: int) -> tuple[LineQuantity, ...]:
    return (LineQuantity(line_id="1", quantity=quantity),)


def today(scenario: CaseScenario) -> date:
    return CALENDAR.day(scenario.now)


def ship_some(scenario: CaseScenario, quantity: int, parcel: str) -> list[str]:
    ids = {"issue_id": ISSUE, "replacement_id": scenario.replacement_id, "shipment_id": parcel}
    return refusal_reasons(scenario.apply(ReplacementShipped(**ids, shipped_at=scenario.now, lines=pieces(quantity))))


def bring(scenario: CaseScenario, parcel: str | None = None) -> None:
    ids = {"issue_id": ISSUE, "replacement_id": scenario.replacement_id, "shipment_id": parcel}
    scenario.apply(ParcelDelivered(**ids, delivered_at=scenario.now))


def fall_short(
    scenario: CaseScenario, quantity: int, restock: date | None = None, *variants: Variant
) -> IssueChoiceRequested:
    ids = {"issue_id": ISSUE, "replacement_id": scenario.replacement_id}
    scenario.apply(ReplacementRejected(**ids, lines=pieces(quantity), restock_date=restock, variants=variants))
    return scenario.last(IssueChoiceRequested)


def choose(scenario: CaseScenario, choice: Choice, sku: str | None = None) -> list[str]:
    assert scenario.known.choice_request
    ids = {
        "order_id": "O-1",
        "customer_id": "C-1",
        "issue_id": ISSUE,
        "choice_id": scenario.known.choice_request.choice_id,
    }
    return refusal_reasons(
        scenario.apply(CustomerDecided(**ids, choice=choice, requested_sku=sku, decided_at=scenario.now))
    )


def three() -> CaseScenario:
    return open_scenario(Reason.DEFECTIVE, line("1", 3))


def test_two_parcels_are_two_parcels_and_one_replacement() -> None:
    scenario = three()
    ship_some(scenario, 1, "a")
    part = scenario.last(IssueReplacementPartShipped)
    assert [part.lines[0].quantity, part.remaining_lines[0].quantity] == [1, 2]
    assert not scenario.all(CollectionRequested)
    ship_some(scenario, 2, "b")
    assert len(scenario.all(IssueReplacementShipped)) == 1
    bring(scenario, "b")
    assert not scenario.all(IssueReplacementDelivered)
    bring(scenario, "a")
    assert scenario.known.outbound.status is OutboundStatus.DELIVERED
    assert scenario.known.outbound.delivered == {"1": 3}


def test_the_same_parcel_again_is_one_parcel() -> None:
    scenario = three()
    ship_some(scenario, 1, "a")
    assert ship_some(scenario, 1, "a") == ["duplicate"]
    assert scenario.known.outbound.shipped == {"1": 1}


def test_a_parcel_that_arrives_before_its_shipment_is_reported() -> None:
    scenario = three()
    bring(scenario, "a")
    ship_some(scenario, 3, "a")
    assert scenario.known.outbound.status is OutboundStatus.DELIVERED


def test_more_in_a_parcel_than_was_ordered_is_reported_to_ops_and_not_counted() -> None:
    scenario = three()
    assert ship_some(scenario, 5, "a") == ["surplus_shipped"]
    assert scenario.known.outbound.shipped == {"1": 3}


def test_pieces_that_are_short_are_asked_about_while_the_others_leave() -> None:
    scenario = three()
    asked = fall_short(scenario, 1, today(scenario) + timedelta(days=6))
    assert asked.options == (Choice.WAIT, Choice.REFUND)
    ship_some(scenario, 2, "a")
    assert not scenario.all(IssueReplacementShipped)
    choose(scenario, Choice.WAIT)
    bring(scenario, "a")
    rest = scenario.last(ReplacementOrdered)
    assert [each.quantity for each in rest.lines] == [1]
    assert rest.replacement_id != scenario.all(ReplacementOrdered)[0].replacement_id
    scenario.ship()
    scenario.deliver()
    assert [each.quantity for each in scenario.last(CollectionRequested).lines] == [3]


def test_money_for_the_pieces_that_are_short_waits_for_what_comes_back() -> None:
    scenario = three()
    fall_short(scenario, 1)
    ship_some(scenario, 2, "a")
    bring(scenario, "a")
    choose(scenario, Choice.REFUND)
    assert scenario.all(IssueReplacementDelivered)
    assert not scenario.all(RefundRequested)
    scenario.collect()
    scenario.receive()
    assert scenario.last(RefundRequested).amount.amount == 1200
    scenario.pay()
    scenario.inspect()
    assert not scenario.last(IssueResolved).requested_remedy_granted


def test_another_variant_is_sent_where_the_customer_chooses_it() -> None:
    scenario = open_scenario()
    asked = fall_short(scenario, 1, None, RED)
    assert asked.options == (Choice.CHANGE, Choice.REFUND, Choice.CANCEL)
    assert asked.default is Choice.REFUND
    assert choose(scenario, Choice.CHANGE, "POT-BLUE") == ["variant_not_offered"]
    assert choose(scenario, Choice.CHANGE, "POT-RED") == []
    ordered = scenario.last(ReplacementOrdered).lines[0]
    assert (ordered.sku, ordered.name) == ("POT-RED", "Teapot, red")


def test_a_replacement_can_come_back_too_when_it_was_the_variant() -> None:
    scenario = open_scenario()
    fall_short(scenario, 1, None, RED)
    choose(scenario, Choice.CHANGE, "POT-RED")
    scenario.ship()
    scenario.deliver()
    scenario.collect()
    received = ReceivedLine(line_id="1", quantity=1, sku="POT-RED")
    assert (
        refusal_reasons(scenario.apply(ItemReceived(issue_id=ISSUE, lines=(received,), received_at=scenario.now))) == []
    )


def test_something_else_in_the_box_counts_for_nothing_and_a_review_opens() -> None:
    scenario = open_scenario(Reason.CHANGED_MIND)
    scenario.collect()
    other = ReceivedLine(line_id="1", quantity=1, sku="BRICK")
    scenario.apply(ItemReceived(issue_id=ISSUE, lines=(other,), received_at=scenario.now))
    assert scenario.known.in_review(ReviewCause.UNEXPECTED_ITEM)
    assert scenario.known.inbound.received == {}
    assert not scenario.all(RefundRequested)


def test_fewer_than_reported_are_paid_for_as_counted() -> None:
    scenario = open_scenario(Reason.CHANGED_MIND, line("1", 3))
    scenario.collect()
    scenario.receive(*pieces(2))
    assert scenario.last(RefundRequested).amount.amount == 2400


def test_more_than_reported_goes_to_review_and_paid_for_once() -> None:
    scenario = open_scenario(Reason.CHANGED_MIND)
    scenario.collect()
    scenario.receive(*pieces(2))
    assert scenario.known.in_review(ReviewCause.UNEXPECTED_ITEM)
    assert scenario.last(RefundRequested).amount.amount == 1200


def test_every_leg_has_its_own_quantities_per_line() -> None:
    scenario = three()
    ship_some(scenario, 2, "a")
    bring(scenario, "a")
    ship_some(scenario, 1, "b")
    scenario.collect()
    scenario.receive(*pieces(2))
    good = InspectedLine(line_id="1", quantity=1, condition=Condition.SELLABLE)
    scrap = InspectedLine(line_id="1", quantity=1, condition=Condition.SCRAP)
    scenario.apply(ItemInspected(issue_id=ISSUE, lines=(good, scrap), inspected_at=scenario.now))
    quantities_now = unit_report(scenario.known)["1"]
    assert quantities_now["outbound"] == {"ordered": 3, "confirmed": 0, "shipped": 3, "delivered": 2, "cancelled": 0}
    assert quantities_now["inbound"]["requested"] == quantities_now["inbound"]["collected"] == 3
    assert quantities_now["inbound"]["received"] == 2
    assert quantities_now["inbound"]["inspected"] == {"sellable": 1, "scrap": 1}
    assert quantities_now["money"] == {"requested": 0, "completed": 0, "failed": 0}
