"""Withdrawal of a report by its customer, as long as nothing has left.

It is carried out like a decision of staff to cancel, by the author `customer`: a pending report is closed here, an
accepted one is cancelled by returns, which answers with `issue.staff_decision_applied`.
"""

from uuid import UUID

from libs.common.decisions.ids import derived_id
from libs.common.events.storefront import IssueWithdrawn
from libs.common.events.values import StaffAction
from services.intake.domain.commands import RecordStaffDecision, WithdrawReport
from services.intake.domain.context import CommandRefused, OrderDecision
from services.intake.domain.staff_decisions import record_staff_decision

AUTHOR = "customer"


def withdraw_report(decision: OrderDecision, command: WithdrawReport) -> None:
    _withdraw(decision, command.issue_id, command.customer_id)


def receive_withdrawal(decision: OrderDecision, event: IssueWithdrawn) -> None:
    """Withdraw a report by an event; what cannot be withdrawn is an anomaly, because nobody waits for the answer."""
    _withdraw(decision, event.issue_id, event.customer_id)
    refused = [fact.refusal for fact in decision.facts if isinstance(fact, CommandRefused)]
    if refused:
        decision.facts = [fact for fact in decision.facts if not isinstance(fact, CommandRefused)]
        decision.anomaly("withdrawal_refused", f"issue {event.issue_id}: {refused[0].code}")


def _withdraw(decision: OrderDecision, issue_id: UUID, customer_id: str) -> None:
    stored = decision.state.stored_reports.get(issue_id)
    if stored is None or stored.report.submission.customer_id != customer_id:
        decision.refuse("unknown_issue", "issue_id", "is not an issue of this customer; send the id of one of theirs")
        return
    command = RecordStaffDecision(
        issue_id=issue_id,
        order_id=decision.order.order_id,
        decision_id=derived_id("withdrawal", issue_id, stored.version),
        action=StaffAction.CANCEL,
        staff=AUTHOR,
        comment="withdrawn by the customer",
        expected_version=stored.version,
    )
    record_staff_decision(decision, command)
