"""Properties of the ledger over random histories."""

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
from services.loyalty.ledger.causes import issue_cause
from services.loyalty.ledger.entries import EntryKind
from tests.examples import examples
from tests.loyalty.histories import (
    InMemoryLedger,
    adjust,
    cancelled,
    commit,
    hold_ended,
    order_changed,
    refunded,
    release,
    reopened,
    reservation_expired,
    reserve,
    resolved,
    return_points,
    reviewed,
)

ISSUES = tuple(UUID(int=n) for n in range(1, 6))
numbers = st.integers(min_value=1, max_value=3)
issues = st.sampled_from(ISSUES)


@dataclass(frozen=True)
class OrderDelivered:
    """Price of the goods of an order that are delivered and not cancelled from now on."""

    amount: int
    order: str


Step = AnyEvent | OrderDelivered | timedelta

orders = st.sampled_from(["A-7", "A-8"])
steps: st.SearchStrategy[Step] = st.one_of(
    st.builds(resolved, issue_id=issues, resolution=numbers, fault=st.sampled_from([Fault.MERCHANT, Fault.CARRIER])),
    st.builds(reopened, issue_id=issues, resolution=numbers),
    st.builds(cancelled, issue_id=issues),
    st.builds(hold_ended, issue_id=issues, resolution=numbers),
    st.builds(OrderDelivered, amount=st.sampled_from([0, 999, 30_000, 90_000]), order=orders),
    st.builds(refunded, amount=st.sampled_from(["999", "30000"]), refund=numbers, order_id=orders),
    st.builds(reserve, points=st.integers(1, 900), redemption=numbers),
    st.builds(commit, redemption=numbers),
    st.builds(release, redemption=numbers),
    st.builds(return_points, redemption=numbers),
    st.builds(reservation_expired, redemption=numbers),
    st.builds(adjust, change=st.integers(-600, 600), number=st.integers(1, 5)),
    st.builds(reviewed, approved=st.booleans(), issue_id=issues, resolution=numbers),
    st.builds(timedelta, days=st.sampled_from([1, 15, 120, 400])),
)
histories = st.lists(steps, max_size=40)
extended = settings(deadline=None, max_examples=examples(150))


def apply_step(ledger: InMemoryLedger, step: Step) -> InMemoryLedger:
    if isinstance(step, timedelta):
        return ledger.advance(step)
    if isinstance(step, OrderDelivered):
        return ledger.with_purchase(str(step.amount), step.order).apply(order_changed(step.order))
    return ledger.apply(step)


def holds(check: Callable[[InMemoryLedger], None]) -> Callable[[list[Step]], None]:
    """Return a test body that runs `check` after each step of a history."""

    def run(history: list[Step]) -> None:
        ledger = InMemoryLedger()
        for step in history:
            check(apply_step(ledger, step))

    return run


@extended
@given(histories)
def test_the_ledger_always_sums_to_the_balances(history: list[Step]) -> None:
    def check(ledger: InMemoryLedger) -> None:
        assert ledger.summed_entries() == ledger.account.balances

    holds(check)(history)


@extended
@given(histories)
def test_points_are_neither_made_nor_lost(history: list[Step]) -> None:
    def check(ledger: InMemoryLedger) -> None:
        for balances in (ledger.account.balances, *(lot.balances for lot in ledger.account.lots.values())):
            accounts = (balances.pending, balances.available, balances.reserved, balances.spent, balances.expired)
            assert balances.issued + sum(accounts) + balances.debt == 0
            assert min(accounts) >= 0
            assert balances.net_granted >= 0

    holds(check)(history)


@extended
@given(histories)
def test_lots_sum_to_the_balances(history: list[Step]) -> None:
    def check(ledger: InMemoryLedger) -> None:
        for name in ("issued", "pending", "available", "reserved", "spent", "expired", "debt"):
            lots = sum(getattr(lot.balances, name) for lot in ledger.account.lots.values())
            assert lots == getattr(ledger.account.balances, name), name

    holds(check)(history)


@extended
@given(histories)
def test_nobody_has_points_to_spend_beside_a_debt(history: list[Step]) -> None:
    def check(ledger: InMemoryLedger) -> None:
        assert ledger.account.balances.debt <= 0
        assert ledger.account.balances.debt == 0 or ledger.account.balances.available == 0

    holds(check)(history)


