"""Kept counts that reach a case or are settled: by themselves, or by staff who recognized the box.

A count is taken once, by one case. While it is kept, staff see it as an anomaly, which ends here.
"""

from collections.abc import Callable
from datetime import datetime
from uuid import UUID

from libs.common.decisions.facts import Anomaly, Facts, Ignored, refusal_of
from libs.common.events import warehouse
from libs.common.events.anomalies import AnomalyCleared, CountStaffDecided, CountStaffDecisionApplied, anomaly_cause
from libs.common.events.values import CountedLine
from services.returns.domain.commands import AssignCount, SettleCount
from services.returns.domain.context import CaseDecision
from services.returns.domain.handlers import receipts
from services.returns.domain.handlers.staff_decisions import REFUSALS
from services.returns.domain.state.case import Case
from services.returns.domain.state.counted_lines import destination, is_of_another_issue
from services.returns.domain.state.early_events import UNKNOWN_ISSUE, issue_thing
from services.returns.domain.state.exposure import CustomerContext
from services.returns.domain.state.kept_counts import (
    COUNT_WITHOUT_CASE,
    Count,
    CountMatched,
    CountSettled,
    KeptCount,
    count_thing,
    is_of_case,
    issue_of_box,
)

SERVICE = "returns"


def take_count(decision: CaseDecision, count_id: str) -> None:
    """Count what was kept before the case, or was found in the box of another one.

    Units that this case handed on and that wait for the issue, order or replacement that they name are shown to staff.
    """
    kept = _open_count(decision, count_id)
    if kept is None:
        return
    if is_waiting_part(decision.case, kept):
        decision.emit(Anomaly(COUNT_WITHOUT_CASE, f"count {count_id}", thing=count_thing(count_id), kept=kept.count))
        return
    of_box = None if kept.from_issue else issue_of_box(kept.count)  # lines of a part name their issue themselves
    case = decision.case

    def is_foreign(line: CountedLine) -> bool:
        is_ours = kept.is_last_choice and not destination(case, line, of_box).is_named
        return is_of_another_issue(case, line, of_box) and not is_ours

    _count(decision, count_id, kept.count, is_foreign, of_box)


def is_waiting_part(case: Case, kept: KeptCount) -> bool:
    """Return whether a case handed these units on, and they wait for a case of what they name."""
    return kept.is_open and kept.from_issue == case.issue_id and not kept.is_last_choice


def assign_count(decision: CaseDecision, command: AssignCount | CountStaffDecided) -> None:
    """Count a box for the case that staff named; the same assignment again changes nothing and is no fault.

    Of a box for several, the lines that name another issue, order or replacement are handed on.
    """
    case = decision.case
    kept = decision.customer.kept_counts.get(command.count_id)
    if kept and kept.taken_by == case.issue_id:
        return
    if kept and kept.is_open and not command.as_other_item and not is_of_case(case, kept.count):
        decision.ignore("count_does_not_fit")
        return
    kept = _open_count(decision, command.count_id)
    if kept is None:
        return
    is_for_several = len({destination(case, line) for line in _counted_lines(kept.count)}) > 1
    _count(decision, command.count_id, kept.count, lambda line: is_for_several and is_of_another_issue(case, line))


def _open_count(decision: CaseDecision, count_id: str) -> KeptCount | None:
    """Return a kept count that is still to be counted."""
    kept: KeptCount | None = decision.customer.kept_counts.get(count_id)
    if kept is None:
        decision.ignore("unknown_count")
    elif not kept.is_open:
        decision.ignore("count_taken" if kept.taken_by else "count_settled")
    else:
        return kept
    return None


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


def _count(
    decision: CaseDecision,
    count_id: str,
    count: Count,
    is_foreign: Callable[[CountedLine], bool],
    of_box: UUID | None = None,
) -> None:
    """Count a kept count but its foreign lines, and end its anomaly. `of_box` is the issue of lines that name none."""
    issue_id = decision.case.issue_id
    cause = anomaly_cause(SERVICE, COUNT_WITHOUT_CASE, count_thing(count_id))
    decision.emit(CountMatched(count_id, issue_id, decision.now, _receipt_id(count)))
    decision.emit(AnomalyCleared(cause=cause, issue_id=issue_id, cleared_at=decision.now))
    if isinstance(count, warehouse.ItemReceived):
        receipts.count_units(decision, count, list(filter(is_foreign, count.lines)), of_box)
    else:
        receipts.inspected(decision, count)


def _receipt_id(count: Count) -> str | None:
    return count.receipt_id if isinstance(count, warehouse.ItemReceived) else None


def _counted_lines(count: Count) -> tuple[CountedLine, ...]:
    return count.lines if isinstance(count, warehouse.ItemReceived) else ()


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
    settled = CountSettled(command.count_id, command.staff, command.comment, now, _receipt_id(kept.count))
    return settled, AnomalyCleared(cause=cause, cleared_at=now)


def early_event_applied(decision: CaseDecision) -> None:
    """End the anomaly of events about an issue without a case."""
    issue_id = decision.case.issue_id
    cause = anomaly_cause(SERVICE, UNKNOWN_ISSUE, issue_thing(issue_id))
    decision.emit(AnomalyCleared(cause=cause, issue_id=issue_id, cleared_at=decision.now))
