"""Acceptance and rejection of new reports: rows and events, the same for every channel. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from libs.common.decisions.facts import Record
from libs.common.events.issues import IssueAccepted, IssueRejected, IssueReported
from libs.common.events.values import IssueLine, LineQuantity, OrderLine, ReportedLine
from libs.common.events.values.lines import MAX_QUANTITY
from services.intake.domain.components import price_of_parts, reported_parts
from services.intake.domain.context import OrderDecision, OrderState, Refusal
from services.intake.domain.orders import Order, Report
from services.intake.domain.units import Unit
from services.intake.policy.eligibility_rules import IntakeRules
from services.intake.policy.required_details import RequiredDetail


@dataclass(frozen=True, slots=True)
class IssueRecorded(Record):
    """A new row in `issues` with its units. `refusal` is None where the report is accepted or pending."""

    report: Report
    units: tuple[Unit, ...] = ()
    refusal: Refusal | None = None
    skus: tuple[str, ...] = ()
    missing: tuple[RequiredDetail, ...] = ()
    decide_by: datetime | None = None


@dataclass(frozen=True, slots=True)
class IssueUpdated(Record):
    """New values of an issue's row. `claimed_units` are added; `releases_units` frees all units that it had."""

    report: Report
    at: datetime
    refusal_code: str | None = None
    missing: tuple[RequiredDetail, ...] = ()
    decide_by: datetime | None = None
    claimed_units: tuple[Unit, ...] = ()
    releases_units: bool = False


def record_report(
    decision: OrderDecision, report: Report, units: tuple[Unit, ...], missing: tuple[RequiredDetail, ...] = ()
) -> None:
    """Record an eligible report: its row, its units and `issue.reported`."""
    decision.entitle(report.issue_id, units)
    decision.hold_reference(report)
    decision.change(order_by_issue={**decision.state.order_by_issue, report.issue_id: decision.order.order_id})
    skus, due_at = skus_of(decision.order, report), decide_by(report, decision.rules)
    decision.emit(IssueRecorded(report, units, None, skus, missing, due_at), reported_event(report))


def accept(decision: OrderDecision, report: Report, units: tuple[Unit, ...]) -> None:
    record_report(decision, report, units)
    decision.emit(accepted_event(decision, report, units))


def reject(decision: OrderDecision, report: Report, refusal: Refusal) -> None:
    decision.change(order_by_issue={**decision.state.order_by_issue, report.issue_id: decision.order.order_id})
    recorded = IssueRecorded(report, refusal=refusal, skus=skus_of(decision.order, report))
    decision.emit(recorded, rejected_event(report, refusal, decision.now))


def decide_by(report: Report, rules: IntakeRules) -> datetime:
    """Return the shop's decision deadline, before any pause of its clock."""
    return rules.hours.after(report.reported_at, rules.targets.decision)


def skus_of(order: Order, report: Report) -> tuple[str, ...]:
    lines = [order.purchase.line(line.line_id) for line in report.submission.lines] if order.purchase else []
    return tuple(sorted({line.sku for line in lines if line}))


def rejected_event(report: Report, refusal: Refusal, now: datetime) -> IssueRejected:
    return IssueRejected(
        issue_id=report.issue_id,
        order_id=report.submission.order_id,
        customer_id=report.submission.customer_id,
        code=refusal.code,
        message=refusal.message,
        reference=report.submission.reference,
        duplicate_of=refusal.issue_id,
        reported_by=report.submission.reported_by,
        rejected_at=now,
    )


def reported_event(report: Report) -> IssueReported:
    submission = report.submission
    return IssueReported(
        issue_id=report.issue_id,
        order_id=submission.order_id,
        customer_id=submission.customer_id,
        reason=submission.reason,
        lines=submission.lines,
        requested_remedy=submission.requested_remedy,
        reference=submission.reference,
        noticed_on=submission.noticed_on,
        reported_by=submission.reported_by,
        reported_at=report.reported_at,
    )


def accepted_event(decision: OrderDecision, report: Report, units: tuple[Unit, ...]) -> IssueAccepted:
    hours, targets = decision.rules.hours, decision.rules.targets
    return acceptance_of(
        decision.state,
        report,
        units,
        decision.now,
        next_update_by=hours.open_day(decision.now, targets.next_update_open_days),
        first_response_due_at=hours.after(report.reported_at, targets.first_response),
        delivered_before=_delivered_before(decision.order, report),
    )


def acceptance_of(
    state: OrderState, report: Report, units: tuple[Unit, ...], accepted_at: datetime, **circumstances: Any
) -> IssueAccepted:
    """Return the event of an acceptance; `circumstances` are those that only its own moment knows: the deadlines of the
    answer to the customer, and the units that had been delivered.
    """
    submission, order = report.submission, state.order
    return IssueAccepted(
        issue_id=report.issue_id,
        order_id=submission.order_id,
        customer_id=submission.customer_id,
        reason=submission.reason,
        lines=issue_lines(order, submission.lines, units),
        requested_remedy=submission.requested_remedy,
        market=order.purchase.market if order.purchase else "JP",
        delivered_on=_latest_delivery(state, units),
        noticed_on=submission.noticed_on,
        reported_by=submission.reported_by,
        reported_at=report.reported_at,
        accepted_at=accepted_at,
        **circumstances,
    )


def issue_lines(order: Order, lines: Iterable[ReportedLine], units: Iterable[Unit] = ()) -> tuple[IssueLine, ...]:
    """Return the reported lines with the order's data about them, so that consumers need no call back."""
    bought = {line.line_id: line for line in order.purchase.lines} if order.purchase else {}
    return tuple(
        _issue_line(line, bought[line.line_id], _lot_of(order, line.line_id, units))
        for line in lines
        if line.line_id in bought
    )


def _lot_of(order: Order, line_id: str, units: Iterable[Unit]) -> str | None:
    """Return the lot that these units share, if there is one; lots of replacements are not known."""
    movements = order.movements_of(line_id)
    lots = {None if unit.generation else movements.lot_of(unit.number) for unit in units if unit.line_id == line_id}
    return lots.pop() if len(lots) == 1 else None


def _issue_line(line: ReportedLine, bought: OrderLine, lot: str | None) -> IssueLine:
    parts = reported_parts(line, bought)
    return IssueLine(
        line_id=line.line_id,
        quantity=line.quantity,
        part=line.part,
        parts=parts or line.parts,
        components=bought.components,
        requires_shipping=bought.requires_shipping,
        received_instead=line.received_instead,
        sku=bought.sku,
        name=bought.name,
        unit_price=price_of_parts(parts, bought, line.quantity) if parts else bought.paid_unit_price,
        product_group=bought.product_group,
        warehouse=bought.warehouse,
        lot=lot,
    )


def _delivered_before(order: Order, report: Report) -> tuple[LineQuantity, ...]:
    """Return the units of the reported lines that had been delivered before the report."""
    delivered = report.delivered_before
    if delivered is None:
        delivered = order.delivered_units(report.submission, report.reported_at)
    return tuple(
        LineQuantity(line_id=line_id, quantity=min(quantity, MAX_QUANTITY))
        for line_id, quantity in delivered.items()
        if quantity > 0
    )


def _latest_delivery(state: OrderState, units: Iterable[Unit]) -> date | None:
    days = (state.delivered_on(unit) for unit in units)
    return max((day for day in days if day is not None), default=None)
