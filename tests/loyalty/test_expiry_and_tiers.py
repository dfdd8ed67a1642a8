"""Expiry after a notice, tiers, birthdays and campaigns."""

from dataclasses import replace
from datetime import date, datetime, timedelta
from decimal import Decimal
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest

from libs.common.events.loyalty import GrantKind, PointsExpired, PointsExpiring, PointsGranted, TierChanged, Title
from libs.common.events.registry import AnyEvent
from services.loyalty.domain.ledger_rules import LedgerRules
from services.loyalty.policy.award_rules import Campaign
from tests.loyalty.histories import (
    CUSTOMER,
    HOLD,
    NOON,
    RULES,
    InMemoryLedger,
    order_changed,
    refunded,
    release,
    reserve,
    resolved,
    timer_fired,
)

TOKYO = ZoneInfo("Asia/Tokyo")
LAST_DAY = date(2027, 11, 16)
"""Granted on 2 November 2026, vested after 14 days and valid for 365."""


def until(day: date, hour: int = 12) -> timedelta:
    """Return the time from NOON to this hour of that day in the shop's time zone."""
    return datetime(day.year, day.month, day.day, hour, tzinfo=TOKYO) - NOON


def expiring(ledger: InMemoryLedger) -> list[tuple[date, int]]:
    return [(event.expires_on, event.points) for event in ledger.events if isinstance(event, PointsExpiring)]


def test_points_can_be_spent_until_the_end_of_their_last_day() -> None:
    assert InMemoryLedger().apply(resolved()).advance(until(LAST_DAY, 23)).account.balances.available == 549


def test_points_expire_when_their_last_day_is_over() -> None:
    ledger = InMemoryLedger().apply(resolved()).advance(until(LAST_DAY + timedelta(days=1), 0))
    assert (ledger.account.balances.available, ledger.account.balances.expired) == (0, 549)
    assert isinstance(ledger.events[-1], PointsExpired)


def test_the_customer_is_notified_before_and_once() -> None:
    day = LAST_DAY - timedelta(days=RULES.notice_days)
    assert expiring(InMemoryLedger().apply(resolved()).advance(until(day - timedelta(days=1), 23))) == []
    assert expiring(InMemoryLedger().apply(resolved()).advance(until(day, 0))) == [(LAST_DAY, 549)]
    assert expiring(InMemoryLedger().apply(resolved()).advance(until(LAST_DAY, 23))) == [(LAST_DAY, 549)]


def test_each_day_of_expiry_is_announced_by_itself_and_the_oldest_expire_first() -> None:
    ledger = (
        InMemoryLedger()
        .apply(resolved())
        .advance(timedelta(days=10))
        .apply(resolved(UUID(int=2)))
        .advance(timedelta(days=400))
    )
    assert expiring(ledger) == [(LAST_DAY, 549), (LAST_DAY + timedelta(days=10), 549)]
    assert [event.points for event in ledger.events if isinstance(event, PointsExpired)] == [549, 549]


def test_points_that_were_reserved_over_their_last_day_expire_when_they_come_back() -> None:
    ledger = InMemoryLedger().apply(resolved()).advance(until(LAST_DAY, 23) + timedelta(minutes=50)).apply(reserve(500))
    ledger.advance(timedelta(minutes=20))
    assert (ledger.account.balances.reserved, ledger.account.balances.expired) == (500, 49)
    assert ledger.apply(release()).account.balances.expired == 549


def tiers(ledger: InMemoryLedger) -> list[tuple[str, str]]:
    return [(event.before, event.tier) for event in ledger.events if isinstance(event, TierChanged)]


def buy(amount: str, order_id: str = "A-1") -> InMemoryLedger:
    return InMemoryLedger().with_purchase(amount, order_id).apply(order_changed(order_id))


def test_enough_final_points_make_a_tier_with_its_perks() -> None:
    ledger = buy("100000").advance(HOLD)
    [changed] = [event for event in ledger.events if isinstance(event, TierChanged)]
    assert (changed.before, changed.tier, changed.perks, changed.counted) == (
        "regular",
        "silver",
        ("free_gift_wrap",),
        1000,
    )


def test_pending_points_make_no_tier() -> None:
    assert tiers(buy("100000")) == []


def test_apologies_make_no_tier() -> None:
    rules = LedgerRules(RULES.model_copy(update={"limits": None}))
    ledger = InMemoryLedger(rules=rules).apply(*(resolved(UUID(int=n)) for n in range(1, 9))).advance(HOLD)
    assert ledger.balances() == (0, 8 * 549)
    assert tiers(ledger) == []


def test_a_refund_takes_the_tier_back_at_once() -> None:
    ledger = buy("100000").advance(HOLD).apply(refunded("100000"))
    assert tiers(ledger) == [("regular", "silver"), ("silver", "regular")]


