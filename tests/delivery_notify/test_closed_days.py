"""Closed days: updates on the shop's days, ship dates on the warehouse's, delivery dates on the carrier's."""

from dataclasses import replace
from datetime import date, timedelta
from zoneinfo import ZoneInfo

from libs.common.decisions.business_hours import BusinessHours
from libs.common.decisions.calendars import Calendars
from libs.common.decisions.shop_calendar import ShopCalendar
from libs.common.events import issues as ev
from libs.common.events.notices import NoticeKind
from libs.common.events.storefront import OrderShipped
from services.delivery_notify.domain.notices import NoticeFacts
from tests.delivery_notify.conversation_driver import (
    FRIDAY,
    MONDAY,
    ORDER,
    RULES,
    TOKYO,
    ConversationDriver,
    issue,
    line,
    placed,
)

TUESDAY, WEDNESDAY, SATURDAY = date(2027, 3, 2), date(2027, 3, 3), date(2027, 3, 6)
NO_TUESDAYS, NO_FRIDAYS = ShopCalendar(TOKYO, None, (1,)), ShopCalendar(TOKYO, None, (4,))
EVERY_DAY = ShopCalendar(TOKYO, None, ())


def driver(
    shop: ShopCalendar, warehouses: ShopCalendar | None = None, carriers: ShopCalendar | None = None
) -> ConversationDriver:
    ships, drives = ({"default": BusinessHours(each)} if each else {} for each in (warehouses, carriers))
    return ConversationDriver(rules=replace(RULES, calendars=Calendars(BusinessHours(shop), ships, drives)))


def first_delay(talk: ConversationDriver) -> NoticeFacts:
    """Advance to the first notice of a ship date that moved."""
    talk.advance_to(MONDAY + timedelta(days=3))
    return next(notice.facts for notice in talk.notices if notice.kind is NoticeKind.ORDER_DELAYED)


def test_the_mail_names_the_day_of_the_next_update_that_the_answer_named() -> None:
    talk = driver(NO_TUESDAYS)
    talk.handle(placed())
    talk.handle(issue(ev.IssueAccepted, next_update_by=date(2027, 3, 4)))
    talk.advance_to(MONDAY + timedelta(hours=1))
    assert talk.notices[-1].facts.next_update_by == date(2027, 3, 4)


def test_without_such_a_day_the_next_update_is_on_an_open_day() -> None:
    talk = driver(NO_TUESDAYS)
    talk.handle(placed())
    talk.handle(issue(ev.IssueAccepted))
    talk.advance_to(MONDAY + timedelta(hours=1))
    assert talk.notices[-1].facts.next_update_by == WEDNESDAY


def test_a_german_shop_works_on_japanese_holidays() -> None:
    equinox = date(2027, 3, 22)
    berlin = Calendars.of(ShopCalendar(ZoneInfo("Europe/Berlin"), "DE"))
    assert (berlin.shop.is_open(equinox), ShopCalendar(TOKYO).is_open(equinox)) == (True, False)


def test_a_broken_ship_date_is_renewed_for_a_day_on_which_the_warehouse_works() -> None:
    talk = driver(EVERY_DAY, warehouses=NO_FRIDAYS)
    talk.handle(placed(line(promise=WEDNESDAY)))
    assert first_delay(talk).day == SATURDAY  # two days, but not the Friday


def test_the_delivery_follows_on_a_day_on_which_the_carrier_drives() -> None:
    talk = driver(EVERY_DAY, carriers=NO_FRIDAYS)
    talk.handle(placed(line(promise=TUESDAY, promised_delivery_date=TUESDAY)))
    shown = first_delay(talk).lines[0]
    assert (shown.ship_date, shown.delivery_date) == (date(2027, 3, 4), date(2027, 3, 7))


def test_a_renewed_ship_date_before_the_delivery_is_an_open_day_too() -> None:
    talk = driver(EVERY_DAY, warehouses=NO_FRIDAYS)
    talk.handle(placed(line(promise=WEDNESDAY, promised_delivery_date=SATURDAY)))
    assert first_delay(talk).day != FRIDAY


def test_the_delivery_follows_on_the_days_of_the_carrier_that_took_the_parcel() -> None:
    calendars = Calendars(BusinessHours(EVERY_DAY), carriers={"yamato": BusinessHours(NO_FRIDAYS)})
    talk = ConversationDriver(rules=replace(RULES, calendars=calendars))
    talk.handle(placed(line(promise=TUESDAY, promised_delivery_date=TUESDAY)))
    parcel = {
        "order_id": ORDER,
        "lines": [{"line_id": "1", "quantity": 1}],
        "shipped_at": talk.now,
        "carrier": "Yamato",
    }
    talk.handle(OrderShipped.model_validate(parcel))
    talk.advance_to(MONDAY + timedelta(days=2))
    assert talk.conversation.lines[0].delivery.day == SATURDAY  # three days, but not the Friday
