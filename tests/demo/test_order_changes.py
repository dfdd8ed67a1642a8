"""The demo's storefront applies decisions of customers: another day, item or address, some lines or all of them."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from uuid import UUID
from zoneinfo import ZoneInfo

import httpx
import pytest

from deploy.demo.data.orders import OrderDataset, ReplayedCustomer, ReplayedLine, ReplayedOrder
from deploy.demo.partners.codec import ReceivedEvent
from deploy.demo.partners.order_changes import DECLINED_SHARE, catalogue_of, exchange_order, without_lines
from deploy.demo.partners.order_lifecycle import lifecycle_events
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
CUSTOMER = ReplayedCustomer("C1", "架空 一花", "k@example.jp", "ja", "100-0000", "JP", "", "架空区", "架空町1-1", "0")


def line(number: int, sku: str) -> ReplayedLine:
    return ReplayedLine(f"L{number}", sku, sku.lower(), "kitchen", 2, Decimal(100), "JPY", date(2026, 3, 12))


ORDER = ReplayedOrder(
    "S1", CUSTOMER, "JP", NOW, (line(1, "CUP"), line(2, "POT")), NOW + timedelta(days=5), NOW + timedelta(days=7)
)


def decided(choice: Choice, change: ChangeSubject | None = None, **fields: object) -> CustomerDecided:
    return CustomerDecided.model_validate(
        {
            "order_id": "S1",
            "customer_id": "C1",
            "choice_id": CHOICE,
            "choice": choice,
            "change": change,
            "decided_at": NOW,
            **fields,
        }
    )


@pytest.fixture
def storefront() -> Storefront:
    settings = StorefrontSettings.model_validate({"intake_url": "http://intake", "api_key": "key", "report_share": 0})
    shop = Storefront(Partner("storefront", settings), settings, httpx.AsyncClient())
    shop.load(OrderDataset([ORDER], ZONE))
    return shop


def hear(storefront: Storefront, decision: CustomerDecided) -> None:
    event = event_class(CustomerDecided).model_construct(
        id="e1", type=CustomerDecided.TYPE, source="/d", time=NOW, data=decision
    )
    storefront.handle(ReceivedEvent(event, {}))


def test_another_item_is_an_order_of_its_own_that_leaves_when_it_is_promised() -> None:
    new = exchange_order(
        ORDER, decided(Choice.CHANGE, ChangeSubject.ITEM, requested_sku="POT"), NOW, catalogue_of([ORDER])
    )
    assert new is not None
    events = [each.payload for each in lifecycle_events(new, ZONE, 1)]
    assert [type(each) for each in events] == [OrderPlaced, OrderShipped, OrderDelivered]
    assert {each.subject for each in events} == {new.order_id} != {"S1"}
    placed, shipped = events[0], events[1]
    assert isinstance(placed, OrderPlaced)
    assert isinstance(shipped, OrderShipped)
    assert [(each.sku, each.quantity) for each in placed.lines] == [("POT", 1)]
    assert placed.lines[0].promised_ship_date == shipped.shipped_at.astimezone(ZONE).date()
    assert placed.ship_to is not None
    assert placed.ship_to.city == "架空区"


def test_what_the_shop_does_not_have_cannot_be_ordered() -> None:
    decision = decided(Choice.CHANGE, ChangeSubject.ITEM, requested_sku="MOON")
    assert exchange_order(ORDER, decision, NOW, catalogue_of([ORDER])) is None


def test_a_line_that_was_called_off_is_in_no_parcel() -> None:
    events = [each.payload for each in lifecycle_events(ORDER, ZONE, 1)]
    shipped = next(each for each in events if isinstance(each, OrderShipped))
    remaining = without_lines(shipped, {"L1"})
    assert isinstance(remaining, OrderShipped)
    assert [each.line_id for each in remaining.lines] == ["L2"]
    assert without_lines(shipped, {"L1", "L2"}) is None


def test_an_exchange_calls_the_old_line_off_and_adds_an_order(storefront: Storefront) -> None:
    before = storefront.scheduled
    hear(storefront, decided(Choice.CHANGE, ChangeSubject.ITEM, requested_sku="POT", line_ids=("L1",)))
    assert storefront.cancelled_lines == {"S1": {"L1"}}
    assert storefront.change_outcomes == {"exchanged": 1}
    assert storefront.cancelled_orders == set()
    assert storefront.scheduled == before + 3


def granted(storefront: Storefront) -> UUID:
    """Return the id of a request that the packers of this run would not decline."""
    ids = (UUID(int=number) for number in range(100))
    return next(each for each in ids if storefront.partner.rng("decline", each).random() >= DECLINED_SHARE)


def test_the_first_request_of_a_run_is_declined_so_that_each_run_shows_one(storefront: Storefront) -> None:
    request = decided(Choice.CANCEL, choice_id=granted(storefront), answer_by=NOW + timedelta(days=1))
    hear(storefront, request)
    assert (storefront.change_outcomes, storefront.cancelled_lines) == ({"declined": 1}, {})


def test_an_item_that_is_not_sold_is_declined_and_the_order_goes_on(storefront: Storefront) -> None:
    storefront.change_outcomes["declined"] = 1
    ask = {"requested_sku": "MOON", "line_ids": ("L1",), "answer_by": NOW + timedelta(days=1)}
    hear(storefront, decided(Choice.CHANGE, ChangeSubject.ITEM, choice_id=granted(storefront), **ask))
    assert (storefront.cancelled_lines, storefront.change_outcomes["not sold"]) == ({}, 1)


def test_only_the_lines_that_were_asked_about_are_cancelled(storefront: Storefront) -> None:
    hear(storefront, decided(Choice.CANCEL, line_ids=("L2",)))
    assert (storefront.cancelled_lines, storefront.cancelled_orders) == ({"S1": {"L2"}}, set())


def test_an_order_is_stopped_when_nothing_of_it_is_left(storefront: Storefront) -> None:
    hear(storefront, decided(Choice.CANCEL, line_ids=("L1", "L2")))
    assert storefront.cancelled_orders == {"S1"}


def test_another_day_moves_all_that_was_to_come(storefront: Storefront) -> None:
    hear(storefront, decided(Choice.CHANGE, ChangeSubject.DATE, requested_date=date(2026, 4, 1)))
    assert storefront.new_dates == {"S1": datetime(2026, 4, 1, 10, tzinfo=ZONE).astimezone(UTC)}


def test_a_decision_after_the_shipment_changes_nothing(storefront: Storefront) -> None:
    storefront.shipped.add("S1")
    hear(storefront, decided(Choice.CANCEL, line_ids=("L1",)))
    assert (storefront.cancelled_lines, storefront.change_outcomes) == ({}, {"came too late": 1})


@pytest.mark.parametrize(
    ("street", "outcome"), [("新居町8-8", "another address"), (None, "an address that was not there")]
)
async def test_a_requested_address_is_fetched_with_its_choice(
    storefront: Storefront, street: str | None, outcome: str
) -> None:
    paths: list[str] = []

    def answer(request: httpx.Request) -> httpx.Response:
        paths.append(request.url.path)
        return httpx.Response(200, json={"street": street}) if street else httpx.Response(404)

    storefront.notices = httpx.AsyncClient(base_url="http://notices", transport=httpx.MockTransport(answer))
    hear(storefront, decided(Choice.CHANGE, ChangeSubject.ADDRESS))
    for task in list(storefront.open_tasks):
        await task
    assert paths == [f"/v1/orders/S1/choices/{CHOICE}/address"]
    assert storefront.change_outcomes == {outcome: 1}
