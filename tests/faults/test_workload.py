"""The workload of a fault run has everything that customers and payment providers do, in every run of some length."""

from datetime import UTC, datetime
from itertools import takewhile
from uuid import UUID

from libs.common.events.carrier import ParcelFound
from libs.common.events.payment import ChargebackReversed, PaymentChargedBack
from libs.common.events.storefront import IssueSubmitted, OrderPlaced
from libs.common.events.values import Reason
from libs.common.events.warehouse import ItemReceived
from libs.common.http.signed_links import Purpose, SignedLinks
from tests.faults.customers import choice_path
from tests.faults.run import ZONE
from tests.faults.workload import (
    BURST_SECONDS,
    FAULTY_FIRST,
    KIT,
    Chargeback,
    LostParcel,
    SimulatedPurchase,
    arrivals,
    events_before_report,
    later_events,
    order_events,
    parcel_found,
    purchase,
    report_body,
)

NOW = datetime(2026, 3, 2, 0, 0, tzinfo=UTC)
PURCHASES = [purchase(3, number) for number in range(400)]


def first(*, chargeback: Chargeback = Chargeback.NONE, early_box: bool = False) -> SimulatedPurchase:
    return next(each for each in PURCHASES if (each.chargeback, each.early_box) == (chargeback, early_box))


def test_some_customers_send_boxes_early_share_them_take_reports_back_or_buy_kits() -> None:
    assert any(each.early_box for each in PURCHASES)
    assert any(each.shared_box for each in PURCHASES)
    assert any(each.withdrawn for each in PURCHASES)
    assert any(each.kit for each in PURCHASES)


def test_a_payment_is_charged_back_before_or_after_the_report_and_won_by_the_shop_at_last() -> None:
    before = events_before_report(first(chargeback=Chargeback.BEFORE_REPORT), NOW)
    assert [type(event.payload) for event in before] == [PaymentChargedBack]
    won = later_events(first(chargeback=Chargeback.WON), NOW, ZONE)
    assert [type(event.payload) for event in won][-2:] == [PaymentChargedBack, ChargebackReversed]


def test_some_parcels_are_lost_and_of_these_some_are_found_or_delivered_later() -> None:
    lost = [each for each in PURCHASES if each.lost != LostParcel.NONE]
    assert {each.lost for each in lost} == set(LostParcel) - {LostParcel.NONE}
    assert all("delivered" not in [event.name for event in order_events(each, NOW, ZONE)] for each in lost)
    later = next(each for each in lost if each.lost == LostParcel.DELIVERED_LATER)
    assert "delivered" in [event.name for event in later_events(later, NOW, ZONE)]
    found = next(each for each in lost if each.lost == LostParcel.FOUND)
    [event] = parcel_found(found, str(UUID(int=1)), NOW)
    assert isinstance(event.payload, ParcelFound)


def test_customers_of_some_late_orders_are_asked_before_these_ship() -> None:
    asked = [each for each in PURCHASES if each.asked]
    assert asked
    assert all([event.name for event in order_events(each, NOW, ZONE)] == ["placed", "moved"] for each in asked)


def test_a_faulty_lot_is_reported_at_once_and_has_buyers_who_never_report() -> None:
    first = PURCHASES[:FAULTY_FIRST]
    assert sum(each.is_reported for each in first) >= 3
    assert all(each.reason == Reason.DEFECTIVE for each in first)
    assert any(each.faulty and not each.is_reported for each in PURCHASES[FAULTY_FIRST:])


def test_orders_come_steadily_and_in_bursts() -> None:
    minute = list(takewhile(lambda at: at < 60, arrivals(2, 10)))
    assert sum(at < 50 for at in minute) == 100
    assert sum(at >= 60 - BURST_SECONDS for at in minute) >= 2 * 10 * BURST_SECONDS - 2
    assert len(list(takewhile(lambda at: at < 60, arrivals(2, 1)))) == 120


def test_an_early_box_names_the_order_and_no_issue() -> None:
    bought = first(early_box=True)
    [event] = events_before_report(bought, NOW)
    assert isinstance(event.payload, ItemReceived)
    assert (event.payload.order_id, event.payload.issue_id) == (bought.order_id, None)


def test_a_report_about_a_kit_names_one_of_its_components() -> None:
    bought = next(each for each in PURCHASES if each.kit and each.reason == Reason.DEFECTIVE)
    placed = order_events(bought, NOW, ZONE)[0].payload
    assert isinstance(placed, OrderPlaced)
    assert placed.lines[0].components == KIT
    [part] = IssueSubmitted.model_validate(report_body(bought)).lines[0].parts
    assert part.sku in [component.sku for component in KIT]


def test_customers_open_the_page_of_their_question() -> None:
    choice = {"order_id": "F000001", "choice_id": str(UUID(int=7)), "due_at": "2026-03-04T00:00:00Z"}
    token = choice_path(choice, "a-secret-of-16-letters").removeprefix("/c/")
    link = SignedLinks(["a-secret-of-16-letters"]).read(Purpose.CHOICE, token)
    assert link.subject == ("F000001", UUID(int=7).hex)
