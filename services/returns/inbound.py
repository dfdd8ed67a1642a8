"""The inbound leg: what comes back, fetched at the customer's door and counted at the warehouse.

What was counted decides, never what was announced (invariant 7). A courier who cannot come is asked again under the
same id for the next open day, until the policy's patience ends and a human looks.
"""

from collections.abc import Sequence
from datetime import date, datetime, timedelta

from libs.common.events.carrier import (
    CollectionAttemptFailed,
    CollectionBooked,
    CollectionCancelled,
    CollectionCollected,
    CollectionRequested,
)
from libs.common.events.issues import (
    IssueCollected,
    IssueCollectionBooked,
    IssueCollectionRequested,
    IssueItemInspected,
    IssueItemReceived,
)
from libs.common.events.values import Condition, LineQuantity
from libs.common.events.warehouse import ItemInspected, ItemReceived
from libs.common.ids import derived_id
from services.returns.case import InboundStatus, OutboundStatus, ReviewCause, added, as_lines, lines_of, missing
from services.returns.policy import CollectOn
from services.returns.turn import Turn

COMING = (InboundStatus.REQUESTED, InboundStatus.BOOKED)
MISMATCHES = (Condition.NOT_AS_REPORTED, Condition.OTHER_ITEM)

Told = CollectionBooked | CollectionAttemptFailed | CollectionCollected


def request(turn: Turn, earliest: date) -> None:
    """Ask the courier to fetch what is still with the customer; where all of it came unasked, nobody has to go."""
    wanted = missing(turn.case.reported, turn.case.inbound.received)
    if not wanted:
        _advance(turn)
        return
    number = turn.case.inbound.number + 1
    collection_id = derived_id("collection", turn.case.issue_id, number)
    turn.inbound(number=number, collection_id=collection_id, asked=wanted, failures=0)
    _ask(turn, earliest)


def _ask(turn: Turn, earliest: date) -> None:
    """Send the request; with another attempt or day it is still the same collection."""
    leg = turn.case.inbound
    turn.inbound(
        status=InboundStatus.REQUESTED,
        attempt=leg.attempt + 1,
        requested_at=turn.now,
        earliest=earliest,
        window_day=None,
        due_at=turn.after(hours=turn.terms.collection_answer_hours),
    )
    if turn.ship_to is None:
        turn.anomaly("no_address")
        return
    told = {"collection_id": leg.collection_id, "attempt": leg.attempt + 1, "requested_at": turn.now}
    lines = lines_of(turn.case, leg.asked)
    turn.say(
        CollectionRequested(**turn.partner_ids, **told, lines=lines, collect_from=turn.ship_to, earliest_date=earliest),
        IssueCollectionRequested(**turn.ids, **told, earliest_date=earliest),
    )


def postpone(turn: Turn, earliest: date) -> None:
    """The replacement arrives later: the courier comes later."""
    leg = turn.case.inbound
    if leg.status in COMING and (leg.window_day or leg.earliest or earliest) < earliest:
        _ask(turn, earliest)


def booked(turn: Turn, fact: CollectionBooked) -> None:
    if not _is_ours(turn, fact):
        return
    leg = turn.case.inbound
    if leg.status not in COMING or _is_of_earlier_attempt(turn, fact):
        turn.ignore("overtaken")
    elif leg.window_day == fact.window.day:
        turn.ignore("repeated")
    elif leg.earliest and fact.window.day < leg.earliest:
        turn.anomaly("booked_too_early")
        _again(turn)
    else:
        look = turn.calendar.next_open(max(fact.window.day, turn.today) + timedelta(days=1))
        turn.inbound(
            status=InboundStatus.BOOKED,
            window_day=fact.window.day,
            due_at=turn.calendar.moment(look, turn.terms.review_hour),
        )
        told = IssueCollectionBooked(
            **turn.ids, collection_id=fact.collection_id, window=fact.window, attempt=leg.attempt
        )
        turn.say(told)