def test_a_tier_ends_with_its_period_and_not_before() -> None:
    ledger = buy("100000").advance(HOLD + timedelta(days=364))
    assert ledger.account.current_membership().tier == "silver"
    assert tiers(ledger.advance(timedelta(days=2))) == [("regular", "silver"), ("silver", "regular")]


def test_a_tier_goes_on_with_new_purchases() -> None:
    ledger = buy("100000").advance(timedelta(days=200)).with_purchase("100000", "A-2").apply(order_changed("A-2"))
    assert tiers(ledger.advance(timedelta(days=300))) == [("regular", "silver")]
    assert ledger.account.current_membership().until


def test_a_tier_makes_later_points_worth_more() -> None:
    ledger = buy("100000").advance(HOLD).with_purchase("1000", "A-2").apply(order_changed("A-2"), resolved())
    assert [lot.granted for lot in ledger.account.lots.values()][1:] == [12, int(549 * 1.25)]


def with_campaign(kinds: set[GrantKind]) -> LedgerRules:
    day = date(2026, 11, 2)
    campaign = Campaign(name="autumn", first_day=day, last_day=day, kinds=frozenset(kinds), factor=Decimal(2))
    return LedgerRules(RULES.model_copy(update={"campaigns": (campaign,)}))


def test_a_campaign_multiplies_points_of_its_kinds_on_its_days() -> None:
    rules = with_campaign({GrantKind.PURCHASE})
    ledger = InMemoryLedger(rules=rules).with_purchase("5000").apply(order_changed(), resolved())
    assert [lot.granted for lot in ledger.account.lots.values()] == [100, 549]
    later = InMemoryLedger(rules=rules).advance(timedelta(days=1)).with_purchase("5000").apply(order_changed())
    assert later.balances() == (50, 0)


def test_the_first_grant_of_an_order_names_its_campaign_with_the_title() -> None:
    titles = {"autumn": {"ja": "秋のキャンペーン"}}
    rules = with_campaign({GrantKind.PURCHASE})
    rules = LedgerRules(rules.award.model_copy(update={"titles": titles}))
    ledger = InMemoryLedger(rules=rules).with_purchase("5000").apply(order_changed(), resolved())
    granted = [event for event in ledger.events if isinstance(event, PointsGranted)]
    title = Title(code="autumn", language="ja", text="秋のキャンペーン")
    assert [(event.campaigns, event.titles) for event in granted] == [(("autumn",), (title,)), ((), ())]
    more = ledger.with_purchase("9000").apply(order_changed())
    assert [event.campaigns for event in more.events if isinstance(event, PointsGranted)][2:] == [()]


def test_a_change_of_tier_says_its_direction_and_its_titles() -> None:
    ledger = buy("100000").advance(HOLD).apply(refunded("100000"))
    raised, lowered = (event for event in ledger.events if isinstance(event, TierChanged))
    assert (raised.raised, lowered.raised) == (True, False)
    assert {title.code for title in raised.titles} == {"silver", "free_gift_wrap"}


def born(month_day: str) -> InMemoryLedger:
    ledger = InMemoryLedger()
    ledger.account = replace(ledger.account, birthday=month_day)
    return ledger.apply(birthday(month_day))


def birthday(month_day: str) -> AnyEvent:
    return timer_fired(f"birthday:{month_day}", CUSTOMER)


def presents(ledger: InMemoryLedger) -> list[date]:
    given = [event for event in ledger.events if isinstance(event, PointsGranted) and event.kind is GrantKind.BIRTHDAY]
    return [event.granted_at.astimezone(TOKYO).date() for event in given]


def test_a_present_comes_once_a_year_on_the_day() -> None:
    assert presents(born("11-20").advance(timedelta(days=800))) == [
        date(2026, 11, 20),
        date(2027, 11, 20),
        date(2028, 11, 20),
    ]


def test_a_birthday_on_29_february_is_not_left_out() -> None:
    assert presents(born("02-29").advance(timedelta(days=900))) == [
        date(2027, 2, 28),
        date(2028, 2, 29),
        date(2029, 2, 28),
    ]


def test_a_changed_birthday_earns_one_present() -> None:
    ledger = born("11-20").advance(timedelta(days=30))
    ledger.account = replace(ledger.account, birthday="12-24")
    assert presents(ledger.apply(birthday("12-24")).advance(timedelta(days=100))) == [date(2026, 11, 20)]


@pytest.mark.parametrize("on", ["11-20"])
def test_a_present_is_a_premium_that_expires_soon_and_counts_for_no_tier(on: str) -> None:
    [lot] = born(on).advance(timedelta(days=30)).account.lots.values()
    assert (lot.kind, lot.counts_for_tier, lot.expires_on) == (GrantKind.BIRTHDAY, False, date(2027, 1, 19))
