"""Quantities per leg: replacements in parts, pieces that are short, variants, and what comes back in another number."""

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
from services.returns.domain.legs.outbound import OutboundStatus
from services.returns.domain.review_causes import ReviewCause
from services.returns.domain.unit_report import quantities
from tests.returns.cases import CALENDAR, ISSUE, Story, line, refusals, story

RED = Variant(sku="POT-RED", name="Teapot, red")


def pieces(quantity: int) -> tuple[LineQuantity, ...]:
    return (LineQuantity(line_id="1", quantity=quantity),)


def today(told: Story) -> date:
    return CALENDAR.day(told.now)


def ship_some(told: Story, quantity: int, parcel: str) -> list[str]:
    ids = {"issue_id": ISSUE, "replacement_id": told.replacement_id, "shipment_id": parcel}
    return refusals(told.take(ReplacementShipped(**ids, shipped_at=told.now, lines=pieces(quantity))))


def bring(told: Story, parcel: str | None = None) -> None:
    ids = {"issue_id": ISSUE, "replacement_id": told.replacement_id, "shipment_id": parcel}
    told.take(ParcelDelivered(**ids, delivered_at=told.now))


def fall_short(told: Story, quantity: int, restock: date | None = None, *variants: Variant) -> IssueChoiceRequested:
    ids = {"issue_id": ISSUE, "replacement_id": told.replacement_id}
    told.take(ReplacementRejected(**ids, lines=pieces(quantity), restock_date=restock, variants=variants))
    return told.last(IssueChoiceRequested)


def choose(told: Story, choice: Choice, sku: str | None = None) -> list[str]:
    assert told.known.question
    ids = {"order_id": "O-1", "customer_id": "C-1", "issue_id": ISSUE, "choice_id": told.known.question.choice_id}
    return refusals(told.take(CustomerDecided(**ids, choice=choice, requested_sku=sku, decided_at=told.now)))


def three() -> Story:
    return story(Reason.DEFECTIVE, line("1", 3))


def test_two_parcels_are_two_parcels_and_one_replacement() -> None:
    told = three()
    ship_some(told, 1, "a")
    part = told.last(IssueReplacementPartShipped)
    assert [part.lines[0].quantity, part.remaining_lines[0].quantity] == [1, 2]
    assert not told.all(CollectionRequested)
    ship_some(told, 2, "b")
    assert len(told.all(IssueReplacementShipped)) == 1
    bring(told, "b")
    assert not told.all(IssueReplacementDelivered)
    bring(told, "a")
    assert told.known.outbound.status is OutboundStatus.DELIVERED
    assert told.known.outbound.delivered == {"1": 3}


def test_the_same_parcel_again_is_one_parcel() -> None:
    told = three()
    ship_some(told, 1, "a")
    assert ship_some(told, 1, "a") == ["repeated"]
    assert told.known.outbound.shipped == {"1": 1}


def test_a_parcel_that_arrives_before_it_was_told_to_have_left() -> None:
    told = three()
    bring(told, "a")
    ship_some(told, 3, "a")
    assert told.known.outbound.status is OutboundStatus.DELIVERED


def test_more_in_a_parcel_than_was_ordered_is_told_to_ops_and_not_counted() -> None:
    told = three()
    assert ship_some(told, 5, "a") == ["surplus_shipped"]
    assert told.known.outbound.shipped == {"1": 3}


def test_pieces_that_are_short_are_asked_about_while_the_others_leave() -> None:
    told = three()
    asked = fall_short(told, 1, today(told) + timedelta(days=6))
    assert asked.options == (Choice.WAIT, Choice.REFUND)
    ship_some(told, 2, "a")
    assert not told.all(IssueReplacementShipped)
    choose(told, Choice.WAIT)
    bring(told, "a")
    rest = told.last(ReplacementOrdered)
    assert [each.quantity for each in rest.lines] == [1]
    assert rest.replacement_id != told.all(ReplacementOrdered)[0].replacement_id
    told.ship()
    told.deliver()
    assert [each.quantity for each in told.last(CollectionRequested).lines] == [3]


