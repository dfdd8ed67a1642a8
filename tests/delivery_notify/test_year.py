"""Simulated year of orders per market: no promise breaks unannounced or announced twice, no deadline is missed.

Each year has a leap day, both changes of summer time, the public holidays of the market, and company closures; shop,
warehouse and courier keep different days. The actions of the shop
come from a seeded generator, all decisions from the real `decide`, whose timers fire at their due times.
"""

import random
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from libs.common.decisions.business_hours import BusinessHours
from libs.common.decisions.calendars import Calendars
from libs.common.decisions.shop_calendar import Closure, ShopCalendar
from libs.common.events.envelope import Payload
from libs.common.events.notices import CustomerDecided, DecidedBy, NoticeKind, PromiseSubject
from libs.common.events.storefront import (
    OrderCancelled,
    OrderDelayed,
    OrderDelivered,
    OrderPromiseChanged,
    OrderShipped,
)
from libs.common.events.values import Choice, LineQuantity, Prepayment
from services.delivery_notify.domain.customer_questions import CustomerAnswered
from services.delivery_notify.domain.notices import NoticeCreated, PromiseMade
from services.delivery_notify.policy.consent_law import refund_due
from services.delivery_notify.policy.notification_rules import NotificationRules, load_rules
from tests.delivery_notify.conversation_driver import ORDER, PRICE, ConversationDriver, line, of, placed

ZONES = {"US": "America/New_York", "DE": "Europe/Berlin", "JP": "Asia/Tokyo", "BR": "America/Sao_Paulo"}
ORDERS_A_MARKET = 366
FIRST_DAY = date(2027, 7, 1)
ONE = (LineQuantity(line_id="1", quantity=1),)


def rules_in(market: str) -> NotificationRules:
    return load_rules(parties_in(market))


def parties_in(market: str) -> Calendars:
    """The shop and its warehouse and courier, each with other weekly closing days, and company closures of two."""

    def hours(closed_weekday: int, *closures: Closure) -> BusinessHours:
        return BusinessHours(ShopCalendar(ZoneInfo(ZONES[market]), market, (closed_weekday,), closures))

    summer, winter = Closure(date(2027, 8, 11), date(2027, 8, 16)), Closure(date(2027, 12, 29), date(2028, 1, 3))
    return Calendars(
        hours(6, summer, winter),
        {"default": hours(2, winter)},
        {"default": hours(0, Closure(date(2028, 2, 7), date(2028, 2, 9)))},
    )


@dataclass
class SimulatedOrder:
    """One order of the year, and when it was shipped, delivered or cancelled (None: never)."""

    driver: ConversationDriver
    shipped_at: datetime | None
    delivered_at: datetime | None
    cancelled_at: datetime | None


def simulate(market: str, number: int) -> SimulatedOrder:
    """Simulate one order; every second is late, half of these with an announcement of the shop."""
    rng, rules = random.Random(f"{market}:{number}"), rules_in(market)
    day = FIRST_DAY + timedelta(days=number)
    start = rules.calendar.moment(day, rng.randint(6, 22), rng.randrange(60))
    promise = None if rng.random() < 0.1 else rules.calendars.warehouse().add_open_days(day, rng.randint(1, 5))
    carrier = rules.calendars.carrier()
    door = carrier.next_open(promise + timedelta(days=rng.randint(2, 9))) if promise and rng.random() < 0.7 else None
    driver = ConversationDriver(now=start, rules=rules)
    ordered = line("1", promise, preorder=rng.random() < 0.2, promised_delivery_date=door)
    paid = Prepayment(amount=PRICE, received_at=start) if rng.random() < 0.5 else None
    driver.handle(placed(ordered, market=market, placed_at=start, prepaid=paid))
    return _go_on(driver, rng, promise or day + timedelta(days=30), start)


def _go_on(driver: ConversationDriver, rng: random.Random, promise: date, start: datetime) -> SimulatedOrder:
    calendar = driver.rules.calendar
    late = rng.choice((-1, 0, 0, 0, 1, 3, 9, 25, 45, 80)) if rng.random() < 0.7 else 0
    leaves = max(calendar.moment(promise + timedelta(days=late), rng.randint(8, 17)), start + timedelta(hours=1))
    arrives = leaves + timedelta(days=rng.randint(1, 12))
    script: list[tuple[datetime, Payload]] = [
        (leaves, OrderShipped(order_id=ORDER, lines=ONE, shipped_at=leaves)),
        (arrives, OrderDelivered(order_id=ORDER, lines=ONE, delivered_at=arrives)),
    ]
    if late > 0 and rng.random() < 0.5:
        script.append(_announcement(rng, calendar, promise, leaves, start))
    order = SimulatedOrder(driver, None, None, None)
    for moment, payload in sorted(script, key=lambda each: each[0]):
        _answer_on_the_way(order, rng, moment)
        if order.cancelled_at is None:
            driver.advance_to(moment)
            driver.handle(payload)
            order.shipped_at = moment if isinstance(payload, OrderShipped) else order.shipped_at
            order.delivered_at = moment if isinstance(payload, OrderDelivered) else order.delivered_at
    driver.advance_to(arrives + timedelta(days=60))
    return order


def _announcement(
    rng: random.Random, calendar: ShopCalendar, promise: date, leaves: datetime, start: datetime
) -> tuple[datetime, Payload]:
    at = max(calendar.moment(promise - timedelta(days=rng.randint(0, 2)), 9), start + timedelta(minutes=30))
    if rng.random() < 0.3:
        return at, OrderDelayed(order_id=ORDER, cause="out_of_stock", delayed_at=at)
    day = max(calendar.day(leaves), calendar.day(at))
    return at, OrderPromiseChanged(order_id=ORDER, promised_ship_date=day, changed_at=at)


