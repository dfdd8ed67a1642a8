"""The workload of a fault run has everything that customers and payment providers do, in every run of some length."""

from datetime import UTC, datetime
from uuid import UUID

from libs.common.events.payment import ChargebackReversed, PaymentChargedBack
from libs.common.events.storefront import IssueSubmitted, OrderPlaced
from libs.common.events.values import Reason
from libs.common.events.warehouse import ItemReceived
from libs.common.http.signed_links import Purpose, SignedLinks
from tests.faults.customers import choice_path
from tests.faults.run import ZONE
from tests.faults.workload import (
    KIT,
    Chargeback,
    SimulatedPurchase,
    events_before_report,
    later_events,
    order_events,
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
