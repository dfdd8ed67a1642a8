"""The inbound leg up to the driver's hands: what is fetched at the customer's door. What is counted: `receipts`.

The courier who brings the replacement takes the old along where they can (a swap); else they come in the window that
the customer picked, or with another visit at the same door. One who cannot come is asked again under the same id for
the next open day, until the policy's patience ends; `door` says what then.
"""

from datetime import date, timedelta

from libs.common.decisions.ids import derived_id
from libs.common.events.carrier import (
    CollectionAttemptFailed,
    CollectionBooked,
    CollectionCollected,
    CollectionRequested,
)
from libs.common.events.issues import (
    IssueCollected,
    IssueCollectionAttempted,
    IssueCollectionBooked,
    IssueCollectionRequested,
)
from libs.common.events.values import CollectedLine, IssueLine, Reason
from services.returns.domain.case import lines_of
from services.returns.domain.decision_context import CaseDecision
from services.returns.domain.exposure import shared_visit
from services.returns.domain.handlers import receipts
from services.returns.domain.legs.inbound import InboundStatus
from services.returns.domain.legs.outbound import OutboundStatus
from services.returns.domain.line_quantities import Counts, added, as_lines, counted, missing, shared
from services.returns.domain.review_causes import ReviewCause

COMING = (InboundStatus.REQUESTED, InboundStatus.BOOKED)

Told = CollectionBooked | CollectionAttemptFailed | CollectionCollected


def request(turn: CaseDecision, earliest: date) -> None:
    """Ask the courier to fetch what is still with the customer; where all of it came unasked, nobody has to go."""
    wanted = missing(turn.case.reported, turn.case.inbound.received)
    if not wanted:
        receipts.advance(turn)
        return
    _begin(turn, wanted)
    ask(turn, earliest, swap=can_swap(turn))


def _begin(turn: CaseDecision, wanted: Counts) -> None:
    number = turn.case.inbound.number + 1
    collection_id = derived_id("collection", turn.case.issue_id, number)
    turn.inbound(number=number, collection_id=collection_id, asked=wanted, failures=0)


def can_swap(turn: CaseDecision) -> bool:
    """Whether the driver who brings the replacement can take the old: their carrier does it, and it is one parcel."""
    leg = turn.case.outbound
    brings = {parcel.carrier for parcel in leg.parcels}
    able = len(leg.parcels) == 1 and brings <= set(turn.door.swap_carriers)
    return leg.status is OutboundStatus.SHIPPED and able


def ask(turn: CaseDecision, earliest: date, *, swap: bool = False) -> None:
    """Send the request; with another attempt or day it is still the same collection."""
    leg = turn.case.inbound
    picked = leg.picked if leg.picked and leg.picked.day >= earliest else None
    swap = swap and (picked is None or picked.day == earliest)
    day = picked.day if picked else earliest
    within = 0 if picked or swap else turn.door.share_visit_within_days
    visit = shared_visit(turn.around, turn.case, day, within)
    turn.inbound(
        status=InboundStatus.REQUESTED,
        attempt=leg.attempt + 1,
        requested_at=turn.now,
        earliest=visit.day if visit else day,
        picked=picked,
        swap=swap,
        visit_id=visit.visit_id if visit else derived_id("visit", leg.collection_id, leg.attempt + 1),
        window_day=None,
        due_at=turn.after(hours=turn.terms.collection_answer_hours),
    )
    _send(turn)


def _send(turn: CaseDecision) -> None:
    leg = turn.case.inbound
    if turn.ship_to is None:
        turn.anomaly("no_address")
        return
    told = {
        "collection_id": leg.collection_id,
        "attempt": leg.attempt,
        "requested_at": turn.now,
        "earliest_date": leg.earliest,
        "window": leg.picked,
        "visit_id": leg.visit_id,
    }
    lines = tuple(_as_it_is(turn, line) for line in lines_of(turn.case, leg.asked))
    swap_with = turn.case.outbound.replacement_id if leg.swap else None
    turn.say(
        CollectionRequested(**turn.partner_ids, **told, lines=lines, collect_from=turn.ship_to, swap_with=swap_with),
        IssueCollectionRequested(**turn.ids, **told, swap=leg.swap),
    )


def _as_it_is(turn: CaseDecision, line: IssueLine) -> CollectedLine:
    """Where the wrong item came, that is fetched: what was sent, not what was ordered."""
    if turn.case.reason is not Reason.WRONG_ITEM:
        return CollectedLine.model_validate(line)
    sent = {"sku": line.received_instead.sku, "name": line.received_instead.name} if line.received_instead else {}
    return CollectedLine.model_validate(line).model_copy(update={**sent, "instead_of": line.sku})


def postpone(turn: CaseDecision, earliest: date) -> None:
    """The replacement arrives later: the courier comes later."""
    leg = turn.case.inbound
    if leg.status in COMING and (leg.window_day or leg.earliest or earliest) < earliest:
        ask(turn, earliest, swap=leg.swap)


