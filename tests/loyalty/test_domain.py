"""The ledger's decisions: tables first, then random histories."""

from collections import Counter
from datetime import timedelta
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from libs.common.decision import Anomaly, Ignored, SetTimer
from libs.common.events.issues import IssueResolved
from libs.common.events.loyalty import LoyaltyEvent, PointsGranted, PointsReversed
from libs.common.events.registry import AnyEvent
from libs.common.events.values import Fault, Reason
from libs.common.ids import derived_id
from services.loyalty import domain
from services.loyalty.domain import Kind, cause_of
from tests.loyalty.histories import HOLD, ISSUE, NOON, RULES, Book, cancelled, decide, hold_over, reopened, resolved

POINTS = 549  # 300, and 5 % of 4,980 yen


def test_a_resolved_issue_earns_points_that_are_pending() -> None:
    assert Book().take(resolved()).balances() == (POINTS, 0)


def test_a_grant_names_rule_and_version() -> None:
    granted = Book().take(resolved()).said[0]
    assert isinstance(granted, PointsGranted)
    assert (granted.rule, granted.rule_version) == ("our_product", RULES.version)


def test_a_grant_becomes_final_when_the_hold_is_over() -> None:
    assert Book().take(resolved(), hold_over()).balances() == (0, POINTS)


def test_the_timer_is_set_for_the_end_of_the_hold() -> None:
    _, facts = decide(resolved())
    assert [fact.due_at for fact in facts if isinstance(fact, SetTimer)] == [NOON + HOLD]


def test_a_second_resolution_event_with_another_id_earns_nothing_more() -> None:
    assert Book().take(resolved(), resolved()).balances() == (POINTS, 0)


def test_a_reopened_issue_takes_its_pending_points_back() -> None:
    assert Book().take(resolved(), reopened()).balances() == (0, 0)


def test_a_reopened_issue_takes_its_final_points_back() -> None:
    assert Book().take(resolved(), hold_over(), reopened()).balances() == (0, 0)


def test_a_reversal_is_an_entry_of_its_own() -> None:
    book = Book().take(resolved(), reopened())
    assert [entry.kind for entry in book.entries] == [Kind.GRANT, Kind.REVERSE]


def test_a_reversal_names_the_grant_that_it_takes_back() -> None:
    reversal = Book().take(resolved(), reopened()).said[1]
    assert isinstance(reversal, PointsReversed)
    assert reversal.reverses == derived_id("entry", Kind.GRANT, cause_of(ISSUE, 1))


def test_a_reversed_grant_has_no_timer_left() -> None:
    assert Book().take(resolved(), reopened()).timers == {}


def test_a_reopening_that_overtakes_its_resolution_keeps_the_grant_from_being_made() -> None:
    assert Book().take(reopened(), resolved()).entries == []


def test_the_next_resolution_of_a_reopened_issue_earns_points_again() -> None:
    assert Book().take(resolved(), reopened(), resolved(resolution=2)).balances() == (POINTS, 0)


def test_a_cancelled_issue_takes_back_every_grant_that_still_stands() -> None:
    history = (resolved(), reopened(), resolved(resolution=2), cancelled())
    assert Book().take(*history).balances() == (0, 0)


def test_a_resolution_after_the_cancellation_earns_nothing() -> None:
    assert Book().take(cancelled(), resolved()).entries == []


def test_a_fault_of_the_customer_earns_nothing() -> None:
    _, facts = decide(resolved(reason=Reason.CHANGED_MIND, fault=Fault.CUSTOMER))
    assert facts == (Ignored("rule_gives_nothing"),)


def test_a_timer_without_a_grant_is_an_anomaly() -> None:
    _, facts = decide(hold_over())
    assert [type(fact) for fact in facts] == [Anomaly]


def test_points_of_a_reversed_grant_never_become_final() -> None:
    assert Book().take(resolved(), reopened(), hold_over()).balances() == (0, 0)


