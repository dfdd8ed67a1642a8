"""Restoration of reports from the events that intake published about them, after a restore of its database.

A report over HTTP is on no topic that intake reads. What became of it is: `issue.accepted` and `issue.rejected` decide
again as they did, whatever the rules and the clock say now, and nothing is published a second time. A report without an
outcome waits in its order like one from Kafka, and is decided as soon as the order was read again.

Units have no numbers in events. The first free ones are taken, as at the first time: all movements of the order since
the backup are known here, so that a unit that was lost on the way does not take one that arrived.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any
from uuid import UUID

from libs.common.decisions.facts import CancelTimer, Fact, Facts, Record, SetTimer
from libs.common.events.envelope import Payload
from libs.common.events.issues import (
    IssueAccepted,
    IssueCancelled,
    IssueEvent,
    IssueRejected,
    IssueReopened,
    IssueReplacementDelivered,
    IssueReported,
    IssueStaffDecided,
)
from libs.common.events.registry import AnyEvent
from libs.common.events.storefront import IssueSubmitted
from libs.common.events.values import LineQuantity, ReportedLine
from services.intake.domain import pending_details, submissions
from services.intake.domain.commands import RecordStaffDecision
from services.intake.domain.context import OrderDecision, OrderState, Refusal
from services.intake.domain.eligibility import check_eligibility
from services.intake.domain.issue_acceptance import IssueRecorded, IssueUpdated, decide_by, skus_of
from services.intake.domain.orders import PendingStage, Report, StoredReport
from services.intake.domain.staff_decisions import StaffDecisionRecorded
from services.intake.domain.units import Unit
from services.intake.policy.eligibility_rules import IntakeRules


@dataclass(frozen=True)
class RestoredOrder:
    """`state` is that of the database, `movements` the same with all events of the order since the backup.

    `reported` are reports without an outcome yet, by issue.
    """

    state: OrderState
    movements: OrderState
    reported: Mapping[UUID, Report] = field(default_factory=dict)


def restore_order(
    state: OrderState, movements: OrderState, events: Sequence[AnyEvent], now: datetime, rules: IntakeRules
) -> tuple[OrderState, Facts]:
    """Apply the events of issues of one order since the backup; return its state, rows and timers."""
    restored, facts = RestoredOrder(state, movements), list[Fact]()
    for event in events:
        handler = HANDLERS.get(type(event.data))
        if handler is not None and isinstance(event.data, IssueEvent):
            decision = OrderDecision(restored.state, event.time, rules, event=event)
            reported = handler(decision, restored, event.data)
            restored = replace(restored, state=decision.state, reported=reported)
            facts += decision.facts
    decision = OrderDecision(restored.state, now, rules, event=events[-1])
    _wait_for_order(decision, restored.reported.values())
    kept = [fact for fact in [*facts, *decision.facts] if isinstance(fact, Record | SetTimer | CancelTimer)]
    return decision.state, kept


def _wait_for_order(decision: OrderDecision, reports: Iterable[Report]) -> None:
    for report in reports:
        known = decision.order.purchase is not None
        decision.change_order(awaiting_order=(*decision.order.awaiting_order, report))
        due_at = decision.now if known else decision.now + decision.rules.order_wait
        decision.set_timer(submissions.timer_name(report.issue_id), due_at)


def _reported(decision: OrderDecision, restored: RestoredOrder, event: IssueReported) -> Mapping[UUID, Report]:
    if decision.state.issue_exists(event.issue_id):
        return restored.reported
    return {**restored.reported, event.issue_id: _report_of(event, event.lines, event.reference)}


def _report_of(
    event: IssueReported | IssueAccepted, lines: Iterable[ReportedLine], reference: str | None = None
) -> Report:
    """Return the report without photos and the customer's own text, which no event holds."""
    submission = IssueSubmitted.model_construct(
        order_id=event.order_id,
        customer_id=event.customer_id,
        reason=event.reason,
        lines=tuple(lines),
        requested_remedy=event.requested_remedy,
        description=None,
        reference=reference,
        noticed_on=event.noticed_on,
        photos=(),
        issue_id=event.issue_id,
    )
    return Report(event.issue_id, submission, event.reported_at)


def _accepted(decision: OrderDecision, restored: RestoredOrder, event: IssueAccepted) -> Mapping[UUID, Report]:
    issue_id, pending = event.issue_id, decision.state.pending_report(event.issue_id)
    stored = decision.state.stored_reports.get(issue_id)
    if pending:
        closed = pending.stage == PendingStage.CLOSED
        units = _free_units(decision, restored, pending.report) if closed else decision.state.units_of(issue_id)
        pending_details.accept(decision, pending, units, event.requested_remedy)
    elif stored and stored.refusal_code:
        units = _free_units(decision, restored, stored.report)
        decision.entitle(issue_id, units)
        decision.change_stored_report(issue_id, refusal_code=None)
        due_at = decide_by(stored.report, decision.rules)
        decision.emit(IssueUpdated(stored.report, decision.now, decide_by=due_at, claimed_units=units))
    elif not stored and issue_id not in decision.state.order_by_issue:
        lines = (ReportedLine.model_validate(line.model_dump(include=_REPORTED)) for line in event.lines)
        report = restored.reported.get(issue_id) or _report_of(event, lines)
        decision.change_order(
            awaiting_order=tuple(each for each in decision.order.awaiting_order if each.issue_id != issue_id)
        )
        decision.cancel_timer(submissions.timer_name(issue_id))
        _record(decision, report, _free_units(decision, restored, report))
    return _without(restored, issue_id)


