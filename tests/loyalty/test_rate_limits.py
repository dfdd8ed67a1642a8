"""Words only: too many apologies, and the share of customers that is held out. And what a premium may be worth."""

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
from services.loyalty.domain.award import Trouble, apology
from services.loyalty.domain.decision_context import Terms
from services.loyalty.domain.holdout import Holdout, difference, wilson
from services.loyalty.ledger.accounts import Exposure
from services.loyalty.policy.award_rules import Limits
from services.loyalty.settings import AWARD_FILE, read_rules
from tests.loyalty.histories import NOON, RULES, Book, cancelled, reopened, resolved, reviewed

SHIPPED = AWARD_FILE.read_text(encoding="utf-8")


def limited(**change: object) -> Terms:
    return Terms(RULES.model_copy(update={"limits": Limits.model_validate({"days": 100, **change})}))


def issue(number: int) -> UUID:
    return UUID(int=number)


def many(count: int, **change: object) -> Book:
    return Book(terms=limited(**change)).take(*(resolved(issue(n)) for n in range(1, count + 1)))


def withheld(book: Book) -> list[PointsWithheld]:
    return [said for said in book.said if isinstance(said, PointsWithheld)]


def test_over_the_limit_a_human_decides_and_it_is_told_why() -> None:
    [said] = withheld(many(3, most_grants=2))
    assert (said.code, said.points, said.review_by) == ("too_many", 549, NOON + timedelta(days=7))


def test_or_it_stays_words() -> None:
    book = many(3, most_grants=2, over="words")
    assert [said.review_by for said in withheld(book)] == [None]
    assert book.account.purse.pending == 2 * 549


def test_the_limit_is_of_a_period() -> None:
    book = many(2, most_grants=2).wait(timedelta(days=101)).take(resolved(issue(3)))
    assert withheld(book) == []


def test_apologies_that_were_taken_back_do_not_count() -> None:
    assert withheld(many(2, most_grants=2).take(cancelled(issue(1)), resolved(issue(3)))) == []


def test_the_last_apology_is_cut_to_what_the_limit_leaves() -> None:
    book = many(3, most_points=600)
    assert [lot.granted for lot in book.account.lots.values()] == [549, 51]
    assert [said.code for said in withheld(book)] == ["too_much"]
    assert list(book.account.lots.values())[1].inputs["capped_from"] == 549


def test_an_approved_review_gives_what_the_rule_would_have_given() -> None:
    book = many(3, most_grants=2).take(reviewed(True, issue(3)))
    assert book.account.purse.pending == 3 * 549
    assert (book.entries[-1].staff, book.entries[-1].note, book.entries[-1].rule) == (
        "sato",
        "a bad month",
        "our_product",
    )
    assert f"review:issue:{issue(3)}:1" not in book.timers


@pytest.mark.parametrize("approved", [True, False])
def test_a_refused_review_stays_words_and_is_decided_once(approved: bool) -> None:
    book = many(3, most_grants=2).take(reviewed(False, issue(3)), reviewed(approved, issue(3)))
    assert book.account.purse.pending == 2 * 549
    assert book.outcomes[-1] == (Ignored("no_such_review"),)


def test_a_review_that_nobody_decides_lapses() -> None:
    book = many(3, most_grants=2).wait(timedelta(days=8)).take(reviewed(True, issue(3)))
    assert book.outcomes[-1] == (Ignored("no_such_review"),)


def test_a_reopened_issue_needs_no_review() -> None:
    book = many(3, most_grants=2).take(reopened(issue(3)), reviewed(True, issue(3)))
    assert book.outcomes[-1] == (Ignored("no_such_review"),)
    assert f"review:issue:{issue(3)}:1" not in book.timers


HALF = Holdout(0.5, b"a key that nobody knows", "autumn")


def test_nobody_is_held_out_unless_the_shop_says_so() -> None:
    assert withheld(Book().take(resolved())) == []


def test_a_held_out_customer_gets_words_and_both_arms_are_written_down() -> None:
    arms = {}
    for number in range(40):
        book = Book(terms=replace(limited(), holdout=HALF))
        book.account = replace(book.account, customer_id=f"C-{number}")
        book.take(resolved(customer_id=f"C-{number}"))
        [exposure] = [fact for fact in book.outcomes[0] if isinstance(fact, Exposure)]
        arms[exposure.arm] = (len(book.entries), [said.code for said in withheld(book)])
    assert arms == {"points": (1, []), "words": (0, ["holdout"])}


