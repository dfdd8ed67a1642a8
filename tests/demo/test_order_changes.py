"""The demo's shop does what customers decide: another day, item or address, some lines or all of them."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from uuid import UUID
from zoneinfo import ZoneInfo

import httpx
import pytest

from deploy.demo.data.orders import Customer, Line, Order, OrderBook
from deploy.demo.partners.codec import Received
from deploy.demo.partners.order_changes import catalogue_of, exchanged, without
from deploy.demo.partners.order_lifecycle import life_of
from deploy.demo.partners.partner import Partner
from deploy.demo.partners.settings import StorefrontSettings
from deploy.demo.partners.storefront import Storefront
from libs.common.events.notices import ChangeSubject, CustomerDecided
from libs.common.events.registry import event_class
from libs.common.events.storefront import OrderDelivered, OrderPlaced, OrderShipped
from libs.common.events.values import Choice

ZONE = ZoneInfo("Asia/Tokyo")
NOW = datetime(2026, 3, 10, 1, 0, tzinfo=UTC)
CHOICE = UUID(int=7)
CUSTOMER = Customer("C1", "架空 一花", "k@example.jp", "ja", "100-0000", "JP", "", "架空区", "架空町1-1", "0")


def line(number: int, sku: str) -> Line:
    return Line(f"L{number}", sku, sku.lower(), "kitchen", 2, Decimal(100), "JPY", date(2026, 3, 12))


ORDER = Order(
    "S1", CUSTOMER, "JP", NOW, (line(1, "CUP"), line(2, "POT")), NOW + timedelta(days=5), NOW + timedelta(days=7)
)


def decided(choice: Choice, change: ChangeSubject | None = None, **asked: object) -> CustomerDecided:
    return CustomerDecided.model_validate(
        {
            "order_id": "S1",
            "customer_id": "C1",
            "choice_id": CHOICE,
            "choice": choice,
            "change": change,
            "decided_at": NOW,
            **asked,
        }
    )


@pytest.fixture
def storefront() -> Storefront:
    settings = StorefrontSettings.model_validate({"intake_url": "http://intake", "api_key": "key", "report_share": 0})
    shop = Storefront(Partner("storefront", settings), settings, httpx.AsyncClient())
    shop.take(OrderBook([ORDER], ZONE))
    return shop


def hear(storefront: Storefront, decision: CustomerDecided) -> None:
    event = event_class(CustomerDecided).model_construct(
        id="e1", type=CustomerDecided.TYPE, source="/d", time=NOW, data=decision
    )
    storefront.listen(Received(event, {}))


def test_another_item_is_an_order_of_its_own_that_leaves_when_it_is_promised() -> None:
    new = exchanged(ORDER, decided(Choice.CHANGE, ChangeSubject.ITEM, requested_sku="POT"), NOW, catalogue_of([ORDER]))
    assert new is not None
    told = [each.payload for each in life_of(new, ZONE, 1)]
    assert [type(each) for each in told] == [OrderPlaced, OrderShipped, OrderDelivered]
    assert {each.order_id for each in told} == {new.order_id} != {"S1"}
    placed, shipped = told[0], told[1]
    assert isinstance(placed, OrderPlaced)
    assert isinstance(shipped, OrderShipped)
    assert [(each.sku, each.quantity) for each in placed.lines] == [("POT", 1)]
    assert placed.lines[0].promised_ship_date == shipped.shipped_at.astimezone(ZONE).date()
    assert placed.ship_to.city == "架空区"


def test_what_the_shop_does_not_have_cannot_be_ordered() -> None:
    wish = decided(Choice.CHANGE, ChangeSubject.ITEM, requested_sku="MOON")
    assert exchanged(ORDER, wish, NOW, catalogue_of([ORDER])) is None


def test_a_line_that_was_called_off_is_in_no_parcel() -> None:
    told = [each.payload for each in life_of(ORDER, ZONE, 1)]
    shipped = next(each for each in told if isinstance(each, OrderShipped))
    left = without(shipped, {"L1"})
    assert isinstance(left, OrderShipped)
    assert [each.line_id for each in left.lines] == ["L2"]
    assert without(shipped, {"L1", "L2"}) is None


def test_an_exchange_calls_the_old_line_off_and_adds_an_order(storefront: Storefront) -> None:
    before = storefront.to_tell
    hear(storefront, decided(Choice.CHANGE, ChangeSubject.ITEM, requested_sku="POT", line_ids=("L1",)))
    assert storefront.dropped == {"S1": {"L1"}}
    assert storefront.wishes == {"exchanged": 1}
    assert storefront.stopped == set()
    assert storefront.to_tell == before + 3


def test_only_the_lines_that_were_asked_about_are_cancelled(storefront: Storefront) -> None:
    hear(storefront, decided(Choice.CANCEL, line_ids=("L2",)))
    assert (storefront.dropped, storefront.stopped) == ({"S1": {"L2"}}, set())


def test_an_order_is_stopped_when_nothing_of_it_is_left(storefront: Storefront) -> None:
    hear(storefront, decided(Choice.CANCEL, line_ids=("L1", "L2")))
    assert storefront.stopped == {"S1"}


def test_another_day_moves_all_that_was_to_come(storefront: Storefront) -> None:
    hear(storefront, decided(Choice.CHANGE, ChangeSubject.DATE, requested_date=date(2026, 4, 1)))
    assert storefront.moved == {"S1": datetime(2026, 4, 1, 10, tzinfo=ZONE).astimezone(UTC)}


def test_a_wish_that_comes_after_the_parcel_left_changes_nothing(storefront: Storefront) -> None:
    storefront.shipped.add("S1")
    hear(storefront, decided(Choice.CANCEL, line_ids=("L1",)))
    assert (storefront.dropped, storefront.wishes) == ({}, {"came too late": 1})


@pytest.mark.parametrize(
    ("street", "outcome"), [("新居町8-8", "another address"), (None, "an address that was not there")]
)
async def test_a_wished_address_is_fetched_by_the_answer_that_asked_for_it(
    storefront: Storefront, street: str | None, outcome: str
) -> None:
    asked: list[str] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request.url.path)
        return httpx.Response(200, json={"street": street}) if street else httpx.Response(404)

    storefront.notices = httpx.AsyncClient(base_url="http://notices", transport=httpx.MockTransport(answer))
    hear(storefront, decided(Choice.CHANGE, ChangeSubject.ADDRESS))
    for task in list(storefront.in_hand):
        await task
    assert asked == [f"/v1/orders/S1/choices/{CHOICE}/address"]
    assert storefront.wishes == {outcome: 1}
