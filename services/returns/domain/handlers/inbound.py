"""Inbound leg, collections: from the request to the handover to the courier (then: `receipts`).

The courier who delivers the replacement collects the old item where possible (a swap). Otherwise the collection uses
the window that the customer chose, or another visit to the same address. A failed attempt is repeated under the same
id on the next open day, up to the policy's limit; `collection_reminders` follows up.
"""

from datetime import date
from uuid import UUID

from libs.common.decisions.ids import derived_id
from libs.common.events.carrier import (
    CollectionAttemptFailed,
    CollectionBooked,
    CollectionCollected,
    CollectionDeclined,
    CollectionRequested,
)
from libs.common.events.issues import (
    IssueCollected,
    IssueCollectionAttempted,
    IssueCollectionBooked,
    IssueCollectionRequested,
)
from libs.common.events.values import CollectedLine, IssueLine, Reason
from services.returns.domain.context import CaseDecision
from services.returns.domain.handlers import receipts
from services.returns.domain.state.case import Case, lines_for
from services.returns.domain.state.exposure import find_shared_visit
from services.returns.domain.state.inbound_leg import InboundStatus
from services.returns.domain.state.line_quantities import (
    UnitCounts,
    add_counts,
    common_counts,
    missing,
    to_counts,
    to_lines,
)
from services.returns.domain.state.outbound_leg import OutboundStatus
from services.returns.domain.state.review_causes import ReviewCause
from services.returns.policy.movements import CollectOn

CollectionEvent = CollectionBooked | CollectionDeclined | CollectionAttemptFailed | CollectionCollected


def start_collection(decision: CaseDecision, earliest: date) -> None:
    """Request a collection for units not yet received; without any, only advance the leg."""
    wanted = missing(decision.case.returnable_units, decision.case.inbound.received)
    if not wanted:
        receipts.advance(decision)
        return
    _new_collection(decision, wanted)
    request_collection(decision, earliest, swap=can_swap(decision))


def _new_collection(decision: CaseDecision, wanted: UnitCounts) -> None:
    number = decision.case.inbound.number + 1
    collection_id = derived_id("collection", decision.case.issue_id, number)
    decision.change_inbound(number=number, collection_id=collection_id, requested_units=wanted, failed_attempts=0)


def can_swap(decision: CaseDecision) -> bool:
    """Return whether one courier of a swapping carrier brings the whole replacement."""
    leg = decision.case.outbound
    carriers = {parcel.carrier for parcel in leg.parcels}
    is_able = len(leg.parcels) == 1 and carriers <= set(decision.collection_policy.swap_carriers)
    return leg.status is OutboundStatus.SHIPPED and is_able


def request_collection(decision: CaseDecision, earliest: date, *, swap: bool = False) -> None:
    """Send the request; further attempts and other days belong to the same collection."""
    leg = decision.case.inbound
    chosen = leg.chosen_window if leg.chosen_window and leg.chosen_window.day >= earliest else None
    swap = swap and (chosen is None or chosen.day == earliest)
    day = chosen.day if chosen else earliest
    within_days = 0 if chosen or swap else decision.collection_policy.share_visit_within_days
    visit = find_shared_visit(decision.customer, decision.case, day, within_days)
    decision.change_inbound(
        status=InboundStatus.REQUESTED,
        attempt=leg.attempt + 1,
        requested_at=decision.now,
        earliest_date=visit.day if visit else day,
        chosen_window=chosen,
        is_swap=swap,
        visit_id=visit.visit_id if visit else derived_id("visit", leg.collection_id, leg.attempt + 1),
        address_version=decision.customer.address_version,
        window_day=None,
        due_at=decision.after_open(decision.limits.collection_answer_hours),
    )
    _send_request(decision)


def _send_request(decision: CaseDecision) -> None:
    leg = decision.case.inbound
    if decision.ship_to is None:
        decision.anomaly("no_address")
        return
    request = {
        "collection_id": leg.collection_id,
        "attempt": leg.attempt,
        "requested_at": decision.now,
        "earliest_date": leg.earliest_date,
        "window": leg.chosen_window,
        "visit_id": leg.visit_id,
    }
    courier_details = {
        "lines": tuple(_collected_line(decision, line) for line in lines_for(decision.case, leg.requested_units)),
        "collect_from": decision.ship_to,
        "swap_with": decision.case.outbound.replacement_id if leg.is_swap else None,
    }
    decision.emit(
        CollectionRequested(**decision.ids, **request, **courier_details),
        IssueCollectionRequested(**decision.ids, **request, swap=leg.is_swap),
    )


