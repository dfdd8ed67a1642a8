"""Decisions of intake: which reports are accepted. `HANDLERS` is the table of contents.

An accepted report holds its units as rows whose primary key allows one holder per unit (invariant 2).
"""

from collections.abc import Callable
from datetime import datetime
from typing import Any
from uuid import UUID

from libs.common.decisions.context import subscriptions
from libs.common.decisions.facts import Facts, Ignored, TimerFired
from libs.common.events.envelope import Payload
from libs.common.events.issues import (
    IssueAccepted,
    IssueDetailsProvided,
    IssueDetailsRequested,
    IssueRejected,
    IssueReported,
    IssueReviewRequested,
    IssueStaffDecided,
    IssueStaffDecisionApplied,
)
from libs.common.events.registry import AnyEvent
from libs.common.events.storefront import (
    IssueSubmitted,
    IssueWithdrawn,
    OrderCancelled,
    OrderChanged,
    OrderDelivered,
    OrderPlaced,
    OrderShipped,
    ShipmentChanged,
)
from services.intake.domain import (
    order_events,
    pending_details,
    provided_details,
    staff_decisions,
    submissions,
    withdrawals,
)
from services.intake.domain.commands import (
    ProvideDetails,
    RecordStaffDecision,
    SubmitLateReport,
    SubmitReport,
    SubmitUnclearReport,
    WithdrawReport,
)
from services.intake.domain.context import OrderDecision, OrderState
from services.intake.domain.orders import Order
from services.intake.policy.eligibility_rules import IntakeRules


def on_timer(decision: OrderDecision, timer: TimerFired) -> None:
    kind, _, issue_id = timer.name.partition(":")
    handler = TIMERS.get(kind)
    if handler is None:
        decision.anomaly("unknown_timer", timer.name)
    else:
        handler(decision, UUID(issue_id))


TIMERS: dict[str, Callable[[OrderDecision, UUID], None]] = {
    submissions.AWAITING_ORDER: submissions.on_wait_ended,
    pending_details.DETAILS: pending_details.on_timer,
}
"""Handlers of timers by the first part of their names; the second part is the issue."""

HANDLERS: dict[type[Payload], Callable[[OrderDecision, Any], None]] = {
    OrderPlaced: order_events.record_order,
    OrderChanged: order_events.record_change,
    OrderShipped: order_events.record_shipment,
    ShipmentChanged: order_events.record_shipment_change,
    OrderDelivered: order_events.record_delivery,
    OrderCancelled: order_events.record_cancellation,
    IssueSubmitted: submissions.receive_report,
    SubmitReport: submissions.submit_report,
    SubmitLateReport: submissions.submit_report,
    SubmitUnclearReport: submissions.submit_unclear_report,
    ProvideDetails: provided_details.provide_details,
    RecordStaffDecision: staff_decisions.record_staff_decision,
    WithdrawReport: withdrawals.withdraw_report,
    IssueWithdrawn: withdrawals.receive_withdrawal,
    TimerFired: on_timer,
}

SUBSCRIBES = subscriptions(HANDLERS)

PUBLISHES: tuple[type[Payload], ...] = (
    IssueReported,
    IssueAccepted,
    IssueRejected,
    IssueDetailsRequested,
    IssueDetailsProvided,
    IssueReviewRequested,
    IssueStaffDecided,
    IssueStaffDecisionApplied,
)


def decide(
    state: OrderState | None, event: AnyEvent, now: datetime, rules: IntakeRules
) -> tuple[OrderState | None, Facts]:
    """Decide one event. Total: an event without a handler is ignored, an early one is stored."""
    handler = HANDLERS.get(type(event.data))
    before = state or _new_order(event)
    if handler is None or before is None:
        return state, [Ignored("unhandled_event")]
    decision = OrderDecision(before, now, rules, event=event)
    handler(decision, event.data)
    return state if decision.state is before else decision.state, decision.facts


def _new_order(event: AnyEvent) -> OrderState | None:
    order_id = order_id_of(event)
    return OrderState(Order(order_id)) if order_id else None


def order_id_of(event: AnyEvent) -> str | None:
    """Return the order that this event is decided for; None where intake decides nothing."""
    match event.data:
        case SubmitReport(report=report):
            return report.order_id
        case TimerFired():
            return event.subject
        case data if type(data) in HANDLERS:
            order_id: str | None = getattr(data, "order_id", None)
            return order_id
    return None
