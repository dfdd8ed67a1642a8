"""Eligible reports with missing details: requests, reminders, and the outcome if the customer does not answer. Pure.

- A grace period comes first, since a photo may be on its way.
- One request names everything that is missing and a definite due day; reminders follow. The report holds its units.
- A report that becomes complete is accepted, by the customer or by staff. Nothing is requested twice.
- Without an answer, staff review the report by a definite day, or it is closed with an explanation; details that arrive
  later reopen it.
"""

from dataclasses import replace
from datetime import datetime
from uuid import UUID

from libs.common.decisions.facts import CancelTimer, SetTimer
from libs.common.events.issues import IssueDetailsRequested, IssueReviewRequested
from libs.common.events.values import Remedy
from services.intake.domain import issue_acceptance
from services.intake.domain.context import OrderDecision, Refusal
from services.intake.domain.eligibility import check_eligibility
from services.intake.domain.issue_acceptance import IssueUpdated, accepted_event, rejected_event
from services.intake.domain.orders import Order, PendingReport, PendingStage, Report
from services.intake.domain.units import Unit
from services.intake.policy.eligibility_rules import IntakeRules
from services.intake.policy.required_details import (
    DetailRequirements,
    NoAnswerAction,
    RequiredDetail,
    missing_details,
)

REVIEW_CAUSE = "details_missing"
"""The cause of a review that follows when the customer does not answer."""

_NO_ANSWER = (
    "what we asked for has not come, so the report was closed; send it at any time and the report is opened again"
)


DETAILS = "details"


def timer_name(issue_id: UUID) -> str:
    return f"{DETAILS}:{issue_id}"


def requirements_for(report: Report, order: Order, rules: IntakeRules) -> DetailRequirements | None:
    """Return the requirements that apply to this report; None for most."""
    purchase, submission = order.purchase, report.submission
    if purchase is None:
        return None
    bought = [line for reported in submission.lines if (line := purchase.line(reported.line_id))]
    return rules.required_details.for_report(submission, purchase.market, bought)


def missing_from(requirements: DetailRequirements | None, report: Report) -> tuple[RequiredDetail, ...]:
    submission = report.submission
    return missing_details(requirements.details, submission, submission.photos) if requirements else ()


def start_grace_period(
    decision: OrderDecision,
    report: Report,
    units: tuple[Unit, ...],
    requirements: DetailRequirements,
    *,
    ignore_window: bool = False,
) -> None:
    """Record a new report with missing details; nothing is requested yet."""
    rules, missing = decision.rules, missing_from(requirements, report)
    due_at = decision.now + rules.required_details.grace_period
    issue_acceptance.record_report(decision, report, units, missing)
    decide_by = issue_acceptance.decide_by(report, rules)
    pending = PendingReport(report, missing, requirements.on_no_answer, due_at, decide_by, ignore_window=ignore_window)
    decision.put_pending(pending)
    decision.set_timer(timer_name(report.issue_id), due_at)


def start_review(decision: OrderDecision, report: Report, units: tuple[Unit, ...]) -> None:
    """Record a new report that needs a decision of staff."""
    issue_acceptance.record_report(decision, report, units)
    decide_by = issue_acceptance.decide_by(report, decision.rules)
    _request_review(decision, PendingReport(report, (), NoAnswerAction.REVIEW, decision.now, decide_by))


def answer_by(now: datetime, rules: IntakeRules) -> datetime:
    """Return the due time of a request that is sent now."""
    return rules.hours.end_of_open_day(now, rules.required_details.answer_open_days)


def on_timer(decision: OrderDecision, issue_id: UUID) -> None:
    """Request missing details, remind of them, or end the wait for them."""
    pending = decision.state.pending_report(issue_id)
    if pending is None:
        decision.ignore("timer_obsolete")
        return
    now, stage = decision.now, pending.stage
    if stage == PendingStage.CLOSED:
        decision.ignore("report_closed")
    elif stage == PendingStage.GRACE:
        due_at = answer_by(now, decision.rules)
        _request(decision, replace(pending, stage=PendingStage.REQUESTED, due_at=due_at, requested_at=now))
    elif stage == PendingStage.REQUESTED and now < pending.due_at:
        _request(decision, replace(pending, reminders=pending.reminders + 1))
    elif stage == PendingStage.REQUESTED and pending.on_no_answer == NoAnswerAction.CLOSE:
        close(decision, pending, Refusal(REVIEW_CAUSE, "details", _NO_ANSWER))
    else:
        _request_review(decision, pending)