def _collected_line(decision: CaseDecision, line: IssueLine) -> CollectedLine:
    """Return the line to collect: after a wrong delivery the delivered article, not the ordered one."""
    if decision.case.reason is not Reason.WRONG_ITEM:
        return CollectedLine.model_validate(line)
    sent = {"sku": line.received_instead.sku, "name": line.received_instead.name} if line.received_instead else {}
    return CollectedLine.model_validate(line).model_copy(update={**sent, "instead_of": line.sku})


def postpone(decision: CaseDecision, earliest: date) -> None:
    """Move the collection to the later delivery of the replacement."""
    leg = decision.case.inbound
    if leg.is_pending and (leg.window_day or leg.earliest_date or earliest) < earliest:
        request_collection(decision, earliest, swap=leg.is_swap)


def booked(decision: CaseDecision, event: CollectionBooked) -> None:
    if not _match_collection(decision, event):
        return
    leg = decision.case.inbound
    if not leg.is_pending or _is_of_earlier_attempt(decision, event):
        decision.ignore("superseded")
    elif leg.window_day == event.window.day:
        decision.ignore("duplicate")
    elif leg.earliest_date and event.window.day < leg.earliest_date:
        decision.anomaly("booked_too_early")
        _retry(decision)
    else:
        check_on = decision.calendar.open_day_after(max(event.window.day, decision.today))
        decision.change_inbound(
            status=InboundStatus.BOOKED,
            window_day=event.window.day,
            due_at=decision.calendar.moment(check_on, decision.limits.review_hour),
        )
        booking = {"collection_id": event.collection_id, "window": event.window, "attempt": leg.attempt}
        decision.emit(IssueCollectionBooked(**decision.ids, **booking))


def declined(decision: CaseDecision, event: CollectionDeclined) -> None:
    """Request the next open day; a chosen window and a booked day are lost (`window_answers`)."""
    if not _match_collection(decision, event):
        return
    leg = decision.case.inbound
    if not leg.is_pending or _is_of_earlier_attempt(decision, event):
        decision.ignore("superseded")
        return
    _retry(decision)


def attempt_failed(decision: CaseDecision, event: CollectionAttemptFailed) -> None:
    if not _match_collection(decision, event):
        return
    leg = decision.case.inbound
    is_earlier = leg.requested_at is not None and event.attempted_at < leg.requested_at
    if not leg.is_pending or is_earlier or _is_of_earlier_attempt(decision, event):
        decision.ignore("superseded")
        return
    has_more = leg.failed_attempts + 1 < decision.limits.collection_max_attempts
    attempt = {
        "collection_id": event.collection_id,
        "attempt": leg.attempt,
        "cause": event.cause,
        "attempted_at": event.attempted_at,
        "next_date": _next_collection_date(decision) if has_more else None,
    }
    decision.emit(IssueCollectionAttempted(**decision.ids, **attempt))
    _retry(decision)


def _is_of_earlier_attempt(
    decision: CaseDecision, event: CollectionBooked | CollectionDeclined | CollectionAttemptFailed
) -> bool:
    return event.attempt is not None and event.attempt < decision.case.inbound.attempt


def _retry(decision: CaseDecision) -> None:
    """Request the next open day; after the last attempt leave the rest to a reminder or a review."""
    decision.change_inbound(failed_attempts=decision.case.inbound.failed_attempts + 1, chosen_window=None)
    if decision.case.inbound.failed_attempts < decision.limits.collection_max_attempts:
        request_collection(decision, _next_collection_date(decision))
        return
    decision.change_inbound(status=InboundStatus.FAILED, due_at=None)
    if decision.case.inbound.remind_at is None and not decision.case.in_review(ReviewCause.NOT_COLLECTED):
        decision.open_review(ReviewCause.COLLECTION_FAILED)


def _next_collection_date(decision: CaseDecision) -> date:
    """Return the next open day, never before the delivery of the replacement."""
    outbound, day = decision.case.outbound, decision.carrier.open_day_after(decision.today)
    if outbound.status is OutboundStatus.SHIPPED and outbound.expected_delivery:
        return decision.carrier.next_open(max(day, outbound.expected_delivery))
    return day


