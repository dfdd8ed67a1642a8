"""Random lives of a customer's points: whatever happens, in whatever order, these hold."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

from hypothesis import given, settings
from hypothesis import strategies as st

from libs.common.decisions.facts import Anomaly
from libs.common.events.issues import IssueResolved
from libs.common.events.loyalty import (
    LoyaltyEvent,
    PointsExpired,
    PointsGranted,
    PointsRedeemed,
    PointsReleased,
    PointsReserved,
    PointsReversed,
    PointsVested,
)
from libs.common.events.registry import AnyEvent
from libs.common.events.values import Fault
from services.loyalty.ledger.accounts import Kind, cause_of
from tests.examples import examples
from tests.loyalty.histories import (
    Book,
    adjust,
    cancelled,
    commit,
    give_back,
    hold_over,
    order_changed,
    ran_out,
    refunded,
    release,
    reopened,
    reserve,
    resolved,
    reviewed,
)

ISSUES = tuple(UUID(int=n) for n in range(1, 6))
numbers = st.integers(min_value=1, max_value=3)
issues = st.sampled_from(ISSUES)


@dataclass(frozen=True)
class Bought:
    """So much of an order is delivered and not called off from now on."""

    amount: int
    order: str


Step = AnyEvent | Bought | timedelta

orders = st.sampled_from(["A-7", "A-8"])
steps: st.SearchStrategy[Step] = st.one_of(
    st.builds(resolved, issue_id=issues, resolution=numbers, fault=st.sampled_from([Fault.MERCHANT, Fault.CARRIER])),
    st.builds(reopened, issue_id=issues, resolution=numbers),
    st.builds(cancelled, issue_id=issues),
    st.builds(hold_over, issue_id=issues, resolution=numbers),
    st.builds(Bought, amount=st.sampled_from([0, 999, 30_000, 90_000]), order=orders),
    st.builds(refunded, amount=st.sampled_from(["999", "30000"]), refund=numbers, order_id=orders),
    st.builds(reserve, points=st.integers(1, 900), redemption=numbers),
    st.builds(commit, redemption=numbers),
    st.builds(release, redemption=numbers),
    st.builds(give_back, redemption=numbers),
    st.builds(ran_out, redemption=numbers),
    st.builds(adjust, change=st.integers(-600, 600), number=st.integers(1, 5)),
    st.builds(reviewed, approved=st.booleans(), issue_id=issues, resolution=numbers),
    st.builds(timedelta, days=st.sampled_from([1, 15, 120, 400])),
)
lives = st.lists(steps, max_size=40)
patient = settings(deadline=None, max_examples=examples(150))


def live(book: Book, step: Step) -> Book:
    if isinstance(step, timedelta):
        return book.wait(step)
    if isinstance(step, Bought):
        return book.bought(str(step.amount), step.order).take(order_changed(step.order))
    return book.take(step)


def holds(check: Callable[[Book], None]) -> Callable[[list[Step]], None]:
    """After each step of any life."""

    def run(life: list[Step]) -> None:
        book = Book()
        for step in life:
            check(live(book, step))

    return run


@patient
@given(lives)
def test_the_ledger_always_sums_to_the_balances(life: list[Step]) -> None:
    def check(book: Book) -> None:
        assert book.sums() == book.account.purse

    holds(check)(life)


@patient
@given(lives)
def test_points_are_neither_made_nor_lost(life: list[Step]) -> None:
    def check(book: Book) -> None:
        for purse in (book.account.purse, *(lot.purse for lot in book.account.lots.values())):
            places = (purse.pending, purse.available, purse.reserved, purse.spent, purse.expired)
            assert purse.issued + sum(places) + purse.debt == 0
            assert min(places) >= 0
            assert purse.kept >= 0

    holds(check)(life)


@patient
@given(lives)
def test_lots_sum_to_the_balances(life: list[Step]) -> None:
    def check(book: Book) -> None:
        for place in ("issued", "pending", "available", "reserved", "spent", "expired", "debt"):
            lots = sum(getattr(lot.purse, place) for lot in book.account.lots.values())
            assert lots == getattr(book.account.purse, place), place

    holds(check)(life)


@patient
@given(lives)
def test_nobody_has_points_to_spend_beside_a_debt(life: list[Step]) -> None:
    def check(book: Book) -> None:
        assert book.account.purse.debt <= 0
        assert book.account.purse.debt == 0 or book.account.purse.available == 0

    holds(check)(life)


@patient
@given(lives)
def test_no_cause_moves_points_twice(life: list[Step]) -> None:
    book = Book()
    for step in life:
        live(book, step)
    moves = Counter((entry.cause, entry.kind, entry.lot_id, entry.from_account) for entry in book.entries)
    assert set(moves.values()) <= {1}
    assert len({entry.entry_id for entry in book.entries}) == len(book.entries)


@patient
@given(lives)
def test_no_apology_comes_before_its_resolution(life: list[Step]) -> None:
    book, seen = Book(), set[str]()
    for step in life:
        if not isinstance(step, timedelta | Bought) and isinstance(step.data, IssueResolved):
            seen.add(cause_of(step.data.issue_id, step.data.resolution))
        live(book, step)
        assert {e.cause for e in book.entries if e.kind is Kind.GRANT and e.cause.startswith("issue:")} <= seen


TOLD = {
    Kind.GRANT: PointsGranted,
    Kind.VEST: PointsVested,
    Kind.REVERSE: PointsReversed,
    Kind.RESERVE: PointsReserved,
    Kind.RELEASE: PointsReleased,
    Kind.RETURN: PointsReleased,
    Kind.REDEEM: PointsRedeemed,
    Kind.EXPIRE: PointsExpired,
}


@patient
@given(lives)
def test_what_is_told_adds_up_to_what_was_entered(life: list[Step]) -> None:
    book = Book()
    for step in life:
        live(book, step)
    told = Counter[Any]()
    for payload in book.said:
        if isinstance(payload, LoyaltyEvent):
            told[type(payload)] += payload.points
    entered = Counter[Any]()
    for entry in book.entries:
        if entry.kind in TOLD:
            entered[TOLD[entry.kind]] += entry.points
    assert told == entered


@patient
@given(lives)
def test_whatever_is_open_has_a_timer(life: list[Step]) -> None:
    """Invariant 6: pending points, reservations, reviews, tiers and points that expire."""

    def check(book: Book) -> None:
        account = book.account
        pending = {f"vest:{lot.cause}" for lot in account.lots.values() if lot.purse.pending}
        reserved = {f"release:{key}" for key, one in account.redemptions.items() if one.state == "reserved"}
        reviews = {f"review:{cause}" for cause, one in account.withheld.items() if one.in_review}
        ending = {"tier"} if account.member().until else set()
        expiring = {"expiry"} if account.purse.available else set()
        assert pending | reserved | reviews | ending | expiring <= set(book.timers)

    holds(check)(life)


@patient
@given(lives)
def test_nothing_that_happens_is_a_surprise(life: list[Step]) -> None:
    """Only a hold that ends without a grant is odd, and the test makes those up."""
    book = Book()
    for step in life:
        live(book, step)
    odd = {fact.reason for facts in book.outcomes for fact in facts if isinstance(fact, Anomaly)}
    assert odd <= {"vest_without_grant"}


@patient
@given(lives)
def test_what_an_order_earned_is_what_it_should_have(life: list[Step]) -> None:
    """Buying, getting the money back and keeping the points does not work, in any order of events."""
    book = Book()
    for step in life:
        live(book, step)
    for order in ("A-7", "A-8"):
        book.take(order_changed(order, 99))
        lots = book.account.lots_of(order_id=order)
        if lots and order in book.account.purchases:
            back = sum((r.amount for r in book.account.refunds.values() if r.order_id == order), Decimal(0))
            worth = max(book.account.purchases[order].amount - back, Decimal(0))
            assert sum(lot.purse.kept for lot in lots) == int(worth * Decimal(lots[0].inputs["rate"]))


def test_every_pending_point_of_a_life_comes_to_an_end() -> None:
    book = Book().take(resolved()).bought("90000").take(order_changed()).wait(timedelta(days=500))
    assert book.account.purse.pending == book.account.purse.available == 0
    assert book.account.purse.expired == 549 + 900
