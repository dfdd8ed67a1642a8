"""Handlers of submitted reports. A report over HTTP is decided at once; one from Kafka may wait for its order."""

from datetime import date, datetime
from uuid import UUID

from libs.common.decisions.facts import Anomaly
from libs.common.decisions.ids import derived_id
from libs.common.events.registry import AnyEvent
from libs.common.events.storefront import IssueSubmitted
from services.intake.domain import issue_acceptance, pending_details
from services.intake.domain.commands import SubmitLateReport, SubmitReport, SubmitUnclearReport
from services.intake.domain.context import CommandRefused, OrderDecision, Refusal
from services.intake.domain.eligibility import check_eligibility, is_retryable
from services.intake.domain.orders import Report
from services.intake.domain.units import Unit
from services.intake.policy.eligibility_rules import IntakeRules

AWAITING_ORDER = "awaiting_order"


def timer_name(issue_id: UUID) -> str:
    """Return the timer name of a report that waits for its order."""
    return f"{AWAITING_ORDER}:{issue_id}"


def shop_day(moment: datetime, rules: IntakeRules) -> date:
    return moment.astimezone(rules.zone).date()


def issue_id_of(event: AnyEvent, submission: IssueSubmitted) -> UUID:
    """Return the storefront's own id, else one derived from the event id, so that a redelivery leads to the same."""
    return submission.issue_id or derived_id("issue", event.source, event.id)


def submit_report(decision: OrderDecision, command: SubmitReport) -> None:
    report = _received(decision, command)
    if decision.state.issue_exists(report.issue_id):
        issue_id = report.issue_id
        message = f"issue {issue_id} exists already; read its status, or send another Idempotency-Key or issue_id"
        decision.refuse("issue_exists", "issue_id", message, issue_id)
        return
    ignore_window = isinstance(command, SubmitLateReport)
    units = _check(decision, report, ignore_window=ignore_window)
    if isinstance(units, Refusal):
        decision.emit(CommandRefused(units))
    else:
        _accept(decision, report, units, ignore_window=ignore_window)


def submit_unclear_report(decision: OrderDecision, command: SubmitUnclearReport) -> None:
    report = _received(decision, command)
    if decision.state.issue_exists(report.issue_id):
        decision.ignore("duplicate_report")
        return
    units = _check(decision, report)
    if not isinstance(units, Refusal):
        pending_details.start_review(decision, report, units)
    elif is_retryable(units):
        decision.emit(CommandRefused(units))
    else:
        issue_acceptance.reject(decision, report, units)


def _received(decision: OrderDecision, command: SubmitReport) -> Report:
    delivered = decision.order.delivered_units(command.report)
    return Report(command.issue_id, command.report, decision.now, delivered)


def receive_report(decision: OrderDecision, submission: IssueSubmitted) -> None:
    """Decide a report from Kafka, or let it wait for an event of its order.

    It counts from the time at which it was sent, however long it was queued; a clock ahead of ours does not count.
    """
    event = decision.event
    report = Report(issue_id_of(event, submission), submission, min(event.time, decision.now))
    if decision.state.order_by_issue.get(report.issue_id, submission.order_id) != submission.order_id:
        decision.emit(_foreign_issue(report))
    elif decision.state.issue_exists(report.issue_id):
        decision.ignore("duplicate_report")
    elif is_retryable(result := _check(decision, report)):
        decision.change_order(awaiting_order=(*decision.order.awaiting_order, report))
        decision.set_timer(timer_name(report.issue_id), decision.now + decision.rules.order_wait)
    else:
        _conclude(decision, report, result)


def decide_waiting_reports(decision: OrderDecision) -> None:
    """Decide the reports that waited for an event of this order, in order of arrival."""
    for report in decision.order.awaiting_order:
        result = _check(decision, report)
        if not is_retryable(result):
            decision.remove_awaiting_order(report)
            decision.cancel_timer(timer_name(report.issue_id))
            _conclude(decision, report, result)


def on_wait_ended(decision: OrderDecision, issue_id: UUID) -> None:
    """Decide a report whose order did not come in time."""
    reports = decision.order.awaiting_order
    report = next((report for report in reports if report.issue_id == issue_id), None)
    if report is None:
        decision.ignore("timer_obsolete")
        return
    decision.remove_awaiting_order(report)
    _conclude(decision, report, _check(decision, report))


def _check(decision: OrderDecision, report: Report, *, ignore_window: bool = False) -> tuple[Unit, ...] | Refusal:
    day = shop_day(report.reported_at, decision.rules)
    return check_eligibility(decision.state, report, day, decision.rules, ignore_window=ignore_window)


def _conclude(decision: OrderDecision, report: Report, result: tuple[Unit, ...] | Refusal) -> None:
    if report.issue_id in decision.state.order_by_issue:
        decision.emit(_foreign_issue(report))
    elif isinstance(result, Refusal):
        issue_acceptance.reject(decision, report, result)
    else:
        _accept(decision, report, result)


def _accept(decision: OrderDecision, report: Report, units: tuple[Unit, ...], *, ignore_window: bool = False) -> None:
    """Accept an eligible report, unless details are missing."""
    requirements = pending_details.requirements_for(report, decision.order, decision.rules)
    if requirements and pending_details.missing_from(requirements, report):
        pending_details.start_grace_period(decision, report, units, requirements, ignore_window=ignore_window)
    else:
        issue_acceptance.accept(decision, report, units)


def _foreign_issue(report: Report) -> Anomaly:
    """The storefront used one id for reports of two orders; the first one keeps it."""
    detail = f"issue {report.issue_id}, order {report.submission.order_id}"
    return Anomaly("issue_id_of_another_order", detail)