def retry_collection(decision: CaseDecision) -> None:
    """Start a new series of attempts, after a reminder or at the request of staff."""
    if decision.case.inbound.status is InboundStatus.FAILED:
        decision.change_inbound(failed_attempts=0)
        request_collection(decision, _next_collection_date(decision))


def fetch_again(decision: CaseDecision) -> None:
    """Fetch the right units and send other articles back, as staff decided; without any missing, only go on."""
    case = decision.case
    wanted = missing(case.returnable_units, case.inbound.received)
    is_expected = case.plan.collect_on is not CollectOn.NEVER and not case.is_closed
    if not (wanted and is_expected and case.inbound.other_items):
        return
    receipts.send_back_other_items(decision)
    if case.inbound.status is InboundStatus.COLLECTED:
        _new_collection(decision, wanted)
        request_collection(decision, _next_collection_date(decision))


def collected(decision: CaseDecision, event: CollectionCollected) -> None:
    if not _match_collection(decision, event):
        return
    leg = decision.case.inbound
    if not leg.is_pending and leg.status is not InboundStatus.FAILED:
        decision.ignore("superseded")
        return
    handed_over = common_counts(to_counts(event.lines), leg.requested_units) if event.lines else leg.requested_units
    decision.change_inbound(
        status=InboundStatus.COLLECTED,
        collected=add_counts(leg.collected, handed_over),
        due_at=decision.after(days=decision.limits.receipt_days),
    )
    decision.close_reviews(ReviewCause.COLLECTION_FAILED, ReviewCause.NOT_COLLECTED)
    lines = to_lines(handed_over) if event.lines and handed_over else None
    collection = {"collection_id": event.collection_id, "collected_at": event.collected_at, "lines": lines}
    decision.emit(IssueCollected(**decision.ids, **collection))
    if remaining := missing(leg.requested_units, handed_over):
        _new_collection(decision, remaining)
        request_collection(decision, _next_collection_date(decision))


def reset(decision: CaseDecision) -> None:
    """Cancel the collection until the replacement has been sent again."""
    leg = decision.case.inbound
    if leg.is_pending or leg.status is InboundStatus.FAILED:
        if leg.is_pending:
            receipts.cancel_collection(decision, "replacement_not_arrived")
        decision.close_reviews(ReviewCause.COLLECTION_FAILED, ReviewCause.NOT_COLLECTED)
        decision.change_inbound(
            status=InboundStatus.NONE, collection_id=None, attempt=0, is_swap=False, visit_id=None, due_at=None
        )


def waive(decision: CaseDecision) -> None:
    """Let the customer keep what was not returned."""
    if decision.case.inbound.is_pending:
        receipts.cancel_collection(decision, "waived")
    decision.change_inbound(status=InboundStatus.WAIVED, due_at=None)


def stop(decision: CaseDecision, cause: str) -> None:
    """Cancel the collection and end the leg."""
    if decision.case.inbound.is_pending:
        receipts.cancel_collection(decision, cause)
    decision.change_inbound(status=InboundStatus.CANCELLED, due_at=None)


def _match_collection(decision: CaseDecision, event: CollectionEvent) -> bool:
    """Match the event to the current collection; where that fails, record why and return False."""
    if event.collection_id == decision.case.inbound.collection_id:
        return True
    if is_past(decision.case, event.collection_id):
        decision.ignore("past_collection")
    else:
        decision.anomaly("unknown_collection")
    return False


def is_past(case: Case, collection_id: UUID) -> bool:
    """Return whether this collection was requested for the case, now or before."""
    numbers = range(1, case.inbound.number + 1)
    return any(collection_id == derived_id("collection", case.issue_id, number) for number in numbers)


def on_timer(decision: CaseDecision) -> None:
    """Handle an overdue courier, receipt or inspection."""
    match decision.case.inbound.status:
        case InboundStatus.REQUESTED | InboundStatus.BOOKED:
            _retry(decision)
        case InboundStatus.COLLECTED:
            decision.open_review(ReviewCause.RECEIPT_OVERDUE)
            decision.change_inbound(due_at=decision.after(days=decision.limits.receipt_days))
        case _:
            decision.open_review(ReviewCause.INSPECTION_OVERDUE)
            decision.change_inbound(due_at=receipts.inspection_deadline(decision))
