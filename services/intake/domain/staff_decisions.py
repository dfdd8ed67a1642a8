"""Staff decisions about an issue: recorded once with author and comment, then carried out. Pure.

Intake itself carries out decisions about a report that is not accepted (pending, or rejected); any other decision is
published as `issue.staff_decided`, and returns answers with `issue.staff_decision_applied`. `expected_version` is the
optimistic lock: of two people who decide at the same time, the first one succeeds.
"""

from dataclasses import dataclass, replace
from datetime import datetime

from libs.common.decisions.facts import Fact, Record
from libs.common.events.issues import IssueStaffDecided, IssueStaffDecisionApplied
from libs.common.events.values import StaffAction
from services.intake.domain import issue_acceptance, pending_details
from services.intake.domain.commands import RecordStaffDecision
from services.intake.domain.context import CommandRefused, OrderDecision, Refusal
from services.intake.domain.eligibility import check_eligibility
from services.intake.domain.issue_acceptance import IssueUpdated, accepted_event, reported_event
from services.intake.domain.orders import PendingReport, PendingStage, StoredReport
from services.intake.domain.pending_details import REVIEW_CAUSE


@dataclass(frozen=True, slots=True)
class StaffDecisionRecorded(Record):
    """A row in `staff_decisions`; its key allows one decision per version.

    `may_resend`: returns may send the units of the issue again. Until it has answered, their replacements cannot be
    reported; otherwise both the issue and such a report could get a remedy for one unit (invariant 2).
    """

    decision: RecordStaffDecision
    version: int
    decided_at: datetime
    may_resend: bool = False


_A = StaffAction
_ACCEPTING = frozenset({_A.ACCEPT, _A.CHOOSE_REMEDY, _A.APPROVE_REVIEW, _A.REOPEN})
_REJECTING = frozenset({_A.REJECT, _A.CANCEL, _A.REFUSE_REVIEW})
_SENDING_AGAIN = frozenset({_A.REOPEN, _A.CHOOSE_REMEDY})
"""Actions that may send a second replacement: refused while an open issue covers the first one."""
_REVIEWS = frozenset({_A.APPROVE_REVIEW, _A.REFUSE_REVIEW})


def record_staff_decision(decision: OrderDecision, command: RecordStaffDecision) -> None:
    stored = decision.state.stored_reports.get(command.issue_id)
    if stored is None:
        decision.refuse("unknown_issue", "issue_id", "is not known; send the id of an issue")
        return
    refusal = _incomplete(command) or _outdated(command, stored)
    if refusal:
        decision.emit(CommandRefused(refusal))
        return
    _carry_out(decision, command, stored)
    if not decision.refused:
        _record(decision, command, stored)


def _incomplete(command: RecordStaffDecision) -> Refusal | None:
    if command.action in _REVIEWS and not command.review:
        return Refusal("review_missing", "review", "name the cause of the review that you approve or refuse")
    if command.action == _A.CHOOSE_REMEDY and command.remedy is None:
        return Refusal("remedy_missing", "remedy", "name the remedy: replacement, part_shipment or refund")
    return None


def _outdated(command: RecordStaffDecision, stored: StoredReport) -> Refusal | None:
    if command.expected_version == stored.version:
        return None
    seen = command.expected_version
    message = f"{stored.version} decisions were taken, you had seen {seen}; read the issue and decide again"
    return Refusal("decided_meanwhile", "expected_version", message)


def _carry_out(decision: OrderDecision, command: RecordStaffDecision, stored: StoredReport) -> None:
    pending = decision.state.pending_report(command.issue_id)
    if pending:
        _decide_pending(decision, command, pending)
    elif stored.refusal_code:
        _decide_rejected(decision, command, stored)
    else:
        _check_accepted(decision, command)


def _check_accepted(decision: OrderDecision, command: RecordStaffDecision) -> None:
    """Refuse what returns cannot carry out for an accepted report."""
    follow_up = decision.state.follow_up_issue(command.issue_id) if command.action in _SENDING_AGAIN else None
    if follow_up:
        message = f"its replacement was reported itself; decide issue {follow_up}"
        decision.refuse("already_reported", "action", message, follow_up)
    elif command.action == _A.ACCEPT:
        decision.refuse("accepted_already", "action", "the report was accepted; choose another action")