@extended
@given(histories)
def test_no_cause_moves_points_twice(history: list[Step]) -> None:
    ledger = InMemoryLedger()
    for step in history:
        apply_step(ledger, step)
    moves = Counter((entry.cause, entry.kind, entry.lot_id, entry.from_account) for entry in ledger.entries)
    assert set(moves.values()) <= {1}
    assert len({entry.entry_id for entry in ledger.entries}) == len(ledger.entries)


@extended
@given(histories)
def test_no_apology_comes_before_its_resolution(history: list[Step]) -> None:
    ledger, seen = InMemoryLedger(), set[str]()
    for step in history:
        if not isinstance(step, timedelta | OrderDelivered) and isinstance(step.data, IssueResolved):
            seen.add(issue_cause(step.data.issue_id, step.data.resolution))
        apply_step(ledger, step)
        assert {e.cause for e in ledger.entries if e.kind is EntryKind.GRANT and e.cause.startswith("issue:")} <= seen


EVENT_OF_KIND = {
    EntryKind.GRANT: PointsGranted,
    EntryKind.VEST: PointsVested,
    EntryKind.REVERSE: PointsReversed,
    EntryKind.RESERVE: PointsReserved,
    EntryKind.RELEASE: PointsReleased,
    EntryKind.RETURN: PointsReleased,
    EntryKind.REDEEM: PointsRedeemed,
    EntryKind.EXPIRE: PointsExpired,
}


@extended
@given(histories)
def test_the_published_points_add_up_to_the_entries(history: list[Step]) -> None:
    ledger = InMemoryLedger()
    for step in history:
        apply_step(ledger, step)
    published = Counter[Any]()
    for payload in ledger.events:
        if isinstance(payload, LoyaltyEvent):
            published[type(payload)] += payload.points
    entered = Counter[Any]()
    for entry in ledger.entries:
        if entry.kind in EVENT_OF_KIND:
            entered[EVENT_OF_KIND[entry.kind]] += entry.points
    assert published == entered


@extended
@given(histories)
def test_whatever_is_open_has_a_timer(history: list[Step]) -> None:
    """Invariant 6: pending points, reservations, reviews, tiers and points that expire."""

    def check(ledger: InMemoryLedger) -> None:
        account = ledger.account
        pending = {f"vest:{lot.cause}" for lot in account.lots.values() if lot.balances.pending}
        reserved = {f"reservation:{key}" for key, found in account.redemptions.items() if found.state == "reserved"}
        reviews = {f"review:{cause}" for cause, withheld in account.withheld.items() if withheld.in_review}
        ending = {"tier"} if account.current_membership().until else set()
        expiring = {"expiry"} if account.balances.available else set()
        assert pending | reserved | reviews | ending | expiring <= set(ledger.timers)

    holds(check)(history)


@extended
@given(histories)
def test_no_other_anomaly_occurs(history: list[Step]) -> None:
    """The only anomaly is a hold that ends without a grant, which these histories contain."""
    ledger = InMemoryLedger()
    for step in history:
        apply_step(ledger, step)
    anomalies = {fact.reason for facts in ledger.decisions for fact in facts if isinstance(fact, Anomaly)}
    assert anomalies <= {"vest_without_grant"}


@extended
@given(histories)
def test_what_an_order_earned_is_what_it_should_have(history: list[Step]) -> None:
    """Nobody can buy, get a refund and keep the points, in any order of events."""
    ledger = InMemoryLedger()
    for step in history:
        apply_step(ledger, step)
    for order in ("A-7", "A-8"):
        ledger.apply(order_changed(order, 99))
        lots = ledger.account.lots_for(order_id=order)
        if lots and order in ledger.account.purchases:
            back = sum((r.amount for r in ledger.account.refunds.values() if r.order_id == order), Decimal(0))
            worth = max(ledger.account.purchases[order].amount - back, Decimal(0))
            assert sum(lot.balances.net_granted for lot in lots) == int(worth * Decimal(lots[0].inputs["rate"]))


def test_every_pending_point_comes_to_an_end() -> None:
    ledger = (
        InMemoryLedger().apply(resolved()).with_purchase("90000").apply(order_changed()).advance(timedelta(days=500))
    )
    assert ledger.account.balances.pending == ledger.account.balances.available == 0
    assert ledger.account.balances.expired == 549 + 900