def test_an_entry_has_the_same_id_whenever_it_is_decided() -> None:
    assert Book().take(resolved()).entries[0].entry_id == Book().take(resolved()).entries[0].entry_id


ISSUES = tuple(UUID(int=n) for n in range(1, 4))
numbers = st.integers(min_value=1, max_value=3)
some_events = st.one_of(
    st.builds(resolved, issue_id=st.sampled_from(ISSUES), resolution=numbers, fault=st.sampled_from(Fault)),
    st.builds(reopened, issue_id=st.sampled_from(ISSUES), resolution=numbers),
    st.builds(cancelled, issue_id=st.sampled_from(ISSUES)),
    st.builds(hold_over, issue_id=st.sampled_from(ISSUES), resolution=numbers),
)
unhurried = settings(deadline=None)
histories = st.lists(some_events, max_size=30)


@unhurried
@given(histories)
def test_the_ledger_always_sums_to_the_balances(history: list[AnyEvent]) -> None:
    book = Book()
    for event in history:
        book.take(event)
        assert book.sums() == book.balances()


@unhurried
@given(histories)
def test_balances_are_never_below_nothing(history: list[AnyEvent]) -> None:
    book = Book()
    for event in history:
        assert min(book.take(event).balances()) >= 0


@unhurried
@given(histories)
def test_no_cause_moves_points_twice(history: list[AnyEvent]) -> None:
    moves = Counter((entry.cause, entry.kind) for entry in Book().take(*history).entries)
    assert set(moves.values()) <= {1}


@unhurried
@given(histories)
def test_no_grant_comes_before_its_resolution(history: list[AnyEvent]) -> None:
    book, seen = Book(), set[str]()
    for event in history:
        if isinstance(event.data, IssueResolved):
            seen.add(cause_of(event.data.issue_id, event.data.resolution))
        assert {entry.cause for entry in book.take(event).entries} <= seen


@unhurried
@given(histories)
def test_every_entry_is_said_once(history: list[AnyEvent]) -> None:
    book = Book().take(*history)
    said = [(payload.entry_id, payload.points) for payload in book.said if isinstance(payload, LoyaltyEvent)]
    assert said == [(entry.entry_id, max(abs(entry.pending), abs(entry.final))) for entry in book.entries]


@unhurried
@given(histories)
def test_every_pending_grant_has_a_timer(history: list[AnyEvent]) -> None:
    book = Book().take(*history)
    waiting = {f"finalise:{cause}" for cause, grant in book.account.grants.items() if not grant.reversed | grant.final}
    assert waiting <= set(book.timers)


facts_of_one_issue = st.permutations([resolved(), resolved(resolution=2), reopened()])


@unhurried
@given(st.data(), facts_of_one_issue)
def test_order_and_repetition_do_not_change_what_is_left(data: st.DataObject, order: list[AnyEvent]) -> None:
    repeated = data.draw(st.lists(st.sampled_from(order), max_size=6))
    positions = [data.draw(st.integers(0, len(order))) for _ in repeated]
    for event, position in zip(repeated, positions, strict=True):
        order.insert(position, event)
    assert Book().take(*order).balances() == (POINTS, 0)


@pytest.mark.parametrize("days", [0, 30])
def test_the_hold_is_what_the_rules_say(days: int) -> None:
    rules = RULES.model_copy(update={"hold_days": days})
    _, facts = domain.decide(rules, domain.Account("C-1"), resolved(), NOON)
    assert [fact.due_at for fact in facts if isinstance(fact, SetTimer)] == [NOON + timedelta(days=days)]


def test_entries_carry_the_balances_after_them() -> None:
    book = Book().take(resolved(), hold_over())
    assert [(entry.pending_after, entry.final_after) for entry in book.entries] == [(POINTS, 0), (0, POINTS)]


def test_nothing_but_entries_moves_an_account() -> None:
    book = Book().take(resolved(), reopened(), cancelled())
    assert book.account.number == len(book.entries)