def attempt_failed(turn: Turn, fact: CollectionAttemptFailed) -> None:
    if not _is_ours(turn, fact):
        return
    leg = turn.case.inbound
    before = leg.requested_at is not None and fact.attempted_at < leg.requested_at
    if leg.status not in COMING or before or _is_of_earlier_attempt(turn, fact):
        turn.ignore("overtaken")
    else:
        _again(turn)


def _is_of_earlier_attempt(turn: Turn, fact: CollectionBooked | CollectionAttemptFailed) -> bool:
    return fact.attempt is not None and fact.attempt < turn.case.inbound.attempt


def _again(turn: Turn) -> None:
    """Nobody met at the door: the next open day, or a human."""
    turn.inbound(failures=turn.case.inbound.failures + 1)
    if turn.case.inbound.failures < turn.terms.collection_max_attempts:
        _ask(turn, _next_day(turn))
    else:
        turn.inbound(status=InboundStatus.FAILED, due_at=None)
        turn.review(ReviewCause.COLLECTION_FAILED)


def _next_day(turn: Turn) -> date:
    """The next open day, though never before the replacement is there."""
    outbound, day = turn.case.outbound, turn.open_day_after(turn.today)
    if outbound.status is OutboundStatus.SHIPPED and outbound.expected_delivery:
        return max(day, outbound.expected_delivery)
    return day


def ask_again(turn: Turn) -> None:
    """A human wants the courier asked once more."""
    if turn.case.inbound.status is InboundStatus.FAILED:
        turn.inbound(failures=0)
        _ask(turn, _next_day(turn))


def collected(turn: Turn, fact: CollectionCollected) -> None:
    if not _is_ours(turn, fact):
        return
    if turn.case.inbound.status not in (*COMING, InboundStatus.FAILED):
        turn.ignore("overtaken")
        return
    turn.inbound(status=InboundStatus.COLLECTED, due_at=turn.after(days=turn.terms.receipt_days))
    turn.withdraw(ReviewCause.COLLECTION_FAILED)
    turn.say(IssueCollected(**turn.ids, collection_id=fact.collection_id, collected_at=fact.collected_at))


def received(turn: Turn, fact: ItemReceived) -> None:
    """Count it, however it came: also before its collection was told, also what nobody asked for."""
    leg = turn.case.inbound
    name = _name(fact.receipt_id, fact.received_at, fact.lines)
    if name in leg.receipts:
        turn.ignore("repeated")
        return
    turn.inbound(received=added(leg.received, {}, fact.lines), receipts=(*leg.receipts, name))
    turn.say(IssueItemReceived(**turn.ids, lines=fact.lines, received_at=fact.received_at))
    _tell_the_unexpected(turn)
    if _expects_more(turn):
        _advance(turn)


def _name(given: str | None, moment: datetime, lines: Sequence[LineQuantity]) -> str:
    """The name of a count: the warehouse's own, or else what was counted when, for two may be scanned in one second."""
    counted = sorted(line.model_dump_json() for line in lines)
    return given or str(derived_id("count", moment.isoformat(), *counted))


def _tell_the_unexpected(turn: Turn) -> None:
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


def _expects_more(turn: Turn) -> bool:
    waits = (InboundStatus.WAIVED, InboundStatus.CANCELLED, InboundStatus.INSPECTED)
    return turn.case.inbound.status not in waits and turn.case.plan.collect_on is not CollectOn.NEVER


def _advance(turn: Turn) -> None:
    """Take the leg as far as the counts allow."""
    case, leg = turn.case, turn.case.inbound
    if missing(case.reported, leg.received):
        if leg.status is InboundStatus.COLLECTED:
            turn.inbound(due_at=turn.after(days=turn.terms.receipt_days))
        return
    if leg.status in COMING and (leg.window_day is None or leg.window_day > turn.today):
        _call_back(turn, "already_received")
    turn.withdraw(ReviewCause.COLLECTION_FAILED, ReviewCause.RECEIPT_OVERDUE)
    if case.plan.inspect and missing(case.reported, leg.inspected):
        turn.inbound(status=InboundStatus.RECEIVED, due_at=_inspection_ends(turn))
    else:
        turn.withdraw(ReviewCause.INSPECTION_OVERDUE)
        turn.inbound(status=InboundStatus.INSPECTED if case.plan.inspect else InboundStatus.RECEIVED, due_at=None)