@given(st.text(min_size=1, max_size=20), st.floats(0.01, 0.5))
def test_the_draw_is_stable_and_grows_with_the_share(customer_id: str, share: float) -> None:
    arm = Holdout(share, b"key", "x").arm(customer_id)
    assert arm == Holdout(share, b"key", "x").arm(customer_id)
    assert arm == "points" or Holdout(0.5, b"key", "x").arm(customer_id) == "words"


def test_the_draw_keeps_to_its_share() -> None:
    drawn = sum(Holdout(0.1, b"key", "x").arm(f"C-{n}") == "words" for n in range(20_000))
    assert wilson(drawn, 20_000, 0.9999).low <= 0.1 <= wilson(drawn, 20_000, 0.9999).high


def test_another_key_draws_others() -> None:
    first, second = Holdout(0.5, b"one", "x"), Holdout(0.5, b"two", "x")
    assert any(first.arm(f"C-{n}") != second.arm(f"C-{n}") for n in range(64))


@pytest.mark.parametrize(
    ("one", "other", "low", "high"),
    [
        ((56, 70), (48, 80), 0.0524, 0.3339),  # the examples of Newcombe 1998, table II, method 10
        ((9, 10), (3, 10), 0.1705, 0.8090),
        ((10, 10), (0, 10), 0.6075, 1.0),
        ((0, 0), (5, 10), -1.0, 1.0),
    ],
)
def test_the_interval_is_that_of_the_literature(
    one: tuple[int, int], other: tuple[int, int], low: float, high: float
) -> None:
    found = difference(one, other)
    assert (round(found.low, 4), round(found.high, 4)) == (low, high)


@given(st.integers(0, 50), st.integers(0, 50), st.integers(0, 50), st.integers(0, 50))
def test_an_interval_holds_what_was_seen(a: int, more: int, b: int, others: int) -> None:
    one, other = (a, a + more), (b, b + others)
    found = difference(one, other)
    assert -1 - 1e-9 <= found.low <= found.high <= 1 + 1e-9
    if one[1] and other[1]:
        assert found.low - 1e-9 <= one[0] / one[1] - other[0] / other[1] <= found.high + 1e-9


@pytest.mark.parametrize(("amount", "points"), [("0", 200), ("999", 200), ("1000", 200), ("1400", 280), ("4980", 549)])
def test_a_premium_is_held_under_the_legal_limit(amount: str, points: int) -> None:
    text = SHIPPED.replace(
        'points = 300\nshare_of_value = "0.05"', 'points = 300\nlegal_basis = "premium"\nshare_of_value = "0.05"'
    )
    trouble = Trouble(Fault.MERCHANT, Reason.DEFECTIVE, Decimal(amount), "JPY")
    given_ = apology(read_rules(text), trouble, "regular", NOON.date())
    assert (given_.points, given_.legal_basis) == (points, LegalBasis.PREMIUM)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("points = 100\nvalidity_days = 60", "points = 201\nvalidity_days = 60", "birthday.points|200 are lawful"),
        ("at = 1000", "at = 6000", "put them in order"),
        ("at = 0", "at = 1", "begins at 0"),
        ('name = "gold"', 'name = "silver"', "the same name"),
        ('over = "review"', 'over = "shrug"', "limits.over"),
        ("free_days = 7", "free_days = -7", "waiting.free_days"),
        ('rounding = "down"', 'rounding = "sideways"', "rounding"),
        ('share = "0.01"', 'share = "1.01"', "purchase.share"),
        (
            "[waiting] ",
            "[[campaigns]]\nname='a'\nfirst=2027-01-02\nlast=2027-01-01\nfactor=2\n[waiting] ",
            "before first",
        ),
    ],
)
def test_wrong_rules_are_refused_with_the_place_of_the_fault(old: str, new: str, message: str) -> None:
    wrong = SHIPPED.replace(old, new, 1)
    assert wrong != SHIPPED
    with pytest.raises(ValueError, match=message):
        read_rules(wrong)
