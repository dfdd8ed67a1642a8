"""Random histories of the reports of one order: events, reports, photos, staff, timers; repeated, late, in any order.

The numbers in the docstrings of the checks are those of the invariants.
"""

from collections.abc import Sequence
from copy import deepcopy
from itertools import pairwise
from typing import Any
from uuid import UUID

from hypothesis import given, settings
from hypothesis import strategies as st

from libs.common.decisions.facts import Fact, Ignored
from libs.common.decisions.ids import derived_id
from libs.common.events import issues
from libs.common.events.envelope import Payload
from libs.common.events.values import Reason, StaffAction
from services.intake.domain.commands import ProvideDetails, RecordStaffDecision, SubmitReport
from services.intake.domain.context import CommandRefused
from services.intake.domain.decide import decide
from services.intake.domain.orders import PendingStage
from services.intake.domain.pending_details import timer_name as details_timer
from services.intake.domain.staff_decisions import StaffDecisionRecorded
from services.intake.domain.submissions import timer_name
from tests.examples import examples
from tests.intake.event_builders import ORDER, RULES, delivered, event, placed, submission
from tests.intake.in_memory_store import InMemoryStore, refusals
from tests.intake.random_reports import (
    IDS,
    EventFactory,
    beginnings,
    details,
    factories,
    histories,
    likely,
    report,
    run_history,
    staff_decision,
)


def check_invariants(store: InMemoryStore) -> None:
    one_entitlement_per_unit(store)
    events_are_in_order(store)
    every_wait_has_a_timer(store)
    entitlements_follow_shipments(store)
    publishes_only_known_events(store)
    decisions_follow_each_other(store)


def one_entitlement_per_unit(store: InMemoryStore) -> None:
    """Invariant 2: each unit has one live holder; accepted reports hold their units, refused reports hold none."""
    live = [unit for unit in store.held if unit not in store.renewed]
    assert len({(unit.line_id, unit.number) for unit in live}) == len(live)
    for issue_id, filed in store.filed.items():
        holds = [unit for unit, who in store.held.items() if who == issue_id and unit not in store.renewed]
        if filed.refusal_code is not None:
            assert holds == []
        elif issue_id not in store.released and not any(store.held.get(unit) == issue_id for unit in store.renewed):
            assert len(holds) == sum(line.quantity for line in filed.report.submission.lines)


def events_are_in_order(store: InMemoryStore) -> None:
    """Invariant 5: reported, then requested with rising reminders, then accepted once; never refused after that."""
    for issue_id in store.filed:
        events = store.events_of(issue_id)
        kinds = [type(fact) for fact in events]
        accepted = kinds.index(issues.IssueAccepted) if issues.IssueAccepted in kinds else None
        assert kinds.count(issues.IssueAccepted) <= 1
        before, after = events[:accepted], events[accepted + 1 :] if accepted is not None else []
        assert not [fact for fact in after if isinstance(fact, issues.IssueRejected | issues.IssueDetailsRequested)]
        if accepted is not None:
            assert any(isinstance(fact, issues.IssueReported) for fact in before)
        asked = [fact.reminder for fact in events if isinstance(fact, issues.IssueDetailsRequested)]
        assert asked == list(range(len(asked)))
        due = {fact.due_at for fact in events if isinstance(fact, issues.IssueDetailsRequested)}
        assert len(due) <= 1


def every_wait_has_a_timer(store: InMemoryStore) -> None:
    """Invariant 6: each waiting or held report has a timer, and there is no other timer."""
    order = store.order
    waiting = {timer_name(pending.issue_id) for pending in order.awaiting_order} if order else set()
    lacking = (
        [pending for pending in order.awaiting_details if pending.stage is not PendingStage.CLOSED] if order else []
    )
    assert waiting | {details_timer(pending.report.issue_id) for pending in lacking} == set(store.timers)
    for fact in store.facts[-6:]:
        if isinstance(fact, issues.IssueDetailsRequested | issues.IssueReviewRequested):
            assert fact.due_at > store.now or fact is not store.facts[-1]


