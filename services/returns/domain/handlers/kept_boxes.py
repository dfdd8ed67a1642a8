"""Kept counts that reach a case or are settled: by themselves, or by staff who recognized the box.

A count is taken once, by one case. While it is kept, staff see it as an anomaly, which ends here.
"""

from datetime import datetime

from libs.common.decisions.facts import Facts, Ignored, refusal_of
from libs.common.events import warehouse
from libs.common.events.anomalies import AnomalyCleared, CountStaffDecided, CountStaffDecisionApplied, anomaly_cause
from services.returns.domain.commands import AssignCount, SettleCount
from services.returns.domain.context import CaseDecision
from services.returns.domain.handlers import receipts
from services.returns.domain.handlers.staff_decisions import REFUSALS
from services.returns.domain.state.early_events import UNKNOWN_ISSUE, issue_thing
from services.returns.domain.state.exposure import CustomerContext
from services.returns.domain.state.kept_counts import (
    COUNT_WITHOUT_CASE,
    CountMatched,
    CountSettled,
    KeptCount,
    count_thing,
    is_of_case,
)

SERVICE = "returns"


def take_count(decision: CaseDecision, count_id: str) -> None:
    """Count what was kept before the case, or was found in the box of another one."""
    kept = decision.customer.kept_counts.get(count_id)
    if kept is None:
        decision.ignore("unknown_count")
    elif not kept.is_open:
        decision.ignore("count_taken" if kept.taken_by else "count_settled")
    else:
        _count(decision, count_id, kept)


def assign_count(decision: CaseDecision, command: AssignCount | CountStaffDecided) -> None:
    """Count a box for the case that staff named; the same assignment again changes nothing and is no fault."""
    kept = decision.customer.kept_counts.get(command.count_id)
    if kept and kept.taken_by == decision.case.issue_id:
        return
    if kept and kept.is_open and not command.as_other_item and not is_of_case(decision.case, kept.count):
        decision.ignore("count_does_not_fit")
        return
    take_count(decision, command.count_id)


def count_decided(decision: CaseDecision, event: CountStaffDecided) -> None:
    """Assign a box as the desk decided, and answer."""
    assign_count(decision, event)
    decision.emit(_answer(event, refusal_of(decision.facts), decision.now))


def decided_without_case(customer: CustomerContext, event: CountStaffDecided, now: datetime) -> Facts:
    """Return the outcome of the desk's decision to settle a box, or to assign it to an issue without a case."""
    if event.issue_id:
        return (_answer(event, "unknown_case", now),)
    facts = settle_count(customer, event, now)
    return *facts, _answer(event, refusal_of(facts), now)


def _answer(event: CountStaffDecided, code: str | None, now: datetime) -> CountStaffDecisionApplied:
    return CountStaffDecisionApplied(
        cause=event.cause,
        count_id=event.count_id,
        decision_id=event.decision_id,
        issue_id=event.issue_id,
        staff=event.staff,
        applied=code is None,
        code=code,
        message=REFUSALS[code] if code else None,
        processed_at=now,
    )


def _count(decision: CaseDecision, count_id: str, kept: KeptCount) -> None:
    issue_id = decision.case.issue_id
    cause = anomaly_cause(SERVICE, COUNT_WITHOUT_CASE, count_thing(count_id))
    receipt_id = kept.count.receipt_id if isinstance(kept.count, warehouse.ItemReceived) else None
    decision.emit(CountMatched(count_id, issue_id, decision.now, receipt_id))
    decision.emit(AnomalyCleared(cause=cause, issue_id=issue_id, cleared_at=decision.now))
    if isinstance(kept.count, warehouse.ItemReceived):
        receipts.received(decision, kept.count, is_last_choice=kept.is_last_choice)
    else:
        receipts.inspected(decision, kept.count)


def settle_count(customer: CustomerContext, command: SettleCount | CountStaffDecided, now: datetime) -> Facts:
    """Return the outcome of settling a kept count without a case."""
    kept: KeptCount | None = customer.kept_counts.get(command.count_id)
    if kept is None:
        return (Ignored("unknown_count"),)
    if kept.taken_by:
        return (Ignored("count_taken"),)
    if kept.is_settled:
        return ()
    cause = anomaly_cause(SERVICE, COUNT_WITHOUT_CASE, count_thing(command.count_id))
    settled = CountSettled(command.count_id, command.staff, command.comment, now)
    return settled, AnomalyCleared(cause=cause, cleared_at=now)


def early_event_applied(decision: CaseDecision) -> None:
    """End the anomaly of events about an issue without a case."""
    issue_id = decision.case.issue_id
    cause = anomaly_cause(SERVICE, UNKNOWN_ISSUE, issue_thing(issue_id))
    decision.emit(AnomalyCleared(cause=cause, issue_id=issue_id, cleared_at=decision.now))
