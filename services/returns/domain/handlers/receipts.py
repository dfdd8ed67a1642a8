"""Inbound leg, receipts: units received and inspected by the warehouse.

Only counted units count, never announced or scanned ones (invariant 7). A receipt is counted in any order: before its
collection is recorded, in parts, with surplus units, or with another article.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from libs.common.decisions.fast_replace import replace
from libs.common.decisions.ids import derived_id
from libs.common.decisions.shipments import plain_number
from libs.common.events.carrier import CollectionCancelled
from libs.common.events.issues import IssueItemInspected, IssueItemReceived
from libs.common.events.values import Condition, CountedLine, InspectedLine, Reason, ReceivedLine
from libs.common.events.warehouse import ItemInspected, ItemReceived, ItemReturnOrdered
from services.returns.domain.context import CaseDecision
from services.returns.domain.state.case import Case
from services.returns.domain.state.count_ids import content_mark, count_id, kept_id, part_id
from services.returns.domain.state.counted_lines import Destination, destination, is_of_another_issue, named_line
from services.returns.domain.state.inbound_leg import MISMATCHES, InboundStatus, OtherItem
from services.returns.domain.state.kept_counts import CountKept
from services.returns.domain.state.line_quantities import add_counts, missing, to_lines
from services.returns.domain.state.outbound_leg import OutboundLeg, OutboundStatus
from services.returns.domain.state.review_causes import ReviewCause
from services.returns.policy.movements import CollectOn

NOT_EXPECTING = (InboundStatus.WAIVED, InboundStatus.CANCELLED, InboundStatus.INSPECTED)


def received(decision: CaseDecision, event: ItemReceived) -> None:
    """Count units of a box that names this case: the reported ones, a replacement that came back, other articles.

    Units of another issue are handed on.
    """
    count_units(decision, event, [line for line in event.lines if is_of_another_issue(decision.case, line)])


def count_units(
    decision: CaseDecision, event: ItemReceived, foreign: Sequence[CountedLine], issue_of_box: UUID | None = None
) -> None:
    """Count the units of a box but the foreign ones, which are handed on. `issue_of_box`: of lines that name none."""
    case, receipt_id = decision.case, count_id(event)
    if receipt_id in case.inbound.receipt_ids:
        _repeated(decision, event, receipt_id)
        return
    marks = {**case.inbound.receipt_marks, receipt_id: content_mark(event)}
    decision.change_inbound(receipt_ids=(*case.inbound.receipt_ids, receipt_id), receipt_marks=marks)
    parts: dict[Destination, list[CountedLine]] = {}
    for line in foreign:
        parts.setdefault(destination(case, line, issue_of_box), []).append(line)
    for goes_to, lines in parts.items():
        _hand_on(decision, event, receipt_id, goes_to, lines)
    rest = tuple(named_line(case, line) for line in event.lines if line not in foreign)
    returned = tuple(line for line in rest if _replacement_of(decision.case, event, line))
    if returned:
        _count_returned_replacement(decision, event, returned)
    counted = tuple(ReceivedLine.model_validate(line) for line in rest if line not in returned)
    _count(decision, event, receipt_id, counted)


def _count(decision: CaseDecision, event: ItemReceived, receipt_id: str, lines: tuple[ReceivedLine, ...]) -> None:
    if not lines:
        return
    leg = decision.case.inbound
    others = tuple(line for line in lines if _is_other_item(decision.case, line))
    matching = tuple(line for line in lines if line not in others)
    decision.change_inbound(
        received=add_counts(leg.received, {}, matching),
        other_items=add_counts(leg.other_items, {}, others),
        others=(*leg.others, *(OtherItem(receipt_id, line) for line in others)),
    )
    decision.emit(IssueItemReceived(**decision.ids, lines=lines, received_at=event.received_at))
    if others:
        decision.anomaly("other_item_received")
        decision.open_review(ReviewCause.UNEXPECTED_ITEM)
    if matching:
        _flag_unexpected(decision)
    if _is_expecting_units(decision):
        advance(decision)


def _repeated(decision: CaseDecision, event: ItemReceived, receipt_id: str) -> None:
    """Count a receipt once; with other units than at first, staff see it: a correction, or the id of another box."""
    known = decision.case.inbound.receipt_marks.get(receipt_id)
    if known is None or known == content_mark(event):
        decision.ignore("duplicate")
    else:
        decision.anomaly("receipt_differs")


def _hand_on(
    decision: CaseDecision, event: ItemReceived, receipt_id: str, goes_to: Destination, lines: Sequence[CountedLine]
) -> None:
    """Keep units for the case that they belong to (`store.kept_counts`), by what their lines name."""
    case = decision.case
    named = {"issue_id": goes_to.issue_id} if goes_to.issue_id else {}
    papers: dict[str, Any] = {
        "lines": tuple(line.model_copy(update=named) for line in lines),
        "receipt_id": part_id(receipt_id, case.issue_id, *filter(None, goes_to)),
        "issue_id": goes_to.issue_id or case.issue_id,
        "order_id": goes_to.order_id or (None if goes_to.is_named else case.order_id),
    }
    if goes_to.is_named:
        papers["return_slip"] = None  # of the box; it may name the case that opened it
    rest = event.model_copy(update=papers)
    kept = CountKept(kept_id(rest), rest, decision.now, from_issue=case.issue_id, is_named=goes_to.is_named)
    decision.emit(kept)


def _replacement_of(case: Case, event: ItemReceived, line: CountedLine) -> OutboundLeg | None:
    """Return the replacement that units are of, by its id, a serial or tracking number, its variant or its way back."""
    wanted = line.replacement_id or event.replacement_id
    reported = {each.sku for each in case.lines if each.line_id == line.line_id}
    for leg in case.replacements:
        serials = {serial for parcel in leg.parcels for serial in parcel.serials}
        tracked = {plain_number(parcel.tracking_number) for parcel in leg.parcels} - {None}
        if wanted and wanted == leg.replacement_id:
            return leg
        if serials.intersection(line.serials) or plain_number(event.tracking_number) in tracked:
            return leg
        if leg.variant and line.sku == leg.variant.sku and line.sku not in reported:
            return leg
    outbound = case.outbound
    is_back = outbound.is_coming_back and not outbound.delivered and not outbound.returned
    return outbound if is_back and not case.inbound.collected else None


def _count_returned_replacement(decision: CaseDecision, event: ItemReceived, lines: tuple[CountedLine, ...]) -> None:
    """Count a replacement that came back: the reported units are still to be fetched."""
    for line in lines:
        leg = _replacement_of(decision.case, event, line) or decision.case.outbound
        counts = add_counts(leg.returned, {str(line.line_id): line.quantity})
        back = {parcel.parcel_id: event.received_at for parcel in leg.parcels if not parcel.delivered_at}
        after = replace(leg, returned=counts, turned_back={**back, **leg.turned_back})
        if leg is decision.case.outbound:
            decision.change(outbound=after)
        else:
            past = tuple(after if each is leg else each for each in decision.case.past_replacements)
            decision.change(past_replacements=past)
        decision.emit(
            IssueItemReceived(
                **decision.ids,
                lines=(ReceivedLine.model_validate(line),),
                received_at=event.received_at,
                replacement_id=leg.replacement_id,
            )
        )
        if leg.delivered:
            decision.open_review(ReviewCause.REPLACEMENT_RETURNED)
        elif leg is not decision.case.outbound and after is not decision.case.outbound:
            decision.close_reviews(ReviewCause.MOVED_AFTER_STOP)
        if after is decision.case.outbound and after.status is OutboundStatus.SHIPPED and not decision.case.is_closed:
            decision.open_review(ReviewCause.PARCEL_EXCEPTION)


def _is_other_item(case: Case, line: ReceivedLine) -> bool:
    """Return whether the received SKU is none of those expected for its line."""
    reported = next((each for each in case.lines if each.line_id == line.line_id), None)
    if line.sku is None or reported is None:
        return False
    if case.reason is Reason.WRONG_ITEM:
        return reported.received_instead is not None and line.sku != reported.received_instead.sku
    return line.sku != reported.sku


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
    if missing(case.returnable_units, leg.received):
        if leg.status is InboundStatus.COLLECTED:
            decision.change_inbound(due_at=decision.after(days=decision.limits.receipt_days))
        return
    if leg.is_pending and (leg.window_day is None or leg.window_day > decision.today):
        cancel_collection(decision, "already_received")
    decision.close_reviews(ReviewCause.COLLECTION_FAILED, ReviewCause.NOT_COLLECTED, ReviewCause.RECEIPT_OVERDUE)
    if case.plan.inspect and missing(case.returnable_units, leg.inspected):
        decision.change_inbound(status=InboundStatus.RECEIVED, due_at=inspection_deadline(decision))
    else:
        decision.close_reviews(ReviewCause.INSPECTION_OVERDUE)
        status = InboundStatus.INSPECTED if case.plan.inspect else InboundStatus.RECEIVED
        decision.change_inbound(status=status, due_at=None)


def inspection_deadline(decision: CaseDecision) -> datetime:
    day = decision.warehouse.add_open_days(decision.today, decision.limits.inspection_open_days)
    return decision.calendar.moment(day, decision.limits.review_hour)


def inspected(decision: CaseDecision, event: ItemInspected) -> None:
    leg = decision.case.inbound
    inspection_id = count_id(event)
    if inspection_id in leg.inspection_ids:
        decision.ignore("duplicate")
        return
    decision.change_inbound(
        inspected=add_counts(leg.inspected, {}, event.lines),
        conditions=_add_conditions(leg.conditions, event.lines),
        inspection_ids=(*leg.inspection_ids, inspection_id),
    )
    decision.emit(IssueItemInspected(**decision.ids, lines=event.lines, inspected_at=event.inspected_at))
    if any(line.condition in MISMATCHES for line in event.lines):
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
    lost = missing(case.returnable_units, leg.received)
    if leg.status is InboundStatus.COLLECTED and lost:
        decision.change_inbound(received=add_counts(leg.received, lost), inspected=add_counts(leg.inspected, lost))
        decision.emit(IssueItemReceived(**decision.ids, lines=to_lines(lost), received_at=decision.now))
        advance(decision)


def cancel_collection(decision: CaseDecision, cause: str) -> None:
    """Cancel the courier's collection."""
    collection_id = decision.case.inbound.collection_id
    cancelled = {"collection_id": collection_id, "cause": cause, "cancelled_at": decision.now}
    decision.emit(CollectionCancelled(**decision.ids, **cancelled))


def send_back_other_items(decision: CaseDecision) -> None:
    """Order units of other articles back to the customer: the courier took the wrong thing."""
    leg = decision.case.inbound
    if not leg.other_items:
        return
    if decision.ship_to is None:
        decision.anomaly("no_address")
        return
    for receipt_id in dict.fromkeys(other.receipt_id for other in leg.others):
        lines = tuple(CountedLine.model_validate(each.line) for each in leg.others if each.receipt_id == receipt_id)
        decision.emit(
            ItemReturnOrdered(
                **decision.ids,
                return_id=derived_id("return", decision.case.issue_id, receipt_id),
                receipt_id=receipt_id,
                lines=lines,
                ship_to=decision.ship_to,
                ordered_at=decision.now,
            )
        )
    decision.change_inbound(other_items={}, others=())
