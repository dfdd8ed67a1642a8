"""A year of simulated orders in each market: no promise breaks unheard, none is told of twice, no deadline is missed.

The years hold a leap day, both changes to and from summer time, and the market's public holidays. What the shop does
and says is drawn from a seed; everything else is decided by the real `decide`, with its timers firing at their moments.
"""

import random
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from libs.common.decisions.shop_calendar import ShopCalendar
from libs.common.events.envelope import Payload
from libs.common.events.notices import CustomerDecided, DecidedBy, NoticeKind
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
    return load_rules(ShopCalendar(ZoneInfo(ZONES[market]), market))


@dataclass
class Lived:
    """One order of the year, and when its parcel left or it was called off (None: never)."""

    rehearsal: ConversationDriver
    left_at: datetime | None
    arrived_at: datetime | None
    ended_at: datetime | None


def live(market: str, number: int) -> Lived:
    """One order a day; the shop is late in every second, and says so in half of these."""
    rng, rules = random.Random(f"{market}:{number}"), rules_in(market)
    day = FIRST_DAY + timedelta(days=number)
    start = rules.calendar.moment(day, rng.randint(6, 22), rng.randrange(60))
    promise = None if rng.random() < 0.1 else rules.calendar.add_open_days(day, rng.randint(1, 5))
    door = promise + timedelta(days=rng.randint(2, 9)) if promise and rng.random() < 0.7 else None
    rehearsal = ConversationDriver(now=start, rules=rules)
    ordered = line("1", promise, preorder=rng.random() < 0.2, promised_delivery_date=door)
    paid = Prepayment(amount=PRICE, received_at=start) if rng.random() < 0.5 else None
    rehearsal.handle(placed(ordered, market=market, placed_at=start, prepaid=paid))
    return _go_on(rehearsal, rng, promise or day + timedelta(days=30), start)


def _go_on(rehearsal: ConversationDriver, rng: random.Random, promise: date, start: datetime) -> Lived:
    calendar = rehearsal.rules.calendar
    late = rng.choice((-1, 0, 0, 0, 1, 3, 9, 25, 45, 80)) if rng.random() < 0.7 else 0
    leaves = max(calendar.moment(promise + timedelta(days=late), rng.randint(8, 17)), start + timedelta(hours=1))
    arrives = leaves + timedelta(days=rng.randint(1, 12))
    script: list[tuple[datetime, Payload]] = [
        (leaves, OrderShipped(order_id=ORDER, lines=ONE, shipped_at=leaves)),
        (arrives, OrderDelivered(order_id=ORDER, lines=ONE, delivered_at=arrives)),
    ]
    if late > 0 and rng.random() < 0.5:
        script.append(_announcement(rng, calendar, promise, leaves, start))
    lived = Lived(rehearsal, None, None, None)
    for moment, payload in sorted(script, key=lambda each: each[0]):
        _answer_on_the_way(lived, rng, moment)
        if lived.ended_at is None:
            rehearsal.advance_to(moment)
            rehearsal.handle(payload)
            lived.left_at = moment if isinstance(payload, OrderShipped) else lived.left_at
            lived.arrived_at = moment if isinstance(payload, OrderDelivered) else lived.arrived_at
    rehearsal.advance_to(arrives + timedelta(days=60))
    return lived


def _announcement(
    rng: random.Random, calendar: ShopCalendar, promise: date, leaves: datetime, start: datetime
) -> tuple[datetime, Payload]:
    at = max(calendar.moment(promise - timedelta(days=rng.randint(0, 2)), 9), start + timedelta(minutes=30))
    if rng.random() < 0.3:
        return at, OrderDelayed(order_id=ORDER, cause="out_of_stock", delayed_at=at)
    day = max(calendar.day(leaves), calendar.day(at))
    return at, OrderPromiseChanged(order_id=ORDER, promised_ship_date=day, changed_at=at)


def _answer_on_the_way(lived: Lived, rng: random.Random, until: datetime) -> None:
    """Day by day: some customers answer, and what is cancelled is called off by the shop an hour later."""
    rehearsal = lived.rehearsal
    while rehearsal.now + timedelta(days=1) < until and lived.ended_at is None:
        rehearsal.advance_to(rehearsal.now + timedelta(days=1))
        question = next((q for q in rehearsal.conversation.questions if q.open and q.options), None)
        if question and rng.random() < 0.15:
            choice = rng.choice((Choice.WAIT, Choice.WAIT, Choice.CANCEL))
            rehearsal.handle(CustomerAnswered(order_id=ORDER, choice_id=question.choice_id, choice=choice))
        if any(decided.choice is Choice.CANCEL for decided in of(rehearsal.facts, CustomerDecided)):
            lived.ended_at = rehearsal.now
            rehearsal.handle(OrderCancelled(order_id=ORDER, cancelled_at=rehearsal.now))