def test_money_for_the_pieces_that_are_short_waits_for_what_comes_back() -> None:
    told = three()
    fall_short(told, 1)
    ship_some(told, 2, "a")
    bring(told, "a")
    choose(told, Choice.REFUND)
    assert told.all(IssueReplacementDelivered)
    assert not told.all(RefundRequested)
    told.collect()
    told.receive()
    assert told.last(RefundRequested).amount.amount == 1200
    told.pay()
    told.inspect()
    assert not told.last(IssueResolved).requested_remedy_granted


def test_another_variant_is_sent_where_the_customer_chooses_it() -> None:
    told = story()
    asked = fall_short(told, 1, None, RED)
    assert asked.options == (Choice.CHANGE, Choice.REFUND, Choice.CANCEL)
    assert asked.default is Choice.REFUND
    assert choose(told, Choice.CHANGE, "POT-BLUE") == ["variant_not_offered"]
    assert choose(told, Choice.CHANGE, "POT-RED") == []
    ordered = told.last(ReplacementOrdered).lines[0]
    assert (ordered.sku, ordered.name) == ("POT-RED", "Teapot, red")


def test_a_replacement_can_come_back_too_when_it_was_the_variant() -> None:
    told = story()
    fall_short(told, 1, None, RED)
    choose(told, Choice.CHANGE, "POT-RED")
    told.ship()
    told.deliver()
    told.collect()
    received = ReceivedLine(line_id="1", quantity=1, sku="POT-RED")
    assert refusals(told.take(ItemReceived(issue_id=ISSUE, lines=(received,), received_at=told.now))) == []


def test_something_else_in_the_box_counts_for_nothing_and_a_human_looks() -> None:
    told = story(Reason.CHANGED_MIND)
    told.collect()
    other = ReceivedLine(line_id="1", quantity=1, sku="BRICK")
    told.take(ItemReceived(issue_id=ISSUE, lines=(other,), received_at=told.now))
    assert told.known.in_review(ReviewCause.UNEXPECTED_ITEM)
    assert told.known.inbound.received == {}
    assert not told.all(RefundRequested)


def test_fewer_than_reported_are_paid_for_as_counted() -> None:
    told = story(Reason.CHANGED_MIND, line("1", 3))
    told.collect()
    told.receive(*pieces(2))
    assert told.last(RefundRequested).amount.amount == 2400


def test_more_than_reported_is_for_a_human_and_paid_for_once() -> None:
    told = story(Reason.CHANGED_MIND)
    told.collect()
    told.receive(*pieces(2))
    assert told.known.in_review(ReviewCause.UNEXPECTED_ITEM)
    assert told.last(RefundRequested).amount.amount == 1200


def test_every_leg_has_its_own_quantities_per_line() -> None:
    told = three()
    ship_some(told, 2, "a")
    bring(told, "a")
    ship_some(told, 1, "b")
    told.collect()
    told.receive(*pieces(2))
    good = InspectedLine(line_id="1", quantity=1, condition=Condition.SELLABLE)
    scrap = InspectedLine(line_id="1", quantity=1, condition=Condition.SCRAP)
    told.take(ItemInspected(issue_id=ISSUE, lines=(good, scrap), inspected_at=told.now))
    told_now = quantities(told.known)["1"]
    assert told_now["outbound"] == {"ordered": 3, "confirmed": 0, "shipped": 3, "delivered": 2, "cancelled": 0}
    assert told_now["inbound"]["requested"] == told_now["inbound"]["collected"] == 3
    assert told_now["inbound"]["received"] == 2
    assert told_now["inbound"]["inspected"] == {"sellable": 1, "scrap": 1}
    assert told_now["money"] == {"requested": 0, "completed": 0, "failed": 0}
