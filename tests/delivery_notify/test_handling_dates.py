"""Orders without a date: the handling times give one, the customer is notified of it, and silence has an end."""

from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.common.decisions.business_hours import BusinessHours
from libs.common.decisions.calendars import Calendars
from libs.common.decisions.shop_calendar import ShopCalendar
from libs.common.events.notices import NoticeKind
from libs.common.events.storefront import OrderChanged, OrderPromiseChanged, OrderShipped
from libs.common.events.values import LineQuantity
from services.delivery_notify.domain.notices import PromiseMade
from services.delivery_notify.policy.handling_times import HandlingTimesError, read_handling_times
from tests.delivery_notify.conversation_driver import (
    CALENDAR,
    CUSTOMER,
    FRIDAY,
    MONDAY,
    ORDER,
    RULES,
    TOKYO,
    ConversationDriver,
    line,
    of,
    placed,
)

WEDNESDAY, THURSDAY = date(2027, 3, 3), date(2027, 3, 4)
HANDLED = replace(RULES, handling=read_handling_times())


def rules(folder: Path, text: str, **parties: dict[str, BusinessHours]) -> ConversationDriver:
    file = folder / "handling.toml"
    file.write_text("open_days = 2\nhistory_after_days = 3\n" + text, encoding="utf-8")
    calendars = Calendars(BusinessHours(CALENDAR), **parties)  # type: ignore[arg-type]
    return ConversationDriver(rules=replace(RULES, calendars=calendars, handling=read_handling_times(file)))


def undated(**more: Any) -> ConversationDriver:
    talk = ConversationDriver(rules=HANDLED)
    talk.handle(placed(line(promise=None), **more))
    return talk


def test_an_order_without_a_date_gets_one_of_which_the_customer_is_notified() -> None:
    talk = undated()
    (notice,) = talk.notices
    assert (notice.kind, notice.promised_date, notice.due_at) == (NoticeKind.ORDER_DATED, WEDNESDAY, MONDAY)
    assert [(ref.day, ref.version) for ref in notice.promises.announces] == [(WEDNESDAY, 1)]
    assert [(row.day, row.source, row.surface) for row in of(talk.facts, PromiseMade)] == [
        (WEDNESDAY, "handling_time", None)
    ]


def test_sixty_days_without_a_shipment_lead_to_messages() -> None:
    talk = undated()
    talk.advance_to(MONDAY + timedelta(days=60))
    assert {NoticeKind.ORDER_DATED, NoticeKind.ORDER_DELAYED, NoticeKind.ORDER_OVERDUE} <= set(talk.kinds)


def test_an_order_that_leaves_at_once_needs_no_date() -> None:
    talk = undated()
    units = (LineQuantity(line_id="1", quantity=1),)
    talk.handle(OrderShipped.model_validate({"order_id": ORDER, "lines": units, "shipped_at": MONDAY}))
    assert talk.notices[0].notice_id in talk.withdrawn


def test_an_order_after_the_cutoff_is_begun_on_the_next_day() -> None:
    talk = ConversationDriver(rules=HANDLED, now=MONDAY + timedelta(hours=6))
    talk.handle(placed(line(promise=None), placed_at=talk.now))
    assert talk.notices[0].promised_date == THURSDAY


def test_a_date_of_the_shop_takes_precedence_also_if_it_was_stated_a_little_earlier() -> None:
    talk = undated()
    stated = {"order_id": ORDER, "promised_ship_date": FRIDAY, "changed_at": MONDAY - timedelta(minutes=1)}
    talk.handle(OrderPromiseChanged.model_validate(stated))
    assert talk.conversation.lines[0].shipping.day == FRIDAY


@pytest.mark.parametrize("more", [{"preorder": True}, {"promised_delivery_date": FRIDAY}, {"requires_shipping": False}])
def test_what_has_another_date_or_no_shipment_gets_none(more: dict[str, Any]) -> None:
    talk = ConversationDriver(rules=HANDLED)
    talk.handle(placed(line(promise=None, **more)))
    assert NoticeKind.ORDER_DATED not in talk.kinds
    assert talk.conversation.lines[0].shipping.day is None


def test_orders_of_the_past_get_no_date() -> None:
    assert undated(placed_at=MONDAY - timedelta(days=3)).notices == []


def test_an_order_that_reaches_us_late_is_handled_from_now_on() -> None:
    talk = ConversationDriver(rules=HANDLED, now=datetime(2027, 3, 4, 1, tzinfo=UTC))
    talk.handle(placed(line(promise=None), placed_at=talk.now - timedelta(days=2, hours=20)))
    assert talk.notices[0].promised_date == date(2027, 3, 8)


def test_a_line_that_is_added_gets_a_date_too() -> None:
    talk = ConversationDriver(rules=HANDLED)
    talk.handle(placed())
    added = {"order_id": ORDER, "customer_id": CUSTOMER, "lines": (line("2", None),), "changed_at": MONDAY}
    talk.handle(OrderChanged.model_validate(added))
    assert [(notice.kind, notice.promised_date) for notice in talk.notices] == [(NoticeKind.ORDER_DATED, WEDNESDAY)]
    assert [each.line_id for each in talk.notices[0].facts.lines] == ["2"]


def test_the_first_matching_rule_counts(tmp_path: Path) -> None:
    groups = (
        '[[rules]]\nproduct_groups = ["furniture"]\nopen_days = 5\n[[rules]]\nweekdays = ["monday"]\nopen_days = 1\n'
    )
    talk = rules(tmp_path, groups)
    talk.handle(placed(line("1", None, product_group="furniture"), line("2", None)))
    assert [each.ship_date for each in talk.notices[0].facts.lines] == [date(2027, 3, 8), date(2027, 3, 2)]


def test_a_line_follows_the_days_of_its_own_warehouse(tmp_path: Path) -> None:
    osaka = BusinessHours(ShopCalendar(TOKYO, None, (2,)), cutoff=time(10))
    talk = rules(tmp_path, "", warehouses={"osaka": osaka})
    talk.handle(placed(line("1", None, warehouse="Osaka")))
    assert talk.notices[0].promised_date == date(2027, 3, 5)  # from Tuesday, without the Wednesday


def test_a_wrong_file_is_refused_with_the_entry(tmp_path: Path) -> None:
    with pytest.raises(HandlingTimesError, match=r"rules\.0\.open_days"):
        rules(tmp_path, "[[rules]]\nopen_days = -1\n")


@given(st.timedeltas(timedelta(), timedelta(days=700)), st.integers(0, 71))
def test_every_date_is_an_open_day_that_is_still_to_come(since: timedelta, hours: int) -> None:
    now = MONDAY + since
    assert HANDLED.handling
    day = HANDLED.handling.ship_date(line(promise=None), now - timedelta(hours=hours), now, HANDLED.calendars)
    assert day is not None
    assert day >= CALENDAR.day(now)
    assert CALENDAR.is_open(day)