def entitlements_follow_shipments(store: InMemoryStore) -> None:
    """Invariant 7: each entitlement is for a unit that was shipped, or that arrived as a replacement."""
    for unit, issue_id in store.held.items():
        moved = store.context().order.movements_of(unit.line_id)
        filed = store.filed[issue_id]
        assert unit.number <= moved.shipped_quantity
        if unit.generation:
            assert unit._replace(generation=unit.generation - 1) in store.renewed
        elif filed.report.submission.reason not in (Reason.LOST_IN_TRANSIT, Reason.MISSING_ITEM):
            assert unit.number <= moved.delivered_quantity


PUBLISHED = (
    issues.IssueReported, issues.IssueAccepted, issues.IssueRejected, issues.IssueDetailsRequested,
    issues.IssueDetailsProvided, issues.IssueReviewRequested, issues.IssueStaffDecided,
    issues.IssueStaffDecisionApplied,
)  # fmt: skip


def publishes_only_known_events(store: InMemoryStore) -> None:
    """Invariants 1 and 8: intake fetches, sends and charges nothing; it publishes these events and no other."""
    assert all(isinstance(fact, PUBLISHED) for fact in store.facts if isinstance(fact, Payload))


def decisions_follow_each_other(store: InMemoryStore) -> None:
    for issue_id, filed in store.filed.items():
        made = [
            fact.version
            for fact in store.facts
            if isinstance(fact, StaffDecisionRecorded) and fact.decision.issue_id == issue_id
        ]
        assert made == list(range(1, filed.version + 1))
        assert len(store.events_of(issue_id, issues.IssueStaffDecided)) == filed.version


@settings(max_examples=examples(500), deadline=None)
@given(beginnings, histories)
def test_the_invariants_hold_in_every_history(start: list[str], history: list[object]) -> None:
    run_history(InMemoryStore(), start, history, check_invariants)


@settings(max_examples=examples(150), deadline=None)
@given(beginnings, histories)
def test_every_timer_makes_progress(start: list[str], history: list[object]) -> None:
    """Every timer requests, reminds, decides or opens a review; no report waits for its order without an end."""
    store = InMemoryStore()
    run_history(store, start, history, lambda _: None)
    for _ in range(25):
        if store.timers:
            facts = store.fire()
            assert any(isinstance(fact, Payload) for fact in facts)
    assert store.order is None or store.order.awaiting_order == ()
    lacking = (
        [pending for pending in store.order.awaiting_details if pending.stage is not PendingStage.CLOSED]
        if store.order
        else []
    )
    assert {pending.stage for pending in lacking} <= {PendingStage.REVIEW}


@settings(max_examples=examples(150), deadline=None)
@given(beginnings, histories, factories)
def test_what_is_refused_or_ignored_changes_nothing(
    start: list[str], history: list[object], factory: EventFactory
) -> None:
    store = InMemoryStore()
    run_history(store, start, history, lambda _: None)
    before = deepcopy(store)
    facts = store.take(factory(store))
    if facts and all(isinstance(fact, CommandRefused | Ignored) for fact in facts):
        same = (store.held, store.timers, {issue_id: filed.version for issue_id, filed in store.filed.items()})
        assert same == (before.held, before.timers, {key: filed.version for key, filed in before.filed.items()})
        assert [pending.stage for pending in store.context().order.awaiting_details] == [
            pending.stage for pending in before.context().order.awaiting_details
        ]


def outcomes(facts: Sequence[Fact]) -> list[Fact]:
    return [fact for fact in facts if isinstance(fact, Payload | CommandRefused | StaffDecisionRecorded)]


@settings(max_examples=examples(200), deadline=None)
@given(beginnings, histories, likely | factories)
def test_a_refusal_is_the_only_fact_and_leaves_the_state_as_it_was(
    start: list[str], history: list[object], factory: EventFactory
) -> None:
    store = InMemoryStore()
    run_history(store, start, history, lambda _: None)
    before = store.context()
    after, facts = decide(before, event(factory(store), at=store.now), store.now, RULES)
    if any(isinstance(fact, CommandRefused) for fact in facts):
        assert (len(facts), after) == (1, before)


