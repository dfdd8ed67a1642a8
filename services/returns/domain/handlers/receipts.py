"""The inbound leg at the warehouse: what came back, counted and inspected.

What was counted decides, never what was announced or scanned (invariant 7). It is counted however it came: before its
collection was told, in parts, more than was asked for, or something else altogether.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime

from libs.common.decisions.ids import derived_id
from libs.common.events.carrier import CollectionCancelled
from libs.common.events.issues import IssueItemInspected, IssueItemReceived
from libs.common.events.values import Condition, InspectedLine, LineQuantity, Reason, ReceivedLine
from libs.common.events.warehouse import ItemInspected, ItemReceived
from services.returns.domain.case import Case
from services.returns.domain.decision_context import CaseDecision
from services.returns.domain.legs.inbound import MISMATCHES, InboundStatus
from services.returns.domain.line_quantities import added, as_lines, missing
from services.returns.domain.review_causes import ReviewCause
from services.returns.policy.policy import CollectOn


def received(turn: CaseDecision, fact: ItemReceived) -> None:
    """Count it, however it came: also before its collection was told, also what nobody asked for."""
    leg = turn.case.inbound
    name = _name(fact.receipt_id, fact.received_at, fact.lines)
    if name in leg.receipts:
        turn.ignore("repeated")
        return
    foreign = tuple(line for line in fact.lines if _is_foreign(turn.case, line))
    ours = tuple(line for line in fact.lines if line not in foreign)
    turn.inbound(
        received=added(leg.received, {}, ours),
        foreign=added(leg.foreign, {}, foreign),
        receipts=(*leg.receipts, name),
    )
    turn.say(IssueItemReceived(**turn.ids, lines=fact.lines, received_at=fact.received_at))
    if foreign:
        turn.anomaly("other_item_received")
        turn.review(ReviewCause.UNEXPECTED_ITEM)
    if ours:
        _tell_the_unexpected(turn)
    if _expects_more(turn):
        advance(turn)


def _is_foreign(case: Case, line: ReceivedLine) -> bool:
    """Whether the gate read something else on it than what is to come back: it is kept, but counts for nothing."""
    reported = next((one for one in case.lines if one.line_id == line.line_id), None)
    if line.sku is None or reported is None:
        return False
    if case.reason is Reason.WRONG_ITEM:
        return reported.received_instead is not None and line.sku != reported.received_instead.sku
    known = {leg.variant.sku for leg in (*case.formers, case.outbound) if leg.variant}
    return line.sku not in {reported.sku, *known}


def _name(given: str | None, moment: datetime, lines: Sequence[LineQuantity]) -> str:
    """The name of a count: the warehouse's own, or else what was counted when, for two may be scanned in one second."""
    counted = sorted(line.model_dump_json() for line in lines)
    return given or str(derived_id("count", moment.isoformat(), *counted))


def _tell_the_unexpected(turn: CaseDecision) -> None:
    case = turn.case
    if any(line_id not in case.reported for line_id in case.inbound.received):
        turn.anomaly("unknown_line_received")
        turn.review(ReviewCause.UNEXPECTED_ITEM)
    elif case.is_closed:
        turn.anomaly("received_after_end")
        turn.review(ReviewCause.MOVED_AFTER_STOP)
    elif case.plan.collect_on is CollectOn.NEVER:
        turn.anomaly("unexpected_receipt")
    elif missing(case.inbound.received, case.reported):
        turn.anomaly("surplus_received")
        turn.review(ReviewCause.UNEXPECTED_ITEM)


def _expects_more(turn: CaseDecision) -> bool:
    waits = (InboundStatus.WAIVED, InboundStatus.CANCELLED, InboundStatus.INSPECTED)
    return turn.case.inbound.status not in waits and turn.case.plan.collect_on is not CollectOn.NEVER


def advance(turn: CaseDecision) -> None:
    """Take the leg as far as the counts allow."""
    case, leg = turn.case, turn.case.inbound
    if missing(case.reported, leg.received):
        if leg.status is InboundStatus.COLLECTED:
            turn.inbound(due_at=turn.after(days=turn.terms.receipt_days))
        return
    if leg.is_coming and (leg.window_day is None or leg.window_day > turn.today):
        call_back(turn)
    turn.withdraw(ReviewCause.COLLECTION_FAILED, ReviewCause.NOT_COLLECTED, ReviewCause.RECEIPT_OVERDUE)
    if case.plan.inspect and missing(case.reported, leg.inspected):
        turn.inbound(status=InboundStatus.RECEIVED, due_at=inspection_ends(turn))
    else:
        turn.withdraw(ReviewCause.INSPECTION_OVERDUE)
        turn.inbound(status=InboundStatus.INSPECTED if case.plan.inspect else InboundStatus.RECEIVED, due_at=None)


def inspection_ends(turn: CaseDecision) -> datetime:
    day = turn.calendar.add_open_days(turn.today, turn.terms.inspection_open_days)
    return turn.calendar.moment(day, turn.terms.review_hour)


def inspected(turn: CaseDecision, fact: ItemInspected) -> None:
    leg = turn.case.inbound
    name = _name(fact.inspection_id, fact.inspected_at, fact.lines)
    if name in leg.inspections:
        turn.ignore("repeated")
        return
    turn.inbound(
        inspected=added(leg.inspected, {}, fact.lines),
        conditions=_with_conditions(leg.conditions, fact.lines),
        inspections=(*leg.inspections, name),
    )
    turn.say(IssueItemInspected(**turn.ids, lines=fact.lines, inspected_at=fact.inspected_at))
    if any(line.condition in MISMATCHES for line in fact.lines):
        turn.review(ReviewCause.INSPECTION_MISMATCH)
    if _expects_more(turn):
        advance(turn)


def _with_conditions(
    known: Mapping[str, Mapping[Condition, int]], lines: Sequence[InspectedLine]
) -> Mapping[str, Mapping[Condition, int]]:
    """What was found, by line and condition."""
    found = {line_id: dict(seen) for line_id, seen in known.items()}
    for line in lines:
        seen = found.setdefault(line.line_id, {})
        seen[line.condition] = seen.get(line.condition, 0) + line.quantity
    return found


def waive_inspection(turn: CaseDecision) -> None:
    """A human does not need to know what state it is in."""
    if turn.case.inbound.status is InboundStatus.RECEIVED:
        turn.inbound(status=InboundStatus.INSPECTED, due_at=None)


def take_as_received(turn: CaseDecision) -> None:
    """The courier has it and it is lost: a human takes it as received, for the customer gave it out of their hands.

    What is lost is inspected by nobody, so that it does not wait for that either.
    """
    case, leg = turn.case, turn.case.inbound
    lost = missing(case.reported, leg.received)
    if leg.status is InboundStatus.COLLECTED and lost:
        turn.inbound(received=added(leg.received, lost), inspected=added(leg.inspected, lost))
        turn.say(IssueItemReceived(**turn.ids, lines=as_lines(lost), received_at=turn.now))
        advance(turn)


def call_back(turn: CaseDecision, cause: str = "already_received") -> None:
    """The courier need not come."""
    told = {"collection_id": turn.case.inbound.collection_id, "cause": cause, "cancelled_at": turn.now}
    turn.say(CollectionCancelled(**turn.partner_ids, **told))
