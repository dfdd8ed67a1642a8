"""Withheld apologies: rate limits and the holdout; and the legal limit of premiums."""

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.common.decisions.facts import Ignored
from libs.common.events.loyalty import LegalBasis, PointsWithheld
from libs.common.events.values import Fault, Reason
from services.loyalty.domain.award import IncidentImpact, apology_award
from services.loyalty.domain.holdout import Holdout, newcombe_interval, wilson_interval
from services.loyalty.domain.ledger_rules import LedgerRules
from services.loyalty.ledger.entries import ExperimentExposure
from services.loyalty.policy.award_rules import ApologyLimits
from services.loyalty.settings import AWARD_FILE, parse_rules
from tests.loyalty.histories import NOON, RULES, InMemoryLedger, cancelled, reopened, resolved, reviewed

SHIPPED = AWARD_FILE.read_text(encoding="utf-8")


def limited(**change: object) -> LedgerRules:
    return LedgerRules(RULES.model_copy(update={"limits": ApologyLimits.model_validate({"days": 100, **change})}))


def issue(number: int) -> UUID:
    return UUID(int=number)


def many(count: int, **change: object) -> InMemoryLedger:
    return InMemoryLedger(rules=limited(**change)).apply(*(resolved(issue(n)) for n in range(1, count + 1)))


def withheld(ledger: InMemoryLedger) -> list[PointsWithheld]:
    return [event for event in ledger.events if isinstance(event, PointsWithheld)]


def test_over_the_limit_staff_decide_and_the_event_names_the_reason() -> None:
    [event] = withheld(many(3, max_grants=2))
    assert (event.code, event.points, event.review_by) == ("too_many", 549, NOON + timedelta(days=7))


def test_over_the_limit_points_can_be_withheld_without_a_review() -> None:
    ledger = many(3, max_grants=2, when_exceeded="withhold")
    assert [event.review_by for event in withheld(ledger)] == [None]
    assert ledger.account.balances.pending == 2 * 549


def test_the_limit_is_of_a_period() -> None:
    ledger = many(2, max_grants=2).advance(timedelta(days=101)).apply(resolved(issue(3)))
    assert withheld(ledger) == []


def test_apologies_that_were_taken_back_do_not_count() -> None:
    assert withheld(many(2, max_grants=2).apply(cancelled(issue(1)), resolved(issue(3)))) == []


def test_the_last_apology_is_cut_to_what_the_limit_leaves() -> None:
    ledger = many(3, max_points=600)
    assert [lot.granted for lot in ledger.account.lots.values()] == [549, 51]
    assert [event.code for event in withheld(ledger)] == ["too_much"]
    assert list(ledger.account.lots.values())[1].inputs["capped_from"] == 549


def test_an_approved_review_grants_the_award_of_the_rule() -> None:
    ledger = many(3, max_grants=2).apply(reviewed(True, issue(3)))
    assert ledger.account.balances.pending == 3 * 549
    assert (ledger.entries[-1].staff, ledger.entries[-1].note, ledger.entries[-1].rule) == (
        "sato",
        "a bad month",
        "our_product",
    )
    assert f"review:issue:{issue(3)}:1" not in ledger.timers


@pytest.mark.parametrize("approved", [True, False])
def test_a_refused_review_grants_nothing_and_is_decided_once(approved: bool) -> None:
    ledger = many(3, max_grants=2).apply(reviewed(False, issue(3)), reviewed(approved, issue(3)))
    assert ledger.account.balances.pending == 2 * 549
    assert ledger.decisions[-1] == (Ignored("no_such_review"),)


def test_a_review_that_nobody_decides_lapses() -> None:
    ledger = many(3, max_grants=2).advance(timedelta(days=8)).apply(reviewed(True, issue(3)))
    assert ledger.decisions[-1] == (Ignored("no_such_review"),)


def test_a_reopened_issue_needs_no_review() -> None:
    ledger = many(3, max_grants=2).apply(reopened(issue(3)), reviewed(True, issue(3)))
    assert ledger.decisions[-1] == (Ignored("no_such_review"),)
    assert f"review:issue:{issue(3)}:1" not in ledger.timers


HALF = Holdout(0.5, b"a key that nobody knows", "autumn")


def test_nobody_is_held_out_by_default() -> None:
    assert withheld(InMemoryLedger().apply(resolved())) == []