def _request(decision: OrderDecision, pending: PendingReport) -> None:
    """Request the missing details, or remind of them."""
    submission = pending.report.submission
    decision.put_pending(pending)
    decision.emit(
        IssueDetailsRequested(
            issue_id=pending.report.issue_id,
            order_id=submission.order_id,
            customer_id=submission.customer_id,
            missing=tuple(detail.value for detail in pending.missing),
            due_at=pending.due_at,
            reason=submission.reason,
            lines=issue_acceptance.issue_lines(decision.order, submission.lines),
            reminder=pending.reminders,
            reported_by=submission.reported_by,
            requested_at=decision.now,
        ),
        SetTimer(timer_name(pending.report.issue_id), _next_reminder(pending, decision.now, decision.rules)),
    )


def _next_reminder(pending: PendingReport, now: datetime, rules: IntakeRules) -> datetime:
    requested_at = pending.requested_at or now
    days = (rules.hours.open_day(requested_at, count) for count in rules.required_details.remind_open_days)
    moments = (rules.hours.opening(day) for day in days)
    return min((at for at in moments if now < at < pending.due_at), default=pending.due_at)


def _request_review(decision: OrderDecision, pending: PendingReport) -> None:
    """Request a review with a new due day, also where staff missed the previous one."""
    due_at = decision.rules.hours.end_of_open_day(decision.now, decision.rules.required_details.review_open_days)
    submission = pending.report.submission
    decision.put_pending(replace(pending, stage=PendingStage.REVIEW, due_at=due_at))
    decision.emit(
        IssueReviewRequested(
            issue_id=pending.report.issue_id,
            order_id=submission.order_id,
            customer_id=submission.customer_id,
            cause=REVIEW_CAUSE,
            due_at=due_at,
        ),
        SetTimer(timer_name(pending.report.issue_id), due_at),
    )


def close(decision: OrderDecision, pending: PendingReport, refusal: Refusal) -> None:
    """Reject a pending report and free its units; details that arrive later can reopen it."""
    report, now = pending.report, decision.now
    decision.release(report.issue_id)
    decision.put_pending(replace(pending, stage=PendingStage.CLOSED))
    decision.change_stored_report(report.issue_id, report=report, refusal_code=refusal.code)
    decision.release_reference(report)
    decision.emit(
        IssueUpdated(report, now, refusal.code, pending.missing, pending.decide_by, releases_units=True),
        rejected_event(report, refusal, now),
        CancelTimer(timer_name(report.issue_id)),
    )


def claimable_units(decision: OrderDecision, pending: PendingReport) -> tuple[Unit, ...] | Refusal:
    """Return the units of a pending report. A closed one lost them: another report may have them now."""
    report = pending.report
    if pending.stage != PendingStage.CLOSED:
        return decision.state.units_of(report.issue_id)
    day = decision.rules.hours.calendar.day(report.reported_at)
    return check_eligibility(decision.state, report, day, decision.rules, ignore_window=pending.ignore_window)


def accept(
    decision: OrderDecision, pending: PendingReport, units: tuple[Unit, ...], requested_remedy: Remedy | None = None
) -> None:
    """Accept a pending report with these units."""
    report = pending.report
    if requested_remedy:
        submission = report.submission.model_copy(update={"requested_remedy": requested_remedy})
        report = replace(report, submission=submission)
    decision.remove_pending(report.issue_id)
    decision.change_stored_report(report.issue_id, report=report, refusal_code=None)
    decision.hold_reference(report)
    decision.entitle(report.issue_id, units)
    claimed = units if pending.stage == PendingStage.CLOSED else ()
    decide_by = _resumed_deadline(pending, decision.now, decision.rules)
    decision.emit(
        IssueUpdated(report, decision.now, decide_by=decide_by, claimed_units=claimed),
        accepted_event(decision, report, units),
        CancelTimer(timer_name(report.issue_id)),
    )


def _resumed_deadline(pending: PendingReport, now: datetime, rules: IntakeRules) -> datetime:
    """Return the decision deadline once the shop's clock resumes; the pause does not count."""
    if pending.requested_at is None:
        return pending.decide_by
    return rules.hours.after(now, rules.hours.between(pending.requested_at, pending.decide_by))
