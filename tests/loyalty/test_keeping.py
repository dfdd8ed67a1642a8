"""What time does to points: expiry after a notice, tiers, birthdays, seasons."""

from dataclasses import replace
from datetime import date, datetime, timedelta
from decimal import Decimal
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest

from libs.common.events.loyalty import GrantKind, PointsExpired, PointsExpiring, PointsGranted, TierChanged
from libs.common.events.registry import AnyEvent
from services.loyalty.domain.decision_context import Terms
from services.loyalty.policy.award_rules import Campaign
from tests.loyalty.histories import (
    CUSTOMER,
    HOLD,
    NOON,
    RULES,
    Book,
    fired,
    order_changed,
    refunded,
    release,
    reserve,
    resolved,
)

TOKYO = ZoneInfo("Asia/Tokyo")
LAST_DAY = date(2027, 11, 16)
"""Granted on 2 November 2026, final after 14 days, good for 365."""


def until(day: date, hour: int = 12) -> timedelta:
    """From NOON to this hour of that day in the shop."""
    return datetime(day.year, day.month, day.day, hour, tzinfo=TOKYO) - NOON


def expiring(book: Book) -> list[tuple[date, int]]:
    return [(said.expires_on, said.points) for said in book.said if isinstance(said, PointsExpiring)]


def test_points_can_be_spent_until_the_end_of_their_last_day() -> None:
    assert Book().take(resolved()).wait(until(LAST_DAY, 23)).account.purse.available == 549


def test_points_expire_when_their_last_day_is_over() -> None:
    book = Book().take(resolved()).wait(until(LAST_DAY + timedelta(days=1), 0))
    assert (book.account.purse.available, book.account.purse.expired) == (0, 549)
    assert isinstance(book.said[-1], PointsExpired)


def test_the_customer_is_told_before_and_once() -> None:
    day = LAST_DAY - timedelta(days=RULES.notice_days)
    assert expiring(Book().take(resolved()).wait(until(day - timedelta(days=1), 23))) == []
    assert expiring(Book().take(resolved()).wait(until(day, 0))) == [(LAST_DAY, 549)]
    assert expiring(Book().take(resolved()).wait(until(LAST_DAY, 23))) == [(LAST_DAY, 549)]


def test_each_day_of_expiry_is_told_by_itself_and_the_oldest_expire_first() -> None:
    book = Book().take(resolved()).wait(timedelta(days=10)).take(resolved(UUID(int=2))).wait(timedelta(days=400))
    assert expiring(book) == [(LAST_DAY, 549), (LAST_DAY + timedelta(days=10), 549)]
    assert [said.points for said in book.said if isinstance(said, PointsExpired)] == [549, 549]


def test_points_that_were_reserved_over_their_last_day_expire_when_they_come_back() -> None:
    book = Book().take(resolved()).wait(until(LAST_DAY, 23) + timedelta(minutes=50)).take(reserve(500))
    book.wait(timedelta(minutes=20))
    assert (book.account.purse.reserved, book.account.purse.expired) == (500, 49)
    assert book.take(release()).account.purse.expired == 549


def tiers(book: Book) -> list[tuple[str, str]]:
    return [(said.before, said.tier) for said in book.said if isinstance(said, TierChanged)]


def buy(amount: str, order_id: str = "A-1") -> Book:
    return Book().bought(amount, order_id).take(order_changed(order_id))


def test_enough_final_points_make_a_tier_with_its_perks() -> None:
    book = buy("100000").wait(HOLD)
    [changed] = [said for said in book.said if isinstance(said, TierChanged)]
    assert (changed.before, changed.tier, changed.perks, changed.counted) == (
        "regular",
        "silver",
        ("free_gift_wrap",),
        1000,
    )


def test_pending_points_make_no_tier() -> None:
    assert tiers(buy("100000")) == []


def test_apologies_make_no_tier() -> None:
    terms = Terms(RULES.model_copy(update={"limits": None}))
    book = Book(terms=terms).take(*(resolved(UUID(int=n)) for n in range(1, 9))).wait(HOLD)
    assert book.balances() == (0, 8 * 549)
    assert tiers(book) == []


def test_a_refund_takes_the_tier_back_at_once() -> None:
    book = buy("100000").wait(HOLD).take(refunded("100000"))
    assert tiers(book) == [("regular", "silver"), ("silver", "regular")]


def test_a_tier_ends_with_its_period_and_not_before() -> None:
    book = buy("100000").wait(HOLD + timedelta(days=364))
    assert book.account.member().tier == "silver"
    assert tiers(book.wait(timedelta(days=2))) == [("regular", "silver"), ("silver", "regular")]


def test_a_tier_goes_on_with_new_purchases() -> None:
    book = buy("100000").wait(timedelta(days=200)).bought("100000", "A-2").take(order_changed("A-2"))
    assert tiers(book.wait(timedelta(days=300))) == [("regular", "silver")]
    assert book.account.member().until


def test_a_tier_makes_later_points_worth_more() -> None:
    book = buy("100000").wait(HOLD).bought("1000", "A-2").take(order_changed("A-2"), resolved())
    assert [lot.granted for lot in book.account.lots.values()][1:] == [12, int(549 * 1.25)]


def in_season(kinds: set[GrantKind]) -> Terms:
    day = date(2026, 11, 2)
    season = Campaign(name="autumn", first=day, last=day, kinds=frozenset(kinds), factor=Decimal(2))
    return Terms(RULES.model_copy(update={"campaigns": (season,)}))


def test_a_season_multiplies_points_of_its_kinds_on_its_days() -> None:
    book = Book(terms=in_season({GrantKind.PURCHASE})).bought("5000").take(order_changed(), resolved())
    assert [lot.granted for lot in book.account.lots.values()] == [100, 549]
    later = Book(terms=in_season({GrantKind.PURCHASE})).wait(timedelta(days=1)).bought("5000").take(order_changed())
    assert later.balances() == (50, 0)


def born(month_day: str) -> Book:
    book = Book()
    book.account = replace(book.account, birthday=month_day)
    return book.take(birthday(month_day))


def birthday(month_day: str) -> AnyEvent:
    return fired(f"birthday:{month_day}", CUSTOMER)


def presents(book: Book) -> list[date]:
    given = [said for said in book.said if isinstance(said, PointsGranted) and said.kind is GrantKind.BIRTHDAY]
    return [said.granted_at.astimezone(TOKYO).date() for said in given]


def test_a_present_comes_once_a_year_on_the_day() -> None:
    assert presents(born("11-20").wait(timedelta(days=800))) == [
        date(2026, 11, 20),
        date(2027, 11, 20),
        date(2028, 11, 20),
    ]


def test_whoever_is_born_on_29_february_is_not_left_out() -> None:
    assert presents(born("02-29").wait(timedelta(days=900))) == [
        date(2027, 2, 28),
        date(2028, 2, 29),
        date(2029, 2, 28),
    ]


def test_whoever_moves_their_birthday_gets_one_present_all_the_same() -> None:
    book = born("11-20").wait(timedelta(days=30))
    book.account = replace(book.account, birthday="12-24")
    assert presents(book.take(birthday("12-24")).wait(timedelta(days=100))) == [date(2026, 11, 20)]


@pytest.mark.parametrize("on", ["11-20"])
def test_a_present_is_a_premium_that_expires_soon_and_counts_for_no_tier(on: str) -> None:
    [lot] = born(on).wait(timedelta(days=30)).account.lots.values()
    assert (lot.what, lot.counts_for_tier, lot.expires_on) == (GrantKind.BIRTHDAY, False, date(2027, 1, 19))
