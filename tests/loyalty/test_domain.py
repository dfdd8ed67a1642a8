"""Decisions of the ledger: tables first, then random histories."""

import json
from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from libs.common.decisions.facts import Anomaly, Ignored, SetTimer
from libs.common.decisions.ids import derived_id
from libs.common.events.loyalty import GrantKind, LegalBasis, PointsGranted, PointsReversed
from libs.common.events.registry import AnyEvent
from libs.common.events.values import Fault, Reason
from services.loyalty.domain import decide as domain
from services.loyalty.domain.ledger_rules import LedgerRules
from services.loyalty.ledger.accounts import PointsAccount
from services.loyalty.ledger.causes import issue_cause
from services.loyalty.ledger.entries import EntryKind, WithheldGrant
from tests.loyalty.histories import (
    HOLD,
    ISSUE,
    NOON,
    RULES,
    InMemoryLedger,
    cancelled,
    decide,
    hold_ended,
    reopened,
    resolved,
    timer_fired,
)

POINTS = 549  # 300, and 5 % of 4,980 yen


def test_a_resolved_issue_earns_points_that_are_pending() -> None:
    assert InMemoryLedger().apply(resolved()).balances() == (POINTS, 0)


def test_a_grant_names_rule_and_version() -> None:
    granted = InMemoryLedger().apply(resolved()).events[0]
    assert isinstance(granted, PointsGranted)
    assert (granted.rule, granted.rule_version) == ("our_product", RULES.version)


def test_a_grant_becomes_final_when_the_hold_is_over() -> None:
    assert InMemoryLedger().apply(resolved(), hold_ended()).balances() == (0, POINTS)


def test_the_timer_is_set_for_the_end_of_the_hold() -> None:
    _, facts = decide(resolved())
    assert [fact.due_at for fact in facts if isinstance(fact, SetTimer)] == [NOON + HOLD]


def test_a_second_resolution_event_with_another_id_earns_nothing_more() -> None:
    assert InMemoryLedger().apply(resolved(), resolved()).balances() == (POINTS, 0)


def test_a_reopened_issue_takes_its_pending_points_back() -> None:
    assert InMemoryLedger().apply(resolved(), reopened()).balances() == (0, 0)


def test_a_reopened_issue_takes_its_final_points_back() -> None:
    assert InMemoryLedger().apply(resolved(), hold_ended(), reopened()).balances() == (0, 0)


def test_a_reversal_is_an_entry_of_its_own() -> None:
    ledger = InMemoryLedger().apply(resolved(), reopened())
    assert [entry.kind for entry in ledger.entries] == [EntryKind.GRANT, EntryKind.REVERSE]


def test_a_reversal_names_its_grant() -> None:
    reversal = InMemoryLedger().apply(resolved(), reopened()).events[1]
    assert isinstance(reversal, PointsReversed)
    assert reversal.reverses == derived_id("entry", EntryKind.GRANT, issue_cause(ISSUE, 1))


def test_a_reversed_grant_has_no_timer_left() -> None:
    assert InMemoryLedger().apply(resolved(), reopened()).timers == {}


def test_a_reopening_that_overtakes_its_resolution_keeps_the_grant_from_being_made() -> None:
    assert InMemoryLedger().apply(reopened(), resolved()).entries == []


def test_the_next_resolution_of_a_reopened_issue_earns_points_again() -> None:
    assert InMemoryLedger().apply(resolved(), reopened(), resolved(resolution=2)).balances() == (POINTS, 0)


def test_a_cancelled_issue_takes_back_every_grant_that_still_stands() -> None:
    history = (resolved(), reopened(), resolved(resolution=2), cancelled())
    assert InMemoryLedger().apply(*history).balances() == (0, 0)


def test_a_resolution_after_the_cancellation_earns_nothing() -> None:
    assert InMemoryLedger().apply(cancelled(), resolved()).entries == []


def test_a_fault_of_the_customer_earns_nothing() -> None:
    _, facts = decide(resolved(reason=Reason.CHANGED_MIND, fault=Fault.CUSTOMER))
    assert facts[-1] == Ignored("zero_award")


def test_a_timer_without_a_grant_is_an_anomaly() -> None:
    _, facts = decide(hold_ended())
    assert [type(fact) for fact in facts] == [Anomaly]


def test_points_of_a_reversed_grant_never_become_final() -> None:
    assert InMemoryLedger().apply(resolved(), reopened(), hold_ended()).balances() == (0, 0)


def test_an_entry_has_the_same_id_whenever_it_is_decided() -> None:
    assert (
        InMemoryLedger().apply(resolved()).entries[0].entry_id == InMemoryLedger().apply(resolved()).entries[0].entry_id
    )


no_deadline = settings(deadline=None)
facts_of_one_issue = st.permutations([resolved(), resolved(resolution=2), reopened()])


@no_deadline
@given(st.data(), facts_of_one_issue)
def test_order_and_repetition_do_not_change_what_is_left(data: st.DataObject, order: list[AnyEvent]) -> None:
    repeated = data.draw(st.lists(st.sampled_from(order), max_size=6))
    positions = [data.draw(st.integers(0, len(order))) for _ in repeated]
    for event, position in zip(repeated, positions, strict=True):
        order.insert(position, event)
    assert InMemoryLedger().apply(*order).balances() == (POINTS, 0)


@pytest.mark.parametrize("days", [1, 30])
def test_the_hold_is_that_of_the_rules(days: int) -> None:
    rules = RULES.model_copy(update={"hold_days": days})
    _, facts = domain.decide(PointsAccount("C-1"), resolved(), NOON, LedgerRules(rules))
    assert [fact.due_at for fact in facts if isinstance(fact, SetTimer)] == [NOON + timedelta(days=days)]


def test_nothing_but_entries_moves_an_account() -> None:
    ledger = InMemoryLedger().apply(resolved(), reopened(), cancelled())
    assert ledger.account.number == len(ledger.entries)


def test_without_a_hold_points_may_be_spent_at_once() -> None:
    rules = LedgerRules(RULES.model_copy(update={"hold_days": 0}))
    assert InMemoryLedger(rules=rules).apply(resolved()).balances() == (0, POINTS)


def test_a_withheld_grant_stores_the_inputs_of_the_rule() -> None:
    _, facts = decide(resolved(reason=Reason.CHANGED_MIND, fault=Fault.CUSTOMER))
    [withheld] = [fact for fact in facts if isinstance(fact, WithheldGrant)]
    assert (withheld.code, json.loads(withheld.inputs or "")["reason"]) == ("zero_award", "changed_mind")


def test_an_unknown_timer_is_an_anomaly() -> None:
    _, facts = decide(timer_fired("unknown:1"))
    assert facts == (Anomaly("unknown_timer", "unknown:1"),)


def test_a_grant_names_legal_basis_expiry_and_vesting() -> None:
    granted = InMemoryLedger().apply(resolved()).events[0]
    assert isinstance(granted, PointsGranted)
    last_day = (NOON + HOLD + timedelta(days=RULES.validity_days)).date()
    assert (granted.kind, granted.legal_basis) == (GrantKind.APOLOGY, LegalBasis.AFTER_SERVICE)
    assert (granted.expires_on, granted.vests_at, granted.counts_for_tier) == (last_day, NOON + HOLD, False)


def test_longer_waits_and_broken_promises_earn_more() -> None:
    assert InMemoryLedger().apply(resolved(waited_days=10, promises_broken=2)).balances() == (
        POINTS + 3 * 20 + 2 * 100,
        0,
    )