def _decide_pending(decision: OrderDecision, command: RecordStaffDecision, pending: PendingReport) -> None:
    """Accept or close a report with missing details."""
    wrong_review = pending.stage != PendingStage.REVIEW or command.review != REVIEW_CAUSE
    if command.action in _REVIEWS and wrong_review:
        decision.refuse("no_such_review", "review", "no review with this cause is open; read the issue again")
    elif command.action in _ACCEPTING:
        units = pending_details.claimable_units(decision, pending)
        if isinstance(units, Refusal):
            decision.emit(CommandRefused(units))
        else:
            pending_details.accept(decision, pending, units, command.remedy)
    elif command.action in _REJECTING and pending.stage != PendingStage.CLOSED:
        pending_details.close(decision, pending, _refused_by_shop(command))
    else:
        decision.refuse("not_accepted", "action", "the report is not accepted; accept or reject it")


def _refused_by_shop(command: RecordStaffDecision) -> Refusal:
    code = "withdrawn" if command.action == _A.CANCEL else "refused_by_shop"
    return Refusal(code, "report", "the shop looked at the report and does not take it; ask us, and we explain it")


def _decide_rejected(decision: OrderDecision, command: RecordStaffDecision, stored: StoredReport) -> None:
    """Accept a rejected report outside its window, if its units are still free."""
    if command.action not in _ACCEPTING - _REVIEWS:
        decision.refuse("issue_rejected", "action", "the report was rejected; the only possible action is to accept it")
        return
    submission = stored.report.submission
    remedy = command.remedy or submission.requested_remedy
    submission = submission.model_copy(update={"requested_remedy": remedy, "photos": ()})
    report = replace(stored.report, submission=submission)
    day = decision.rules.hours.calendar.day(report.reported_at)
    units = check_eligibility(decision.state, report, day, decision.rules, ignore_window=True)
    if isinstance(units, Refusal):
        decision.emit(CommandRefused(units))
        return
    decision.entitle(report.issue_id, units)
    decision.change_stored_report(report.issue_id, report=report, refusal_code=None)
    decision.hold_reference(report)
    decide_by = issue_acceptance.decide_by(report, decision.rules)
    decision.emit(
        IssueUpdated(report, decision.now, decide_by=decide_by, claimed_units=units),
        reported_event(report),
        accepted_event(decision, report, units),
    )


def _record(decision: OrderDecision, command: RecordStaffDecision, stored: StoredReport) -> None:
    """Put the decision before the facts that follow from it; `applied` is published where intake carried it out."""
    version, effects = stored.version + 1, decision.facts
    decision.change_stored_report(command.issue_id, version=version)
    may_resend = not effects and command.action in _SENDING_AGAIN
    if may_resend:
        decision.revoke_replacements(command.issue_id)
    recorded = StaffDecisionRecorded(command, version, decision.now, may_resend)
    decided: Fact = _decided_event(command, stored, decision.now)
    applied: list[Fact] = [_applied_event(command, stored, decision.now)] if effects else []
    decision.facts = [recorded, decided, *effects, *applied]


def _decided_event(command: RecordStaffDecision, stored: StoredReport, now: datetime) -> IssueStaffDecided:
    return IssueStaffDecided(
        issue_id=command.issue_id,
        order_id=command.order_id,
        customer_id=stored.report.submission.customer_id,
        decision_id=command.decision_id,
        action=command.action,
        review=command.review,
        remedy=command.remedy,
        staff=command.staff,
        comment=command.comment,
        decided_at=now,
    )


def _applied_event(command: RecordStaffDecision, stored: StoredReport, now: datetime) -> IssueStaffDecisionApplied:
    return IssueStaffDecisionApplied(
        issue_id=command.issue_id,
        order_id=command.order_id,
        customer_id=stored.report.submission.customer_id,
        decision_id=command.decision_id,
        action=command.action,
        staff=command.staff,
        comment=command.comment,
        applied=True,
        processed_at=now,
    )
