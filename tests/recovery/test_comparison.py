"""Comparison of the services: every kind of difference by its name, and nothing where nothing differs."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal
from typing import Any
from uuid import uuid4

import pytest

from deploy.reconciliation.comparison import compare
from deploy.reconciliation.discrepancies import Discrepancy
from deploy.reconciliation.snapshot import (
    ArchivedEvent,
    Grant,
    Issue,
    NoticeThread,
    SystemSnapshot,
    UnannouncedPromise,
    Unread,
)
from libs.common.decisions.ids import derived_id
from libs.common.events import values
from libs.common.events.envelope import Payload
from libs.common.events.issues import (
    IssueAccepted,
    IssueEvent,
    IssueRefundRequested,
    IssueReopened,
    IssueReplacementOrdered,
    IssueReplacementPromised,
    IssueReplacementShipped,
    IssueResolved,
)
from libs.common.events.loyalty import PointsGranted
from services.loyalty.ledger.causes import issue_cause
from services.returns.domain.state.case import Case
from tests.returns.cases import ISSUE, TUESDAY, CaseScenario, accepted, event_of, open_scenario

LATER, GRACE = TUESDAY + timedelta(days=9), timedelta(hours=1)
ACCEPTED = accepted()


def resolved_scenario() -> CaseScenario:
    scenario = open_scenario()
    scenario.confirm(date(2026, 3, 11))
    for step in (scenario.ship, scenario.deliver, scenario.collect, scenario.receive, scenario.inspect):
        scenario.later(hours=1)
        step()
    return scenario


def archived(payload: Payload, author: str = "returns", *unread: Unread) -> ArchivedEvent:
    return ArchivedEvent(event_of(payload, id=f"id of {payload.TYPE}"), author, unread)


def granted(resolution: int = 1) -> PointsGranted:
    cause = issue_cause(ISSUE, resolution)
    return PointsGranted(
        customer_id="C-1",
        entry_id=derived_id("entry", cause),
        points=300,
        cause=cause,
        text="apology",
        issue_id=ISSUE,
        order_id="O-1",
        rule="defective",
        granted_at=TUESDAY,
    )


def snapshot_of(scenario: CaseScenario, **changes: Any) -> SystemSnapshot:
    """Return what the databases hold after a history in which nothing was lost."""
    case, events = scenario.known, [fact for fact in scenario.facts if isinstance(fact, IssueEvent)]
    points = [granted()] if case.resolved_at else []
    archive = [archived(ACCEPTED, "intake"), *map(archived, events), *(archived(each, "loyalty") for each in points)]
    status = "resolved" if case.resolved_at else "replacement_ordered"
    whole = SystemSnapshot(
        {ISSUE: Issue(ISSUE, "O-1", "C-1", status, case.resolved_at is None, True, TUESDAY)},
        {ISSUE: archive},
        {ISSUE: case},
        [Grant(each, each.points) for each in points],
        threads={ISSUE: NoticeThread("resolved" if case.resolved_at else None, case.resolution)},
        replacement_dates={case.outbound.replacement_id: case.outbound.promises[-1].ship_date}
        if case.outbound.replacement_id
        else {},
    )
    return replace(whole, **changes)


def without(snapshot: SystemSnapshot, kind: type[Payload]) -> SystemSnapshot:
    kept = [each for each in snapshot.archive[ISSUE] if type(each.event.data) is not kind]
    return replace(snapshot, archive={ISSUE: kept})


def unread_by(snapshot: SystemSnapshot, kind: type[Payload], unread: Unread) -> SystemSnapshot:
    events = [
        replace(each, unread=(unread,)) if type(each.event.data) is kind else each for each in snapshot.archive[ISSUE]
    ]
    return replace(snapshot, archive={ISSUE: events})


def with_case(snapshot: SystemSnapshot, **changes: Any) -> SystemSnapshot:
    case: Case = replace(snapshot.cases[ISSUE], **changes)
    return replace(snapshot, cases={ISSUE: case})


def found(snapshot: SystemSnapshot) -> list[Discrepancy]:
    return compare(snapshot, LATER, GRACE)


def only(snapshot: SystemSnapshot) -> Discrepancy:
    (finding,) = found(snapshot)
    return finding


@pytest.mark.parametrize("scenario", [open_scenario(), resolved_scenario()], ids=["open", "resolved"])
def test_nothing_differs_where_nothing_was_lost(scenario: CaseScenario) -> None:
    assert found(snapshot_of(scenario)) == []


def test_an_accepted_issue_without_a_case_is_named_and_its_acceptance_published_again() -> None:
    finding = only(snapshot_of(open_scenario(), cases={}))
    assert finding.kind == "case_missing"
    assert finding.redrive
    assert finding.redrive.key == ("intake", "id of issue.accepted.v1")


def test_an_acceptance_that_no_archive_holds_is_rebuilt() -> None:
    finding = only(without(snapshot_of(open_scenario(), cases={}), IssueAccepted))
    assert (finding.kind, finding.redrive and finding.redrive.event) == ("case_missing", None)


def test_a_report_that_waits_for_details_has_no_case_yet() -> None:
    waiting = Issue(ISSUE, "O-1", "C-1", "waiting_for_customer", True, False, TUESDAY)
    assert found(SystemSnapshot({ISSUE: waiting})) == []


def test_a_case_without_an_issue_is_named() -> None:
    finding = only(snapshot_of(open_scenario(), issues={}))
    assert (finding.kind, finding.redrive) == ("issue_missing", None)


@pytest.mark.parametrize(
    "kind", [IssueReplacementOrdered, IssueReplacementPromised, IssueReplacementShipped, IssueResolved]
)
def test_a_milestone_that_never_arrived_is_named_and_rebuilt(kind: type[Payload]) -> None:
    snapshot = snapshot_of(resolved_scenario())
    lost = next(each.event for each in snapshot.archive[ISSUE] if type(each.event.data) is kind)
    finding = only(without(snapshot, kind))
    assert finding.kind == "event_unpublished"
    assert finding.redrive
    assert finding.redrive.author == "returns"
    assert finding.redrive.event
    assert finding.redrive.event.data.model_dump(exclude={"ordered_at"}) == lost.data.model_dump(exclude={"ordered_at"})


def test_a_rebuilt_milestone_is_repeated_under_the_same_id() -> None:
    lost = without(snapshot_of(resolved_scenario()), IssueResolved)
    first, second = only(lost).redrive, only(lost).redrive
    assert first
    assert second
    assert first.key == second.key


def test_a_rebuilt_milestone_comes_behind_the_ones_before_it() -> None:
    snapshot = without(snapshot_of(resolved_scenario()), IssueResolved)
    late = [
        replace(each, event=each.event.model_copy(update={"time": TUESDAY + timedelta(days=2)}))
        for each in snapshot.archive[ISSUE]
    ]
    finding = only(replace(snapshot, archive={ISSUE: late}))
    assert finding.redrive
    assert finding.redrive.event
    assert finding.redrive.event.time > TUESDAY + timedelta(days=2)


def test_an_event_that_one_service_did_not_apply_is_published_again_under_its_own_id() -> None:
    snapshot = unread_by(snapshot_of(open_scenario()), IssueReplacementOrdered, Unread("delivery_notify"))
    finding = only(snapshot)
    assert (finding.kind, "delivery_notify" in finding.detail) == ("event_unread", True)
    assert finding.redrive
    assert finding.redrive.key == ("returns", "id of issue.replacement_ordered.v1")


def test_a_dead_letter_is_replayed_and_not_published_again() -> None:
    finding = only(unread_by(snapshot_of(open_scenario()), IssueReplacementOrdered, Unread("delivery_notify", 17)))
    assert finding.redrive is None
    assert finding.remedy.endswith("sakidashi dead-letters replay 17")


def test_a_grant_that_is_due_and_missing_is_caused_by_its_resolution_again() -> None:
    lost = without(snapshot_of(resolved_scenario(), grants=[]), PointsGranted)
    finding = only(unread_by(lost, IssueResolved, Unread("loyalty")))
    assert finding.kind == "grant_missing"
    assert finding.redrive
    assert finding.redrive.type == "issue.resolved"


def test_a_resolution_that_loyalty_applied_without_a_grant_is_left_to_an_operator() -> None:
    finding = only(without(snapshot_of(resolved_scenario(), grants=[]), PointsGranted))
    assert (finding.kind, finding.redrive) == ("grant_missing", None)


def test_a_grant_that_was_withheld_is_not_missing() -> None:
    lost = without(snapshot_of(resolved_scenario(), grants=[]), PointsGranted)
    assert found(replace(lost, withheld_causes=frozenset({issue_cause(ISSUE, 1)}))) == []


def test_a_grant_without_a_resolution_is_named() -> None:
    snapshot = snapshot_of(open_scenario())
    event = archived(granted(), "loyalty")
    snapshot = replace(snapshot, grants=[Grant(granted(), 300)], archive={ISSUE: [*snapshot.archive[ISSUE], event]})
    assert [finding.kind for finding in found(snapshot)] == ["grant_without_cause"]


def test_a_grant_of_a_void_resolution_is_reversed_by_its_event_again() -> None:
    reopened = IssueReopened(
        issue_id=ISSUE, order_id="O-1", customer_id="C-1", cause="staff", resolution=1, reopened_at=TUESDAY
    )
    snapshot = with_case(snapshot_of(resolved_scenario()), resolved_at=None)
    lost = archived(reopened, "returns", Unread("loyalty"))
    snapshot = replace(snapshot, archive={ISSUE: [*snapshot.archive[ISSUE], lost]})
    kinds: Mapping[str, Discrepancy] = {finding.kind: finding for finding in found(snapshot)}
    void = kinds["grant_not_reversed"]
    assert void.redrive
    assert void.redrive.type == "issue.reopened"


def test_a_grant_that_no_reader_heard_of_is_rebuilt() -> None:
    finding = only(without(snapshot_of(resolved_scenario()), PointsGranted))
    assert finding.kind == "event_unpublished"
    assert finding.redrive
    assert finding.redrive.author == "loyalty"


@pytest.mark.parametrize("thing", ["replacement", "refund"])
def test_a_replacement_or_refund_that_is_not_in_the_case_is_named(thing: str) -> None:
    snapshot, other = snapshot_of(open_scenario()), uuid4()
    ids = {"issue_id": ISSUE, "order_id": "O-1", "customer_id": "C-1", f"{thing}_id": other}
    amount = values.Money(amount=Decimal(100), currency="JPY")
    ordered = next(e.event.data for e in snapshot.archive[ISSUE] if isinstance(e.event.data, IssueReplacementOrdered))
    foreign: dict[str, Payload] = {
        "replacement": ordered.model_copy(update={"replacement_id": other}),
        "refund": IssueRefundRequested(**ids, amount=amount, requested_at=TUESDAY) if thing == "refund" else ordered,
    }
    finding = only(replace(snapshot, archive={ISSUE: [*snapshot.archive[ISSUE], archived(foreign[thing])]}))
    assert (finding.kind, str(other) in finding.detail) == (f"{thing}_without_cause", True)


def test_another_status_in_intake_is_named_where_no_lost_event_explains_it() -> None:
    snapshot = snapshot_of(resolved_scenario())
    issue = replace(snapshot.issues[ISSUE], status="replacement_shipped", is_open=True)
    assert only(replace(snapshot, issues={ISSUE: issue})).kind == "status_differs"
    lost = without(replace(snapshot, issues={ISSUE: issue}), IssueResolved)
    assert only(lost).kind == "event_unpublished"


@pytest.mark.parametrize("thread", [None, NoticeThread(None, 0)])
def test_a_resolution_unknown_to_delivery_notify_is_named(thread: NoticeThread | None) -> None:
    threads = {ISSUE: thread} if thread else {}
    assert only(snapshot_of(resolved_scenario(), threads=threads)).kind == "status_differs"


def test_a_date_that_the_promise_ledger_does_not_have_is_named() -> None:
    assert only(snapshot_of(open_scenario(), replacement_dates={})).kind == "promise_unannounced"


def test_a_promise_whose_notice_failed_is_named() -> None:
    failed = UnannouncedPromise("O-7", None, "line", "1", date(2026, 3, 12), "bounced", TUESDAY)
    finding = only(SystemSnapshot(unannounced=[failed]))
    assert (finding.kind, finding.order_id, finding.redrive) == ("promise_unannounced", "O-7", None)


def test_what_is_younger_than_the_grace_period_is_in_transit() -> None:
    lost = snapshot_of(open_scenario(), cases={})
    assert compare(lost, TUESDAY + timedelta(minutes=59), GRACE) == []
    assert len(compare(lost, TUESDAY + timedelta(minutes=60), GRACE)) == 1