def _answer_on_the_way(order: SimulatedOrder, rng: random.Random, until: datetime) -> None:
    """Advance day by day; some customers answer, and the shop cancels the order after their cancellation."""
    driver = order.driver
    while driver.now + timedelta(days=1) < until and order.cancelled_at is None:
        driver.advance_to(driver.now + timedelta(days=1))
        question = next((q for q in driver.conversation.questions if q.open and q.options), None)
        if question and rng.random() < 0.15:
            choice = rng.choice((Choice.WAIT, Choice.WAIT, Choice.CANCEL))
            driver.handle(CustomerAnswered(order_id=ORDER, choice_id=question.choice_id, choice=choice))
        if any(decided.choice is Choice.CANCEL for decided in of(driver.facts, CustomerDecided)):
            order.cancelled_at = driver.now
            driver.handle(OrderCancelled(order_id=ORDER, cancelled_at=driver.now))


@pytest.fixture(scope="module", params=list(ZONES))
def year(request: pytest.FixtureRequest) -> tuple[str, list[SimulatedOrder]]:
    return request.param, [simulate(request.param, number) for number in range(ORDERS_A_MARKET)]


def broken_promises(order: SimulatedOrder) -> Iterator[tuple[str, int, datetime]]:
    """Yield subject, version and end of each announced promise whose day ended without a parcel."""
    rows = of(order.driver.facts, PromiseMade)
    for row in rows:
        end = order.driver.rules.end_of(row.day)
        fate = order.shipped_at if row.subject == "line" else order.delivered_at
        over = min(
            (moment for moment in (fate, order.cancelled_at) if moment), default=datetime.max.replace(tzinfo=UTC)
        )
        called_off = [d.decided_at for d in of(order.driver.facts, CustomerDecided) if d.choice is Choice.CANCEL]
        if over >= end and end <= order.driver.now and all(moment > end for moment in called_off):
            yield row.subject, row.version, end


def broken_promise_notices(order: SimulatedOrder) -> dict[tuple[str, int], list[NoticeCreated]]:
    announced: dict[tuple[str, int], list[NoticeCreated]] = {}
    for notice in order.driver.notices:
        for ref in notice.promises.supersedes if notice.notice_id not in order.driver.withdrawn_unsent else ():
            announced.setdefault((ref.subject, ref.version), []).append(notice)
    return announced


def test_every_broken_promise_is_announced_once_before_its_day_ends(year: tuple[str, list[SimulatedOrder]]) -> None:
    count = 0
    for order in year[1]:
        announced = broken_promise_notices(order)
        for subject, version, end in broken_promises(order):
            notices = announced.get((subject, version), [])
            assert [notice.due_at < end for notice in notices] == [True], (subject, version, end, notices)
            count += 1
    assert count > ORDERS_A_MARKET / 4


def test_no_notice_is_created_twice(year: tuple[str, list[SimulatedOrder]]) -> None:
    for order in year[1]:
        ids = Counter(notice.notice_id for notice in order.driver.notices)
        assert max(ids.values(), default=1) == 1


def test_a_date_in_a_notice_is_the_newest_of_the_ledger(year: tuple[str, list[SimulatedOrder]]) -> None:
    for order in year[1]:
        newest: dict[str, Any] = {}
        for fact in order.driver.facts:
            if isinstance(fact, PromiseMade):
                newest[fact.subject] = fact
            elif isinstance(fact, NoticeCreated):
                for ref in fact.promises.announces:
                    row = newest[ref.subject]
                    assert (ref.version, ref.day) == (row.version, row.day)


def test_silence_cancels_in_the_united_states_only_and_the_money_is_due_in_time(
    year: tuple[str, list[SimulatedOrder]],
) -> None:
    market, orders = year
    cancelled = 0
    for order in orders:
        for decided in of(order.driver.facts, CustomerDecided):
            if decided.choice is Choice.CANCEL and decided.by_default:
                cancelled += 1
                assert decided.reason in (DecidedBy.SILENCE, DecidedBy.DEADLINE)
                today = order.driver.rules.calendar.day(decided.decided_at)
                assert decided.refund_due_on is not None
                assert today <= decided.refund_due_on <= refund_due(market, today, order.driver.rules.calendar)
    assert bool(cancelled) == (market == "US")


def test_prepaid_orders_of_japan_are_accepted_at_once_and_again_with_every_new_date(
    year: tuple[str, list[SimulatedOrder]],
) -> None:
    market, orders = year
    for order in orders:
        notices = order.driver.notices
        accepted = [notice for notice in notices if notice.kind is NoticeKind.ORDER_ACCEPTED]
        prepaid = market == "JP" and order.driver.conversation.prepaid is not None
        assert bool(accepted) == prepaid
        dated = [n for n in notices if n.kind in (NoticeKind.ORDER_DELAYED, NoticeKind.ORDER_OVERDUE)]
        assert all((notice.facts.received_on is not None) == prepaid for notice in dated)


def test_an_open_line_always_has_a_timer(year: tuple[str, list[SimulatedOrder]]) -> None:
    for order in year[1]:
        line_ = order.driver.conversation.lines[0]
        if line_.open and line_.shipping.owed_day:
            assert "overdue" in order.driver.timers


def test_no_date_is_announced_for_a_day_on_which_the_party_that_has_to_act_is_closed(
    year: tuple[str, list[SimulatedOrder]],
) -> None:
    calendars, count = parties_in(year[0]), 0
    for order in year[1]:
        for notice in order.driver.notices:
            for ref in notice.promises.announces:
                party = calendars.warehouse() if ref.subject == PromiseSubject.LINE else calendars.carrier()
                assert party.is_open(ref.day), (notice.kind, ref)
                count += 1
    assert count > ORDERS_A_MARKET / 4