def test_the_control_arm_gets_no_points_and_both_arms_are_recorded() -> None:
    arms = {}
    for number in range(40):
        ledger = InMemoryLedger(rules=replace(limited(), holdout=HALF))
        ledger.account = replace(ledger.account, customer_id=f"C-{number}")
        ledger.apply(resolved(customer_id=f"C-{number}"))
        [exposure] = [fact for fact in ledger.decisions[0] if isinstance(fact, ExperimentExposure)]
        arms[exposure.arm] = (len(ledger.entries), [event.code for event in withheld(ledger)])
    assert arms == {"treatment": (1, []), "control": (0, ["holdout"])}


@given(st.text(min_size=1, max_size=20), st.floats(0.01, 0.5))
def test_the_draw_is_stable_and_grows_with_the_share(customer_id: str, share: float) -> None:
    arm = Holdout(share, b"key", "x").arm(customer_id)
    assert arm == Holdout(share, b"key", "x").arm(customer_id)
    assert arm == "treatment" or Holdout(0.5, b"key", "x").arm(customer_id) == "control"


def test_the_draw_keeps_to_its_share() -> None:
    drawn = sum(Holdout(0.1, b"key", "x").arm(f"C-{n}") == "control" for n in range(20_000))
    assert wilson_interval(drawn, 20_000, 0.9999).low <= 0.1 <= wilson_interval(drawn, 20_000, 0.9999).high


def test_another_key_draws_others() -> None:
    first, second = Holdout(0.5, b"one", "x"), Holdout(0.5, b"two", "x")
    assert any(first.arm(f"C-{n}") != second.arm(f"C-{n}") for n in range(64))


@pytest.mark.parametrize(
    ("first", "second", "low", "high"),
    [
        ((56, 70), (48, 80), 0.0524, 0.3339),  # the examples of Newcombe 1998, table II, method 10
        ((9, 10), (3, 10), 0.1705, 0.8090),
        ((10, 10), (0, 10), 0.6075, 1.0),
        ((0, 0), (5, 10), -1.0, 1.0),
    ],
)
def test_the_interval_is_that_of_the_literature(
    first: tuple[int, int], second: tuple[int, int], low: float, high: float
) -> None:
    found = newcombe_interval(first, second)
    assert (round(found.low, 4), round(found.high, 4)) == (low, high)


@given(st.integers(0, 50), st.integers(0, 50), st.integers(0, 50), st.integers(0, 50))
def test_an_interval_contains_the_observed_difference(a: int, more: int, b: int, others: int) -> None:
    first, second = (a, a + more), (b, b + others)
    found = newcombe_interval(first, second)
    assert -1 - 1e-9 <= found.low <= found.high <= 1 + 1e-9
    if first[1] and second[1]:
        assert found.low - 1e-9 <= first[0] / first[1] - second[0] / second[1] <= found.high + 1e-9


@pytest.mark.parametrize(("amount", "points"), [("0", 200), ("999", 200), ("1000", 200), ("1400", 280), ("4980", 549)])
def test_a_premium_is_held_under_the_legal_limit(amount: str, points: int) -> None:
    text = SHIPPED.replace(
        'points = 300\nshare_of_value = "0.05"', 'points = 300\nlegal_basis = "premium"\nshare_of_value = "0.05"'
    )
    impact = IncidentImpact(Fault.MERCHANT, Reason.DEFECTIVE, Decimal(amount), "JPY")
    award = apology_award(parse_rules(text), impact, "regular", NOON.date())
    assert (award.points, award.legal_basis) == (points, LegalBasis.PREMIUM)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("points = 100\nvalidity_days = 60", "points = 201\nvalidity_days = 60", "birthday.points: worth 201 JPY"),
        ("min_points = 1000", "min_points = 6000", "ascending order"),
        ("min_points = 0", "min_points = 1", "must have min_points = 0"),
        ('name = "gold"', 'name = "silver"', "duplicate name"),
        ('when_exceeded = "review"', 'when_exceeded = "shrug"', "limits.when_exceeded"),
        ("grace_days = 7", "grace_days = -7", "waiting.grace_days"),
        ('rounding = "down"', 'rounding = "sideways"', "rounding"),
        ('share = "0.01"', 'share = "1.01"', "purchase.share"),
        (
            "[waiting] ",
            "[[campaigns]]\nname='a'\nfirst_day=2027-01-02\nlast_day=2027-01-01\nfactor=2\n[waiting] ",
            "before first_day",
        ),
    ],
)
def test_wrong_rules_are_refused_with_the_place_of_the_fault(old: str, new: str, message: str) -> None:
    wrong = SHIPPED.replace(old, new, 1)
    assert wrong != SHIPPED
    with pytest.raises(ValueError, match=message):
        parse_rules(wrong)
