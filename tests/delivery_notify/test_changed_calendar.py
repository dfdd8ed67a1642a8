"""A changed calendar: the customer is notified of a date that can no longer hold; another one stays."""

from dataclasses import replace
from datetime import date, timedelta

from libs.common.decisions.business_hours import BusinessHours
from libs.common.decisions.calendars import CALENDAR_TIMER, Calendars
from libs.common.decisions.facts import Fact, TimerFired
from libs.common.decisions.shop_calendar import Closure, ShopCalendar
from libs.common.events.notices import NoticeKind
from libs.common.events.storefront import OrderPromiseChanged
from libs.common.messaging.calendar_changes import schedule_review_of_dates
from services.delivery_notify.domain.notices import PromiseMade
from tests.conftest import MakeDatabase
from tests.delivery_notify.conversation_driver import (
    FRIDAY,
    MONDAY,
    ORDER,
    RULES,
    TOKYO,
    ConversationDriver,
    drive,
    line,
    of,
    placed,
    reasons,
)
from tests.delivery_notify.service import notifying

NEXT_MONDAY, NEXT_TUESDAY = date(2027, 3, 8), date(2027, 3, 9)


def with_closure(talk: ConversationDriver, first: date, last: date) -> list[Fact]:
    """Close every party for these days, and let the conversation look at its dates."""
    closed = ShopCalendar(TOKYO, "JP", (5, 6), [Closure(first, last)])
    talk.rules = replace(RULES, calendars=Calendars(BusinessHours(closed)))
    return talk.handle(TimerFired(name=CALENDAR_TIMER, due_at=talk.now), ORDER)


def test_a_given_date_on_a_day_that_is_closed_now_moves_with_a_notice() -> None:
    talk = drive(placed())
    with_closure(talk, FRIDAY, FRIDAY)
    (notice,) = talk.notices
    assert (notice.kind, notice.facts.previous_day, notice.facts.day) == (NoticeKind.ORDER_DELAYED, FRIDAY, NEXT_MONDAY)
    assert [(row.day, row.source) for row in of(talk.facts, PromiseMade)][1:] == [(NEXT_MONDAY, "calendar")]


def test_a_date_that_is_not_announced_yet_is_announced_as_the_open_day() -> None:
    talk = drive(placed(line(promise=date(2027, 3, 3))))
    moved = {"order_id": ORDER, "promised_ship_date": FRIDAY, "changed_at": MONDAY}
    talk.handle(OrderPromiseChanged.model_validate(moved))
    with_closure(talk, FRIDAY, FRIDAY)
    left = [notice for notice in talk.notices if notice.notice_id not in talk.withdrawn]
    assert [(notice.facts.previous_day, notice.facts.day) for notice in left] == [(date(2027, 3, 3), NEXT_MONDAY)]


def test_lines_with_the_same_closed_day_are_one_message() -> None:
    talk = drive(placed(line("1"), line("2")))
    with_closure(talk, FRIDAY, FRIDAY)
    left = [notice for notice in talk.notices if notice.notice_id not in talk.withdrawn]
    assert [len(notice.facts.lines) for notice in left] == [2]


def test_a_delivery_date_moves_with_the_days_of_the_carrier() -> None:
    talk = drive(placed(line(promise=date(2027, 3, 3), promised_delivery_date=FRIDAY)))
    with_closure(talk, FRIDAY, NEXT_MONDAY)
    assert talk.conversation.lines[0].delivery.day == NEXT_TUESDAY


def test_dates_on_open_days_stay() -> None:
    talk = drive(placed())
    assert reasons(with_closure(talk, NEXT_MONDAY, NEXT_MONDAY)) == []
    assert talk.notices == []


def test_a_shop_that_states_another_date_later_is_followed() -> None:
    talk = drive(placed())
    with_closure(talk, FRIDAY, FRIDAY)
    talk.now += timedelta(hours=1)
    moved = {"order_id": ORDER, "promised_ship_date": NEXT_TUESDAY, "changed_at": talk.now}
    talk.handle(OrderPromiseChanged.model_validate(moved))
    assert talk.conversation.lines[0].shipping.day == NEXT_TUESDAY


TRACE = f"00-{'1' * 32}-{'1' * 16}-01"


async def test_every_open_conversation_looks_at_its_dates_once_per_change(database: MakeDatabase) -> None:
    schedule = "SELECT trace FROM timers WHERE name = 'calendar'"
    async with notifying(await database("delivery_notify")) as live:
        pool, now = live.service.pool, live.service.clock.now() + timedelta(days=1)
        await pool.execute(
            """INSERT INTO timers (aggregate, key, name, due_at, trace) VALUES
               ('conversations', 'a', 'overdue', $1, $2), ('conversations', 'b', 'progress', $1, NULL)""",
            now,
            TRACE,
        )
        async with pool.acquire() as conn:
            for fingerprint, timers in (("one", 1), ("one", 0), ("two", 1)):
                await schedule_review_of_dates(conn, "conversations", fingerprint, ["overdue"], now)
                assert [row["trace"] for row in await conn.fetch(schedule)] == [TRACE] * timers
                await conn.execute("DELETE FROM timers WHERE name = 'calendar'")