def _inspection_ends(turn: Turn) -> datetime:
    day = turn.calendar.add_open_days(turn.today, turn.terms.inspection_open_days)
    return turn.calendar.moment(day, turn.terms.review_hour)


def inspected(turn: Turn, fact: ItemInspected) -> None:
    leg = turn.case.inbound
    name = _name(fact.inspection_id, fact.inspected_at, fact.lines)
    if name in leg.inspections:
        turn.ignore("repeated")
        return
    turn.inbound(inspected=added(leg.inspected, {}, fact.lines), inspections=(*leg.inspections, name))
    turn.say(IssueItemInspected(**turn.ids, lines=fact.lines, inspected_at=fact.inspected_at))
    if any(line.condition in MISMATCHES for line in fact.lines):
        turn.review(ReviewCause.INSPECTION_MISMATCH)
    if _expects_more(turn):
        _advance(turn)


def waive_inspection(turn: Turn) -> None:
    """A human does not need to know what state it is in."""
    if turn.case.inbound.status is InboundStatus.RECEIVED:
        turn.inbound(status=InboundStatus.INSPECTED, due_at=None)


def take_as_received(turn: Turn) -> None:
    """The courier has it and it is lost: a human takes it as received, for the customer gave it out of their hands.

    What is lost is inspected by nobody, so that it does not wait for that either.
    """
    case, leg = turn.case, turn.case.inbound
    lost = missing(case.reported, leg.received)
    if leg.status is InboundStatus.COLLECTED and lost:
        turn.inbound(received=added(leg.received, lost), inspected=added(leg.inspected, lost))
        turn.say(IssueItemReceived(**turn.ids, lines=as_lines(lost), received_at=turn.now))
        _advance(turn)


def hold(turn: Turn) -> None:
    """The replacement has to be sent again: until then nobody comes."""
    if turn.case.inbound.status in (*COMING, InboundStatus.FAILED):
        if turn.case.inbound.status in COMING:
            _call_back(turn, "replacement_not_arrived")
        turn.withdraw(ReviewCause.COLLECTION_FAILED)
        turn.inbound(status=InboundStatus.NONE, collection_id=None, attempt=0, due_at=None)


def waive(turn: Turn) -> None:
    """A human lets the customer keep what has not come back."""
    if turn.case.inbound.status in COMING:
        _call_back(turn, "waived")
    turn.inbound(status=InboundStatus.WAIVED, due_at=None)


def stop(turn: Turn, cause: str) -> None:
    """Nobody comes any more."""
    if turn.case.inbound.status in COMING:
        _call_back(turn, cause)
    turn.inbound(status=InboundStatus.CANCELLED, due_at=None)


def _call_back(turn: Turn, cause: str) -> None:
    told = {"collection_id": turn.case.inbound.collection_id, "cause": cause, "cancelled_at": turn.now}
    turn.say(CollectionCancelled(**turn.partner_ids, **told))


def _is_ours(turn: Turn, fact: Told) -> bool:
    """Whether this is about the collection that is under way; says so where it is not."""
    leg = turn.case.inbound
    if fact.collection_id == leg.collection_id:
        return True
    former = (derived_id("collection", turn.case.issue_id, number) for number in range(1, leg.number + 1))
    if fact.collection_id in former:
        turn.ignore("former_collection")
    else:
        turn.anomaly("unknown_collection")
    return False


def due(turn: Turn) -> None:
    """Nothing came in time."""
    match turn.case.inbound.status:
        case InboundStatus.REQUESTED | InboundStatus.BOOKED:
            _again(turn)
        case InboundStatus.COLLECTED:
            turn.review(ReviewCause.RECEIPT_OVERDUE)
            turn.inbound(due_at=turn.after(days=turn.terms.receipt_days))
        case _:
            turn.review(ReviewCause.INSPECTION_OVERDUE)
            turn.inbound(due_at=_inspection_ends(turn))
