"""Staff decisions on accepted, held and rejected reports: applied once, recorded with who and why."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import pytest

from libs.common.decisions.facts import Fact
from libs.common.events.issues import (
    IssueAccepted,
    IssueRejected,
    IssueReported,
    IssueStaffDecided,
    IssueStaffDecisionApplied,
)
from libs.common.events.values import Reason, Remedy, StaffAction
from services.intake.domain.commands import RecordStaffDecision
from services.intake.domain.context import CommandRefused, OrderState
from services.intake.domain.decide import decide
from services.intake.domain.orders import PendingStage, Report, StoredReport
from services.intake.domain.staff_decisions import StaffDecisionRecorded
from services.intake.domain.units import Unit
from tests.intake.event_builders import (
    NOON,
    ORDER,
    RULES,
    after,
    by_http,
    days,
    delivered,
    event,
    http_id,
    placed,
    submission,
)
from tests.intake.test_pending_details import ARRIVED, ISSUE, closed, damaged, run

A = StaffAction


def decision(action: StaffAction, version: int = 0, **more: Any) -> RecordStaffDecision:
    return RecordStaffDecision(
        issue_id=ISSUE,
        order_id=ORDER,
        decision_id=http_id(f"decision {action} {version}"),
        action=action,
        staff="sato",
        comment="お客様とお電話で確認しました",
        expected_version=version,
        **more,
    )


def ask(context: OrderState, filed: StoredReport, *decisions: RecordStaffDecision) -> tuple[OrderState, list[Fact]]:
    loaded: OrderState | None = OrderState(
        context.order, context.entitlements, context.order_by_issue, stored_reports={ISSUE: filed}
    )
    facts: list[Fact] = []
    for command in decisions:
        loaded, new = decide(loaded, event(command), NOON + days(1), RULES)
        facts.extend(new)
    assert loaded
    return loaded, facts


def accepted_one() -> tuple[OrderState, StoredReport]:
    context, _ = after([*ARRIVED, by_http(submission(), key="k")])
    return context, StoredReport(Report(ISSUE, submission(), NOON), None, 0)


def held_one(context: OrderState | None = None) -> tuple[OrderState, StoredReport]:
    context = context or run(None, [*ARRIVED, damaged()])[0]
    held = context.pending_report(ISSUE)
    assert held
    return context, StoredReport(held.report, None, 0)


def late_one() -> tuple[OrderState, StoredReport]:
    """Return a report that was rejected because its window had closed."""
    context, _ = after([placed(), delivered(at=NOON - days(1000))])
    return context, StoredReport(Report(ISSUE, submission(reason=Reason.CHANGED_MIND), NOON), "window_closed", 0)


def kinds(facts: Sequence[Fact]) -> list[type]:
    return [type(fact) for fact in facts]


def refusals(facts: Sequence[Fact]) -> list[str]:
    return [fact.refusal.code for fact in facts if isinstance(fact, CommandRefused)]


@pytest.mark.parametrize("action", [action for action in A if action is not A.ACCEPT])
def test_a_decision_on_an_accepted_issue_is_published_for_returns(action: StaffAction) -> None:
    _, facts = ask(*accepted_one(), decision(action, review="value", remedy=Remedy.REFUND))
    assert kinds(facts) == [StaffDecisionRecorded, IssueStaffDecided]
    decided = facts[1]
    assert isinstance(decided, IssueStaffDecided)
    assert (decided.staff, decided.action, decided.comment) == ("sato", action, "お客様とお電話で確認しました")


def test_the_second_of_two_decisions_on_one_version_is_refused() -> None:
    _, facts = ask(*accepted_one(), decision(A.CANCEL), decision(A.WAIVE_COLLECTION))
    assert (kinds(facts)[:2], refusals(facts)) == ([StaffDecisionRecorded, IssueStaffDecided], ["decided_meanwhile"])


def test_one_who_looked_again_may_decide() -> None:
    _, facts = ask(*accepted_one(), decision(A.CANCEL), decision(A.WAIVE_COLLECTION, 1))
    assert [fact.version for fact in facts if isinstance(fact, StaffDecisionRecorded)] == [1, 2]


@pytest.mark.parametrize(
    ("code", "command"),
    [
        ("review_missing", decision(A.APPROVE_REVIEW)),
        ("review_missing", decision(A.REFUSE_REVIEW)),
        ("remedy_missing", decision(A.CHOOSE_REMEDY)),
        ("accepted_already", decision(A.ACCEPT)),
    ],
)
def test_an_incomplete_decision_is_refused(code: str, command: RecordStaffDecision) -> None:
    assert refusals(ask(*accepted_one(), command)[1]) == [code]


def test_a_decision_on_an_unknown_issue_is_refused() -> None:
    _, facts = decide(None, event(decision(A.CANCEL)), NOON, RULES)
    assert refusals(facts) == ["unknown_issue"]


@pytest.mark.parametrize("action", [A.ACCEPT, A.CHOOSE_REMEDY, A.REOPEN])
def test_a_held_report_may_be_accepted_as_it_is(action: StaffAction) -> None:
    _, facts = ask(*held_one(), decision(action, remedy=Remedy.REFUND))
    accepted = [fact.requested_remedy for fact in facts if isinstance(fact, IssueAccepted)]
    taken = [fact.applied for fact in facts if isinstance(fact, IssueStaffDecisionApplied)]
    assert (accepted, taken) == ([Remedy.REFUND], [True])


@pytest.mark.parametrize(("action", "code"), [(A.REJECT, "refused_by_shop"), (A.CANCEL, "withdrawn")])
def test_a_held_report_may_be_turned_down(action: StaffAction, code: str) -> None:
    context, facts = ask(*held_one(), decision(action))
    assert ([fact.code for fact in facts if isinstance(fact, IssueRejected)], context.entitlements) == ([code], {})


@pytest.mark.parametrize(("action", "kind"), [(A.APPROVE_REVIEW, IssueAccepted), (A.REFUSE_REVIEW, IssueRejected)])
def test_the_review_of_a_silent_customers_report_is_decided(action: StaffAction, kind: type) -> None:
    context, _ = run(None, [*ARRIVED, damaged()])
    held = context.pending_report(ISSUE)
    assert held
    reviewed = context.with_pending(replace(held, stage=PendingStage.REVIEW))
    _, facts = ask(*held_one(reviewed), decision(action, review="details_missing"))
    assert kind in kinds(facts)


def test_a_decision_on_a_review_that_is_not_open_is_refused() -> None:
    command = decision(A.APPROVE_REVIEW, review="details_missing")
    assert refusals(ask(*held_one(), command)[1]) == ["no_such_review"]


def test_a_closed_report_may_be_accepted_after_all() -> None:
    _, facts = ask(*held_one(closed()), decision(A.ACCEPT))
    assert IssueAccepted in kinds(facts)


def test_a_rejected_report_may_be_accepted_whatever_its_window() -> None:
    context, facts = ask(*late_one(), decision(A.ACCEPT))
    assert {IssueReported, IssueAccepted, IssueStaffDecisionApplied} <= set(kinds(facts))
    assert len(context.entitlements) == 1


def test_pieces_that_another_has_are_not_given_again() -> None:
    context, filed = late_one()
    taken = replace(context, entitlements=dict.fromkeys((Unit("1", 1), Unit("1", 2)), http_id("other")))
    assert refusals(ask(taken, filed, decision(A.ACCEPT))[1]) == ["already_reported"]


@pytest.mark.parametrize("action", [A.REJECT, A.CANCEL, A.WAIVE_COLLECTION])
def test_a_rejected_report_can_only_be_accepted(action: StaffAction) -> None:
    assert refusals(ask(*late_one(), decision(action))[1]) == ["issue_rejected"]


def test_what_is_refused_is_not_recorded() -> None:
    _, facts = ask(*late_one(), decision(A.REJECT))
    assert kinds(facts) == [CommandRefused]


def quiet() -> tuple[OrderState, StoredReport]:
    return held_one()


def reviewed() -> tuple[OrderState, StoredReport]:
    context, _ = run(None, [*ARRIVED, damaged()])
    held = context.pending_report(ISSUE)
    assert held
    return held_one(context.with_pending(replace(held, stage=PendingStage.REVIEW)))


def closed_one() -> tuple[OrderState, StoredReport]:
    return held_one(closed())


# Per state, by which code an action is refused; every other one is taken. What an accepted issue cannot have is
# returns' to say, see its own tests.
CANNOT: dict[Callable[[], tuple[OrderState, StoredReport]], dict[StaffAction, str]] = {
    accepted_one: {A.ACCEPT: "accepted_already"},
    quiet: {A.WAIVE_COLLECTION: "not_accepted", A.APPROVE_REVIEW: "no_such_review", A.REFUSE_REVIEW: "no_such_review"},
    reviewed: {A.WAIVE_COLLECTION: "not_accepted"},
    closed_one: {
        A.WAIVE_COLLECTION: "not_accepted", A.REJECT: "not_accepted", A.CANCEL: "not_accepted",
        A.APPROVE_REVIEW: "no_such_review", A.REFUSE_REVIEW: "no_such_review",
    },
    late_one: dict.fromkeys(
        (A.REJECT, A.CANCEL, A.WAIVE_COLLECTION, A.APPROVE_REVIEW, A.REFUSE_REVIEW), "issue_rejected"
    ),
}  # fmt: skip


@pytest.mark.parametrize("action", A)
@pytest.mark.parametrize("state", CANNOT)
def test_every_action_in_every_state_is_taken_or_refused_by_name(
    state: Callable[[], tuple[OrderState, StoredReport]], action: StaffAction
) -> None:
    is_review = action in (A.APPROVE_REVIEW, A.REFUSE_REVIEW)
    command = decision(action, review="details_missing" if is_review else None, remedy=Remedy.REFUND)
    _, facts = ask(*state(), command)
    refused = CANNOT[state].get(action)
    assert refusals(facts) == ([refused] if refused else [])
    assert (StaffDecisionRecorded in kinds(facts)) == (refused is None)
