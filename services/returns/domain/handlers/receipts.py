"""Inbound leg, receipts: units received and inspected by the warehouse.

Only counted units count, never announced or scanned ones (invariant 7). A receipt is counted in any order: before its
collection is recorded, in parts, with surplus units, or with another article.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime

from libs.common.decisions.ids import derived_id
from libs.common.events.carrier import CollectionCancelled
from libs.common.events.issues import IssueItemInspected, IssueItemReceived
from libs.common.events.values import Condition, InspectedLine, LineQuantity, Reason, ReceivedLine
from libs.common.events.warehouse import ItemInspected, ItemReceived
from services.returns.domain.decision_context import CaseDecision
from services.returns.domain.state.case import Case
from services.returns.domain.state.inbound_leg import MISMATCHES, InboundStatus
from services.returns.domain.state.line_quantities import add_counts, missing, to_lines
from services.returns.domain.state.review_causes import ReviewCause
from services.returns.policy.movements import CollectOn

NOT_EXPECTING = (InboundStatus.WAIVED, InboundStatus.CANCELLED, InboundStatus.INSPECTED)


def received(decision: CaseDecision, fact: ItemReceived) -> None:
    leg = decision.case.inbound
    lines = tuple(ReceivedLine.model_validate(line) for line in fact.lines if line.line_id)
    receipt_id = _count_id(fact.receipt_id, fact.received_at, lines)
    if receipt_id in leg.receipt_ids:
        decision.ignore("duplicate")
        return
    others = tuple(line for line in lines if _is_other_item(decision.case, line))
    matching = tuple(line for line in lines if line not in others)
    decision.change_inbound(
        received=add_counts(leg.received, {}, matching),
        other_items=add_counts(leg.other_items, {}, others),
        receipt_ids=(*leg.receipt_ids, receipt_id),
    )
    decision.emit(IssueItemReceived(**decision.ids, lines=lines, received_at=fact.received_at))
    if others:
        decision.anomaly("other_item_received")
        decision.open_review(ReviewCause.UNEXPECTED_ITEM)
    if matching:
        _flag_unexpected(decision)
    if _is_expecting_units(decision):
        advance(decision)


def _is_other_item(case: Case, line: ReceivedLine) -> bool:
    """Return whether the received SKU is none of those expected for its line."""
    reported = next((each for each in case.lines if each.line_id == line.line_id), None)
    if line.sku is None or reported is None:
        return False
    if case.reason is Reason.WRONG_ITEM:
        return reported.received_instead is not None and line.sku != reported.received_instead.sku
    variants = {leg.variant.sku for leg in (*case.past_replacements, case.outbound) if leg.variant}
    return line.sku not in {reported.sku, *variants}


def _count_id(given: str | None, moment: datetime, lines: Sequence[LineQuantity]) -> str:
    """Return the warehouse's id of a count, else one from time and lines: two counts may share a second."""
    counted = sorted(line.model_dump_json() for line in lines)
    return given or str(derived_id("count", moment.isoformat(), *counted))


def _flag_unexpected(decision: CaseDecision) -> None:
    case = decision.case
    if any(line_id not in case.reported_units for line_id in case.inbound.received):
        decision.anomaly("unknown_line_received")
        decision.open_review(ReviewCause.UNEXPECTED_ITEM)
    elif case.is_closed:
        decision.anomaly("received_after_closure")
        decision.open_review(ReviewCause.MOVED_AFTER_STOP)
    elif case.plan.collect_on is CollectOn.NEVER:
        decision.anomaly("unexpected_receipt")
    elif missing(case.inbound.received, case.reported_units):
        decision.anomaly("surplus_received")
        decision.open_review(ReviewCause.UNEXPECTED_ITEM)


def _is_expecting_units(decision: CaseDecision) -> bool:
    case = decision.case
    return case.inbound.status not in NOT_EXPECTING and case.plan.collect_on is not CollectOn.NEVER


def advance(decision: CaseDecision) -> None:
    """Set the status of the leg that follows from its counts."""
    case, leg = decision.case, decision.case.inbound
    if missing(case.reported_units, leg.received):
        if leg.status is InboundStatus.COLLECTED:
            decision.change_inbound(due_at=decision.after(days=decision.limits.receipt_days))
        return
    if leg.is_pending and (leg.window_day is None or leg.window_day > decision.today):
        cancel_collection(decision, "already_received")
    decision.close_reviews(ReviewCause.COLLECTION_FAILED, ReviewCause.NOT_COLLECTED, ReviewCause.RECEIPT_OVERDUE)
    if case.plan.inspect and missing(case.reported_units, leg.inspected):
        decision.change_inbound(status=InboundStatus.RECEIVED, due_at=inspection_deadline(decision))
    else:
        decision.close_reviews(ReviewCause.INSPECTION_OVERDUE)
        status = InboundStatus.INSPECTED if case.plan.inspect else InboundStatus.RECEIVED
        decision.change_inbound(status=status, due_at=None)


def inspection_deadline(decision: CaseDecision) -> datetime:
    day = decision.calendar.add_open_days(decision.today, decision.limits.inspection_open_days)
    return decision.calendar.moment(day, decision.limits.review_hour)


def inspected(decision: CaseDecision, fact: ItemInspected) -> None:
    leg = decision.case.inbound
    inspection_id = _count_id(fact.inspection_id, fact.inspected_at, fact.lines)
    if inspection_id in leg.inspection_ids:
        decision.ignore("duplicate")
        return
    decision.change_inbound(
        inspected=add_counts(leg.inspected, {}, fact.lines),
        conditions=_add_conditions(leg.conditions, fact.lines),
        inspection_ids=(*leg.inspection_ids, inspection_id),
    )
    decision.emit(IssueItemInspected(**decision.ids, lines=fact.lines, inspected_at=fact.inspected_at))
    if any(line.condition in MISMATCHES for line in fact.lines):
        decision.open_review(ReviewCause.INSPECTION_MISMATCH)
    if _is_expecting_units(decision):
        advance(decision)


def _add_conditions(
    conditions: Mapping[str, Mapping[Condition, int]], lines: Sequence[InspectedLine]
) -> Mapping[str, Mapping[Condition, int]]:
    """Return the conditions by line with these lines added."""
    total = {line_id: dict(by_condition) for line_id, by_condition in conditions.items()}
    for line in lines:
        by_condition = total.setdefault(line.line_id, {})
        by_condition[line.condition] = by_condition.get(line.condition, 0) + line.quantity
    return total


def waive_inspection(decision: CaseDecision) -> None:
    """Complete the leg without an inspection, as staff decided."""
    if decision.case.inbound.status is InboundStatus.RECEIVED:
        decision.change_inbound(status=InboundStatus.INSPECTED, due_at=None)


def assume_received(decision: CaseDecision) -> None:
    """Count units lost by the courier as received, as staff decided: the customer has handed them over.

    They count as inspected too, because nobody can inspect them.
    """
    case, leg = decision.case, decision.case.inbound
    lost = missing(case.reported_units, leg.received)
    if leg.status is InboundStatus.COLLECTED and lost:
        decision.change_inbound(received=add_counts(leg.received, lost), inspected=add_counts(leg.inspected, lost))
        decision.emit(IssueItemReceived(**decision.ids, lines=to_lines(lost), received_at=decision.now))
        advance(decision)


def cancel_collection(decision: CaseDecision, cause: str) -> None:
    """Cancel the courier's collection."""
    collection_id = decision.case.inbound.collection_id
    cancelled = {"collection_id": collection_id, "cause": cause, "cancelled_at": decision.now}
    decision.emit(CollectionCancelled(**decision.partner_ids, **cancelled))