@pytest.fixture(scope="module", params=list(ZONES))
def year(request: pytest.FixtureRequest) -> tuple[str, list[Lived]]:
    return request.param, [live(request.param, number) for number in range(ORDERS_A_MARKET)]


def broken(lived: Lived) -> Iterator[tuple[str, int, datetime]]:
    """Every told promise that was the newest when its day ended without a parcel: subject, version and that moment."""
    rows = of(lived.rehearsal.facts, PromiseMade)
    for row in rows:
        end = lived.rehearsal.rules.end_of(row.ship_date)
        fate = lived.left_at if row.subject == "line" else lived.arrived_at
        over = min((moment for moment in (fate, lived.ended_at) if moment), default=datetime.max.replace(tzinfo=UTC))
        called_off = [d.decided_at for d in of(lived.rehearsal.facts, CustomerDecided) if d.choice is Choice.CANCEL]
        if over >= end and end <= lived.rehearsal.now and all(moment > end for moment in called_off):
            yield row.subject, row.version, end


def tellings(lived: Lived) -> dict[tuple[str, int], list[NoticeCreated]]:
    told: dict[tuple[str, int], list[NoticeCreated]] = {}
    for notice in lived.rehearsal.notices:
        for ref in notice.promises.supersedes if notice.notice_id not in lived.rehearsal.withdrawn_unsent else ():
            told.setdefault((ref.subject, ref.version), []).append(notice)
    return told


def test_every_promise_that_breaks_is_told_once_and_before_its_day_is_over(year: tuple[str, list[Lived]]) -> None:
    count = 0
    for lived in year[1]:
        told = tellings(lived)
        for subject, version, end in broken(lived):
            notices = told.get((subject, version), [])
            assert [notice.due_at < end for notice in notices] == [True], (subject, version, end, notices)
            count += 1
    assert count > ORDERS_A_MARKET / 4


def test_nothing_is_told_of_a_date_twice(year: tuple[str, list[Lived]]) -> None:
    for lived in year[1]:
        ids = Counter(notice.notice_id for notice in lived.rehearsal.notices)
        assert max(ids.values(), default=1) == 1


def test_a_date_in_a_notice_is_the_newest_of_the_ledger(year: tuple[str, list[Lived]]) -> None:
    for lived in year[1]:
        newest: dict[str, Any] = {}
        for fact in lived.rehearsal.facts:
            if isinstance(fact, PromiseMade):
                newest[fact.subject] = fact
            elif isinstance(fact, NoticeCreated):
                for ref in fact.promises.announces:
                    row = newest[ref.subject]
                    assert (ref.version, ref.day) == (row.version, row.ship_date)


def test_silence_cancels_in_the_united_states_only_and_the_money_is_due_in_time(year: tuple[str, list[Lived]]) -> None:
    market, lives = year
    cancelled = 0
    for lived in lives:
        for decided in of(lived.rehearsal.facts, CustomerDecided):
            if decided.choice is Choice.CANCEL and decided.by_default:
                cancelled += 1
                assert decided.reason in (DecidedBy.SILENCE, DecidedBy.DEADLINE)
                today = lived.rehearsal.rules.calendar.day(decided.decided_at)
                assert decided.refund_due_on is not None
                assert today <= decided.refund_due_on <= refund_due(market, today, lived.rehearsal.rules.calendar)
    assert bool(cancelled) == (market == "US")


def test_prepaid_orders_of_japan_are_accepted_at_once_and_again_with_every_new_date(
    year: tuple[str, list[Lived]],
) -> None:
    market, lives = year
    for lived in lives:
        notices = lived.rehearsal.notices
        accepted = [notice for notice in notices if notice.kind is NoticeKind.ORDER_ACCEPTED]
        prepaid = market == "JP" and lived.rehearsal.conversation.prepaid is not None
        assert bool(accepted) == prepaid
        dated = [n for n in notices if n.kind in (NoticeKind.ORDER_DELAYED, NoticeKind.ORDER_OVERDUE)]
        assert all((notice.facts.received_on is not None) == prepaid for notice in dated)


def test_whoever_waits_always_has_a_next_moment(year: tuple[str, list[Lived]]) -> None:
    for lived in year[1]:
        line_ = lived.rehearsal.conversation.lines[0]
        if line_.open and line_.shipping.owed_day:
            assert "overdue" in lived.rehearsal.timers