@settings(max_examples=examples(200), deadline=None)
@given(beginnings, histories, st.lists(likely | factories, min_size=2, max_size=4))
def test_a_batch_comes_to_the_same_as_its_events_one_by_one(
    start: list[str], history: list[object], batch: list[EventFactory]
) -> None:
    """Calls and events of one batch are decided on one load: each must see the effect of the one before it."""
    together = InMemoryStore()
    run_history(together, start, history, lambda _: None)
    single = deepcopy(together)
    payloads = [factory(together) for factory in batch]
    known = {
        payload.issue_id for payload in payloads if isinstance(payload, ProvideDetails | RecordStaffDecision)
    } <= set(together.filed)
    if not known:
        return  # a call about an issue looks it up before it joins a batch
    facts = together.take(*payloads)
    one_by_one = [fact for payload in payloads for fact in single.take(payload)]
    assert outcomes(facts) == outcomes(one_by_one)
    assert (together.held, together.order, together.timers) == (single.held, single.order, single.timers)


def numbered(issue_id: UUID, **fields: Any) -> SubmitReport:
    return SubmitReport(issue_id=issue_id, report=submission(reference="R-1", **fields))


def staff(issue_id: UUID, action: StaffAction, version: int = 0) -> RecordStaffDecision:
    return RecordStaffDecision(
        issue_id=issue_id,
        order_id=ORDER,
        decision_id=derived_id("decision", issue_id, action),
        action=action,
        staff="sato",
        comment="by telephone",
        expected_version=version,
    )


def opened(*payloads: Payload) -> InMemoryStore:
    store = InMemoryStore()
    store.take(placed().data, delivered().data)
    for payload in payloads:
        store.take(payload)
    return store


def test_a_report_number_is_free_within_the_batch_that_rejects_its_report() -> None:
    store = opened(numbered(IDS[0], reason=Reason.MISSING_PART))
    facts = store.take(staff(IDS[0], StaffAction.CANCEL), numbered(IDS[1]))
    assert (refusals(facts), [fact.issue_id for fact in facts if isinstance(fact, issues.IssueAccepted)]) == (
        [],
        [IDS[1]],
    )


def test_a_report_number_is_held_within_the_batch_that_accepts_its_rejected_report() -> None:
    store = opened(numbered(IDS[0], reason=Reason.MISSING_PART), staff(IDS[0], StaffAction.CANCEL))
    facts = store.take(staff(IDS[0], StaffAction.ACCEPT, 1), numbered(IDS[1]))
    assert refusals(facts) == ["already_reported"]


def test_the_histories_reach_every_stage_and_every_way_out() -> None:
    """Histories made by these strategies can reach every stage."""
    store = InMemoryStore()
    run_history(
        store,
        ["placed", "delivered"],
        [report(IDS[0], True, Reason.DAMAGED_IN_TRANSIT, [("1", 2)], False, False, True)],
        check_invariants,
    )
    stages = [PendingStage.GRACE]
    while (held := store.issue(IDS[0])) and stages[-1] is not PendingStage.REVIEW:
        store.fire()
        stages.append(held.stage)
        check_invariants(store)
    assert [stage for stage, after in pairwise([*stages, None]) if stage is not after] == [
        PendingStage.GRACE,
        PendingStage.REQUESTED,
        PendingStage.REVIEW,
    ]


def test_what_came_and_what_staff_say_at_the_same_moment_are_one_acceptance() -> None:
    """Details reopen a closed report; a staff acceptance in the same batch is refused, for it is accepted already."""
    store = InMemoryStore()
    run_history(
        store,
        ["placed", "delivered"],
        [report(IDS[0], True, Reason.MISSING_PART, [("1", 1)], False, False, True)],
        check_invariants,
    )
    while store.timers:
        store.fire()
    accept = staff_decision(IDS[0], StaffAction.ACCEPT, 0, None, None)(store)
    facts = store.take(details(IDS[0], False, "1", False, 50)(store), accept)
    check_invariants(store)
    assert refusals(facts) == ["accepted_already"]
