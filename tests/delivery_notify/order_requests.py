"""Requests to cancel or change an order for tests: an order whose date moved, the request, and acts of the shop."""

from collections.abc import Sequence
from datetime import date, datetime, timedelta
from typing import Any

from libs.common.decisions.facts import Fact
from libs.common.events.change_requests import (
    ChangeAnswer,
    OrderChangeAnswered,
)
from libs.common.events.notices import ChangeSubject, NoticeKind
from libs.common.events.storefront import (
    OrderCancelled,
    OrderPromiseChanged,
    OrderShipped,
)
from libs.common.events.values import Address, Choice, ShippedLine
from services.delivery_notify.domain.change_request import ChangeRequest
from services.delivery_notify.domain.customer_questions import CustomerAnswered
from services.delivery_notify.domain.notices import NoticeCreated
from tests.delivery_notify.conversation_driver import (
    MONDAY,
    NEXT_FRIDAY,
    ORDER,
    ConversationDriver,
    at,
    drive,
    of,
    placed,
)

HOUR = timedelta(hours=1)
TUESDAY_NOON = at(date(2027, 3, 2), 12)
LATER = date(2027, 3, 19)
OSAKA = Address(name="山田 花子", postal_code="5300001", country="JP", city="大阪市", street="梅田 1-1")
WISHES: dict[str, dict[str, Any]] = {
    "cancel": {"choice": Choice.CANCEL},
    "date": {"choice": Choice.CHANGE, "change": ChangeSubject.DATE, "requested_date": LATER},
    "item": {"choice": Choice.CHANGE, "change": ChangeSubject.ITEM, "requested_sku": "KYUSU-2"},
    "address": {"choice": Choice.CHANGE, "change": ChangeSubject.ADDRESS, "address": OSAKA},
}


def asked(*lines: Any, day: date = NEXT_FRIDAY) -> ConversationDriver:
    moved = OrderPromiseChanged(order_id=ORDER, promised_ship_date=day, changed_at=MONDAY + HOUR)
    driver = drive(placed(*lines), moved)
    driver.advance_to(MONDAY + 2 * HOUR)
    return driver


def requested(wish: str, *lines: Any) -> ConversationDriver:
    driver = asked(*lines)
    choice_id = next(question for question in driver.conversation.questions if question.open).choice_id
    driver.handle(CustomerAnswered(order_id=ORDER, choice_id=choice_id, **WISHES[wish]))
    return driver


def request_of(driver: ConversationDriver) -> ChangeRequest:
    (request,) = driver.conversation.requests
    return request


def answer(
    driver: ConversationDriver,
    given: str,
    day: date | None = None,
    at: datetime | None = None,
    reason: str | None = None,
) -> list[Fact]:
    driver.now = max(driver.now, at or driver.now)
    return driver.handle(
        OrderChangeAnswered(
            order_id=ORDER,
            request_id=request_of(driver).request_id,
            answer=ChangeAnswer(given),
            promised_ship_date=day,
            reason=reason,
            answered_at=at or driver.now,
        )
    )


def ship(driver: ConversationDriver, *line_ids: str) -> list[Fact]:
    lines = tuple(ShippedLine(line_id=line_id, quantity=1) for line_id in line_ids or ("1",))
    return driver.handle(OrderShipped(order_id=ORDER, lines=lines, shipped_at=driver.now))


def cancel(driver: ConversationDriver, *line_ids: str) -> list[Fact]:
    return driver.handle(OrderCancelled(order_id=ORDER, line_ids=line_ids, cancelled_at=driver.now))


def notices_in(facts: Sequence[Fact]) -> list[NoticeCreated]:
    return of(facts, NoticeCreated)


def kinds_in(facts: Sequence[Fact]) -> list[NoticeKind]:
    return [notice.kind for notice in notices_in(facts)]