def booked(turn: CaseDecision, fact: CollectionBooked) -> None:
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


def attempt_failed(turn: CaseDecision, fact: CollectionAttemptFailed) -> None:
    if not _is_ours(turn, fact):
        return
    leg = turn.case.inbound
    before = leg.requested_at is not None and fact.attempted_at < leg.requested_at
    if leg.status not in COMING or before or _is_of_earlier_attempt(turn, fact):
        turn.ignore("overtaken")
        return
    told = {"collection_id": fact.collection_id, "attempt": leg.attempt, "cause": fact.cause}
    more = leg.failures + 1 < turn.terms.collection_max_attempts
    next_date = _next_day(turn) if more else None
    turn.say(IssueCollectionAttempted(**turn.ids, **told, attempted_at=fact.attempted_at, next_date=next_date))
    _again(turn)


def _is_of_earlier_attempt(turn: CaseDecision, fact: CollectionBooked | CollectionAttemptFailed) -> bool:
    return fact.attempt is not None and fact.attempt < turn.case.inbound.attempt


def _again(turn: CaseDecision) -> None:
    """Nobody met at the door: the next open day; after too many of them a reminder, or a human."""
    turn.inbound(failures=turn.case.inbound.failures + 1, picked=None)
    if turn.case.inbound.failures < turn.terms.collection_max_attempts:
        ask(turn, _next_day(turn))
        return
    turn.inbound(status=InboundStatus.FAILED, due_at=None)
    if turn.case.inbound.remind_at is None and not turn.case.in_review(ReviewCause.NOT_COLLECTED):
        turn.review(ReviewCause.COLLECTION_FAILED)


def _next_day(turn: CaseDecision) -> date:
    """The next open day, though never before the replacement is there."""
    outbound, day = turn.case.outbound, turn.open_day_after(turn.today)
    if outbound.status is OutboundStatus.SHIPPED and outbound.expected_delivery:
        return max(day, outbound.expected_delivery)
    return day


def ask_again(turn: CaseDecision) -> None:
    """Another appointment, with as many attempts as the first: a human wants it, or the customer was reminded."""
    if turn.case.inbound.status is InboundStatus.FAILED:
        turn.inbound(failures=0)
        ask(turn, _next_day(turn))


def collected(turn: CaseDecision, fact: CollectionCollected) -> None:
    if not _is_ours(turn, fact):
        return
    leg = turn.case.inbound
    if leg.status not in (*COMING, InboundStatus.FAILED):
        turn.ignore("overtaken")
        return
    handed = shared(counted(fact.lines), leg.asked) if fact.lines else leg.asked
    turn.inbound(
        status=InboundStatus.COLLECTED,
        collected=added(leg.collected, handed),
        due_at=turn.after(days=turn.terms.receipt_days),
    )
    turn.withdraw(ReviewCause.COLLECTION_FAILED, ReviewCause.NOT_COLLECTED)
    told = as_lines(handed) if fact.lines and handed else None
    turn.say(IssueCollected(**turn.ids, collection_id=fact.collection_id, collected_at=fact.collected_at, lines=told))
    if rest := missing(leg.asked, handed):
        _begin(turn, rest)
        ask(turn, _next_day(turn))


def hold(turn: CaseDecision) -> None:
    """The replacement has to be sent again: until then nobody comes."""
    if turn.case.inbound.status in (*COMING, InboundStatus.FAILED):
        if turn.case.inbound.status in COMING:
            receipts.call_back(turn, "replacement_not_arrived")
        turn.withdraw(ReviewCause.COLLECTION_FAILED, ReviewCause.NOT_COLLECTED)
        turn.inbound(status=InboundStatus.NONE, collection_id=None, attempt=0, swap=False, visit_id=None, due_at=None)


def waive(turn: CaseDecision) -> None:
    """A human lets the customer keep what has not come back."""
    if turn.case.inbound.status in COMING:
        receipts.call_back(turn, "waived")
    turn.inbound(status=InboundStatus.WAIVED, due_at=None)


def stop(turn: CaseDecision, cause: str) -> None:
    """Nobody comes any more."""
    if turn.case.inbound.status in COMING:
        receipts.call_back(turn, cause)
    turn.inbound(status=InboundStatus.CANCELLED, due_at=None)


def _is_ours(turn: CaseDecision, fact: Told) -> bool:
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


def due(turn: CaseDecision) -> None:
    """Nothing came in time."""
    match turn.case.inbound.status:
        case InboundStatus.REQUESTED | InboundStatus.BOOKED:
            _again(turn)
        case InboundStatus.COLLECTED:
            turn.review(ReviewCause.RECEIPT_OVERDUE)
            turn.inbound(due_at=turn.after(days=turn.terms.receipt_days))
        case _:
            turn.review(ReviewCause.INSPECTION_OVERDUE)
            turn.inbound(due_at=receipts.inspection_ends(turn))