_REPORTED = set(ReportedLine.model_fields)


def _free_units(decision: OrderDecision, restored: RestoredOrder, report: Report) -> tuple[Unit, ...]:
    """Return the units that the report holds: those that it would get now, else the first that nobody holds."""
    state = decision.state
    known = replace(state, order=restored.movements.order)
    day = submissions.shop_day(report.reported_at, decision.rules)
    units = check_eligibility(known, report, day, decision.rules, ignore_window=True)
    if not isinstance(units, Refusal):
        return units
    return tuple(unit for line in report.submission.lines for unit in _first_free(state, line))


def _first_free(state: OrderState, line: ReportedLine) -> list[Unit]:
    found, number = list[Unit](), 0
    while len(found) < line.quantity:
        number += 1
        if (unit := state.current_unit(line.line_id, number)) not in state.entitlements:
            found.append(unit)
    return found


def _record(decision: OrderDecision, report: Report, units: tuple[Unit, ...], refusal: Refusal | None = None) -> None:
    decision.entitle(report.issue_id, units)
    if refusal is None:
        decision.hold_reference(report)
    stored = StoredReport(report, refusal.code if refusal else None, 0)
    decision.change(
        order_by_issue={**decision.state.order_by_issue, report.issue_id: decision.order.order_id},
        stored_reports={**decision.state.stored_reports, report.issue_id: stored},
    )
    due_at = None if refusal else decide_by(report, decision.rules)
    decision.emit(IssueRecorded(report, units, refusal, skus_of(decision.order, report), (), due_at))


def _rejected(decision: OrderDecision, restored: RestoredOrder, event: IssueRejected) -> Mapping[UUID, Report]:
    """Close a pending report, or record a new one as rejected. One without `issue.reported` has no lines to record."""
    pending, refusal = decision.state.pending_report(event.issue_id), Refusal(event.code, "", event.message)
    report = restored.reported.get(event.issue_id)
    if pending and pending.stage != PendingStage.CLOSED:
        pending_details.close(decision, pending, refusal)
    elif report:
        _record(decision, report, (), refusal)
    return _without(restored, event.issue_id)


def _without(restored: RestoredOrder, issue_id: UUID) -> Mapping[UUID, Report]:
    return {key: report for key, report in restored.reported.items() if key != issue_id}


def _decided(decision: OrderDecision, restored: RestoredOrder, event: IssueStaffDecided) -> Mapping[UUID, Report]:
    """Record a decision of staff, which the version of the issue counts."""
    if stored := decision.state.stored_reports.get(event.issue_id):
        version = stored.version + 1
        decision.change_stored_report(event.issue_id, version=version)
        command = RecordStaffDecision.model_construct(
            **event.model_dump(include=set(RecordStaffDecision.model_fields)), expected_version=version - 1
        )
        decision.emit(StaffDecisionRecorded(command, version, event.decided_at))
    return restored.reported


def _cancelled(decision: OrderDecision, restored: RestoredOrder, event: IssueCancelled) -> Mapping[UUID, Report]:
    """Free the units for later reports; the timeline frees their rows when it reads the event again."""
    kept = {line.line_id: line.quantity for line in event.kept_lines}
    held = dict(decision.state.entitlements)
    for unit in sorted(set(decision.state.units_of(event.issue_id)) - decision.state.replaced_on.keys()):
        kept[unit.line_id] = kept.get(unit.line_id, 0) - 1
        if kept[unit.line_id] < 0:
            del held[unit]
    decision.change(entitlements=held)
    return restored.reported


def _replaced(
    decision: OrderDecision, restored: RestoredOrder, event: IssueReplacementDelivered
) -> Mapping[UUID, Report]:
    """Let the replacements be reported by later reports."""
    day, lines = submissions.shop_day(event.delivered_at, decision.rules), event.lines
    units = sorted(decision.state.units_of(event.issue_id))
    replaced = units if lines is None else [unit for line in lines for unit in _first_of(units, line)]
    decision.change(replaced_on={**dict.fromkeys(replaced, day), **decision.state.replaced_on})
    return restored.reported


def _first_of(units: Iterable[Unit], line: LineQuantity) -> list[Unit]:
    return [unit for unit in units if unit.line_id == line.line_id][: line.quantity]


def _reopened(decision: OrderDecision, restored: RestoredOrder, event: IssueReopened) -> Mapping[UUID, Report]:
    decision.revoke_replacements(event.issue_id)
    return restored.reported


HANDLERS: Mapping[type[Payload], Callable[[OrderDecision, RestoredOrder, Any], Mapping[UUID, Report]]] = {
    IssueReported: _reported,
    IssueAccepted: _accepted,
    IssueRejected: _rejected,
    IssueStaffDecided: _decided,
    IssueCancelled: _cancelled,
    IssueReplacementDelivered: _replaced,
    IssueReopened: _reopened,
}
"""Handlers return the reports that still have no outcome."""
