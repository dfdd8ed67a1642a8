"""Borders of the rules: tiers, birthdays, campaigns, rounding, holds and limits at their first and last moment."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest

from libs.common.decisions.facts import Ignored
from libs.common.events.loyalty import GrantKind, PointsGranted, PointsVested, TierChanged
from libs.common.events.values import Fault, Reason
from services.loyalty.domain.award import IncidentImpact, apology_award, purchase_points, purchase_rate
from services.loyalty.domain.ledger_rules import LedgerRules
from services.loyalty.domain.timers import BIRTHDAY, TIER, timer_name
from services.loyalty.ledger.accounts import PointsAccount
from services.loyalty.policy.award_rules import AwardRules, BirthdayRule, Campaign, Rounding, Tier
from tests.loyalty.histories import (
    CUSTOMER,
    HOLD,
    LEDGER_RULES,
    NOON,
    RULES,
    InMemoryLedger,
    hold_ended,
    order_changed,
    refunded,
    resolved,
    reviewed,
    timer_fired,
)

DAY, SECOND = timedelta(days=1), timedelta(seconds=1)
YEAR = timedelta(days=RULES.tier_days)


def with_rules(**changes: Any) -> LedgerRules:
    return LedgerRules(AwardRules.model_validate({**RULES.model_dump(), "titles": {}, **changes}))


def bought(amount: int, order_id: str = "A-1", ledger: InMemoryLedger | None = None) -> InMemoryLedger:
    """Buy and keep goods of this price (1 % in points) until the points have vested."""
    ledger = (ledger or InMemoryLedger()).with_purchase(str(amount), order_id)
    return ledger.apply(order_changed(order_id)).advance(HOLD)


def tier_of(ledger: InMemoryLedger) -> str:
    return ledger.account.current_membership().tier


@pytest.mark.parametrize(
    ("amount", "tier"),
    [(99_999, ""), (100_000, "silver"), (499_999, "silver"), (500_000, "gold")],
)
def test_a_tier_is_reached_with_exactly_its_points(amount: int, tier: str) -> None:
    assert tier_of(bought(amount)) == tier


def test_points_granted_exactly_a_period_ago_count_no_more() -> None:
    for span, tier in ((YEAR - HOLD - SECOND, "silver"), (YEAR - HOLD, "")):
        ledger = bought(60_000).advance(span - HOLD)
        assert tier_of(bought(40_000, "A-2", ledger)) == tier, span


def test_a_tier_ends_a_period_after_it_was_reached_and_is_then_judged_by_the_last_period() -> None:
    ledger = bought(100_000)
    ledger.advance(YEAR - SECOND)
    assert tier_of(ledger) == "silver"
    ledger.advance(SECOND)
    assert tier_of(ledger) == "regular"


def test_a_tier_that_ends_falls_to_the_one_that_the_last_period_reached() -> None:
    ledger = bought(500_000).advance(YEAR - 2 * HOLD)
    bought(100_000, "A-2", ledger)
    assert tier_of(ledger) == "gold"
    ledger.advance(HOLD)
    assert tier_of(ledger) == "silver"


@pytest.mark.parametrize(("refund", "tier"), [(1, "silver"), (99_901, "regular")])
def test_a_refund_lowers_the_tier_only_below_its_border(refund: int, tier: str) -> None:
    ledger = bought(100_100 if refund == 1 else 100_000)
    assert tier_of(ledger.apply(refunded(str(refund)))) == tier


def test_a_lowered_tier_is_published_with_what_still_counts() -> None:
    ledger = bought(500_000).apply(refunded("300000"))
    changes = [event for event in ledger.events if isinstance(event, TierChanged)]
    assert [(change.before, change.tier, change.counted) for change in changes] == [
        ("regular", "gold", 5000),
        ("gold", "silver", 2000),
    ]


def test_an_early_end_of_a_tier_is_ignored() -> None:
    ledger = bought(100_000).apply(timer_fired(TIER))
    assert list(ledger.decisions[-1]) == [Ignored("tier_still_valid")]


def test_without_tiers_the_end_of_one_that_was_removed_is_ignored() -> None:
    ledger = bought(100_000).advance(YEAR - DAY)
    ledger.rules = with_rules(tiers=())
    ledger.advance(DAY)
    assert Ignored("no_tiers") in ledger.decisions[-1]


def test_a_tier_that_the_rules_do_not_know_any_more_counts_as_the_first() -> None:
    ledger = bought(100_000)
    ledger.rules = with_rules(tiers=(Tier(name="blue", min_points=0), Tier(name="black", min_points=90_000)))
    bought(10_000, "A-2", ledger)
    granted = [event for event in ledger.events if isinstance(event, PointsGranted)]
    assert granted[-1].points == 100  # without the factor of silver


def test_points_that_are_still_on_hold_do_not_count_when_others_vest() -> None:
    ledger = InMemoryLedger().with_purchase("60000", "A-1").apply(order_changed("A-1")).advance(DAY)
    ledger.with_purchase("40000", "A-2").apply(order_changed("A-2")).advance(HOLD - DAY)
    assert tier_of(ledger) == ""
    assert tier_of(ledger.advance(DAY)) == "silver"


def test_the_first_tier_has_no_period_and_no_timer() -> None:
    ledger = bought(100_000)
    assert ledger.timers[TIER] == ledger.now + YEAR
    ledger.apply(refunded("99901"))
    membership = ledger.account.current_membership()
    assert (membership.tier, membership.since, membership.until) == ("regular", None, None)
    assert TIER not in ledger.timers


def test_a_refund_is_judged_by_the_period_in_which_the_tier_was_reached() -> None:
    ledger = bought(100_000).advance(YEAR - 2 * HOLD)
    bought(10_000, "A-2", ledger)
    ledger.apply(refunded("10000", order_id="A-2"))
    assert tier_of(ledger) == "silver"


def tier_apology(**limits: Any) -> LedgerRules:
    """Rules under which an apology counts for the tier."""
    rules = [rule.model_dump() | {"counts_for_tier": rule.fault is Fault.MERCHANT} for rule in RULES.rules]
    return with_rules(rules=rules, **limits)


@pytest.mark.parametrize("approved", [True, False])
def test_an_apology_counts_for_the_tier_as_its_rule_says_also_after_a_review(approved: bool) -> None:
    limits = {"days": 180, "max_grants": 1}
    ledger = InMemoryLedger(rules=tier_apology(limits=limits)).apply(resolved(), resolved(UUID(int=2)))
    ledger.apply(reviewed(approved, UUID(int=2)))
    counted = [lot.counts_for_tier for lot in ledger.account.lots.values()]
    assert counted == ([True, True] if approved else [True])


BORN = "02-29"


def celebrating(day: date, born: str = BORN, **rules: Any) -> InMemoryLedger:
    """An account whose birthday timer fires at nine on that day in Tokyo."""
    ledger = InMemoryLedger(
        PointsAccount(CUSTOMER, birthday=born), rules=with_rules(**rules) if rules else LEDGER_RULES
    )
    ledger.now = datetime(day.year, day.month, day.day, tzinfo=UTC)
    return ledger.apply(timer_fired(timer_name(BIRTHDAY, born)))


@pytest.mark.parametrize(
    ("day", "given", "following"),
    [
        (date(2027, 2, 27), 0, date(2027, 2, 28)),
        (date(2027, 2, 28), 100, date(2028, 2, 29)),
        (date(2028, 2, 28), 0, date(2028, 2, 29)),
        (date(2028, 2, 29), 100, date(2029, 2, 28)),
        (date(2027, 3, 1), 0, date(2028, 2, 29)),
    ],
)
def test_who_was_born_on_29_february_is_given_points_on_the_last_day_of_the_month(
    day: date, given: int, following: date
) -> None:
    ledger = celebrating(day)
    assert ledger.account.balances.available == given
    due_at = ledger.timers[timer_name(BIRTHDAY, BORN)]
    assert due_at == datetime(following.year, following.month, following.day, tzinfo=UTC)


@pytest.mark.parametrize("born", ["01-01", "12-31", "06-15"])
def test_points_come_every_year_and_once(born: str) -> None:
    ledger = celebrating(date(2026, 11, 2), born)
    ledger.advance(timedelta(days=3 * 366))
    causes = [event.cause for event in ledger.events if isinstance(event, PointsGranted)]
    years = (2026, 2027, 2028) if born == "12-31" else (2027, 2028, 2029)
    assert causes == [f"birthday:{CUSTOMER}:{year}" for year in years]


def test_a_birthday_that_was_replaced_ends_its_timer() -> None:
    ledger = InMemoryLedger(PointsAccount(CUSTOMER, birthday="03-01")).apply(timer_fired("birthday:02-29"))
    assert (list(ledger.decisions[-1]), ledger.timers) == ([Ignored("birthday_changed")], {})


def test_without_a_rule_nobody_is_given_points_on_a_birthday() -> None:
    ledger = celebrating(date(2027, 2, 28), birthday=None)
    assert list(ledger.decisions[-1]) == [Ignored("no_birthday_points")]


@pytest.mark.parametrize(("days", "points"), [(329, 0), (330, 100), (331, 100)])
def test_a_changed_birthday_earns_again_after_eleven_months_only(days: int, points: int) -> None:
    ledger = celebrating(date(2027, 1, 1), "01-01")
    second = date(2027, 1, 1) + timedelta(days=days)
    born = f"{second:%m-%d}"
    ledger.account = PointsAccount(CUSTOMER, lots=ledger.account.lots, birthday=born)
    ledger.now = datetime(second.year, second.month, second.day, tzinfo=UTC)
    ledger.apply(timer_fired(timer_name(BIRTHDAY, born)))
    granted = [event for event in ledger.events if isinstance(event, PointsGranted)]
    assert sum(event.points for event in granted[1:]) == points


CAMPAIGN = Campaign(
    name="new_year",
    first_day=date(2027, 1, 1),
    last_day=date(2027, 1, 7),
    kinds=frozenset({GrantKind.PURCHASE, GrantKind.APOLOGY}),
    factor=Decimal(2),
)


@pytest.mark.parametrize(
    ("moment", "points"),
    [
        (datetime(2026, 12, 31, 14, 59, 59, tzinfo=UTC), 100),
        (datetime(2026, 12, 31, 15, tzinfo=UTC), 200),
        (datetime(2027, 1, 7, 14, 59, 59, tzinfo=UTC), 200),
        (datetime(2027, 1, 7, 15, tzinfo=UTC), 100),
    ],
)
def test_a_campaign_lasts_from_midnight_to_midnight_in_the_shop(moment: datetime, points: int) -> None:
    ledger = InMemoryLedger(now=moment, rules=with_rules(campaigns=(CAMPAIGN,)))
    ledger.with_purchase("10000").apply(order_changed())
    assert ledger.account.balances.pending == points


def test_campaigns_that_overlap_multiply() -> None:
    other = CAMPAIGN.model_copy(update={"name": "triple", "factor": Decimal(3)})
    rules = with_rules(campaigns=(CAMPAIGN, other)).award
    assert purchase_rate(rules, "JPY", "", date(2027, 1, 7)) == Decimal("0.06")


@pytest.mark.parametrize(("factor", "points"), [("0", 0), ("0.5", 50), ("1", 100)])
def test_a_campaign_may_also_lower_points(factor: str, points: int) -> None:
    campaign = CAMPAIGN.model_copy(update={"factor": Decimal(factor)})
    ledger = InMemoryLedger(now=datetime(2027, 1, 2, tzinfo=UTC), rules=with_rules(campaigns=(campaign,)))
    ledger.with_purchase("10000").apply(order_changed())
    assert ledger.account.balances.pending == points


@pytest.mark.parametrize(
    ("rounding", "round_to", "points"),
    [("down", 1, 549), ("up", 1, 550), ("half_up", 1, 549), ("down", 10, 540), ("up", 10, 550), ("half_up", 100, 500)],
)
def test_points_are_rounded_as_the_rules_say(rounding: str, round_to: int, points: int) -> None:
    rules = with_rules(rounding=Rounding(rounding), round_to=round_to).award
    impact = IncidentImpact(Fault.MERCHANT, Reason.DEFECTIVE, Decimal(4989), "JPY")  # 300 and 5 %: 549.45
    assert apology_award(rules, impact, "", NOON.date()).points == points


@pytest.mark.parametrize(
    ("days", "broken", "points"),
    [(7, 0, 300), (8, 0, 320), (22, 0, 600), (99, 0, 600), (0, 3, 600), (0, 9, 600), (99, 9, 900)],
)
def test_waiting_and_broken_promises_earn_up_to_their_limits(days: int, broken: int, points: int) -> None:
    impact = IncidentImpact(Fault.MERCHANT, Reason.DEFECTIVE, Decimal(0), "JPY", days, broken)
    assert apology_award(RULES, impact, "", NOON.date()).points == points


@pytest.mark.parametrize(("amount", "points"), [("0", 0), ("-5", 0), ("99.99", 0), ("100", 1), ("199.99", 1)])
def test_points_for_goods_are_rounded_down_and_never_negative(amount: str, points: int) -> None:
    assert purchase_points(Decimal(amount), Decimal("0.01")) == points


def test_goods_in_a_currency_without_a_rate_earn_nothing() -> None:
    assert purchase_rate(RULES, "GBP", "", NOON.date()) == 0


def test_points_vest_at_the_very_end_of_their_hold() -> None:
    ledger = InMemoryLedger().apply(resolved())
    ledger.advance(HOLD - SECOND)
    assert not any(isinstance(event, PointsVested) for event in ledger.events)
    ledger.advance(SECOND)
    assert any(isinstance(event, PointsVested) for event in ledger.events)


def test_a_second_end_of_the_hold_is_ignored() -> None:
    ledger = InMemoryLedger().apply(resolved(), hold_ended(), hold_ended())
    assert list(ledger.decisions[-1]) == [Ignored("already_vested")]


def test_a_birthday_gift_over_the_legal_limit_is_refused() -> None:
    gift = BirthdayRule(points=201)
    with pytest.raises(ValueError, match=r"birthday.points: worth 201 JPY; a gift may be worth 200 at most"):
        with_rules(birthday=gift)
    assert with_rules(birthday=BirthdayRule(points=200)).award.birthday is not None
