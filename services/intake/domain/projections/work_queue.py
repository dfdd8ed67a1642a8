"""Work queue of the desk as a projection of `issues` and `notices`: pure, one event at a time, no state.

Some work needs staff: a review, a customer who could not be reached or is unhappy. Other work is a deadline: an open
issue has an item `progress` per leg with its next step and due time; past that time the promise is broken or the case
stalls, and staff should look. An event opens, moves or ends items; the key of an item makes duplicates harmless.
`ended_reviews` holds which reviews an event makes obsolete.
"""

from collections.abc import Callable
from datetime import date, datetime, time, timedelta
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from libs.common.events import issues, notices
from libs.common.events.envelope import Payload
from libs.common.events.registry import AnyEvent
from libs.common.events.values import StaffAction
from services.intake.domain.projections.ended_reviews import ENDED_WITH_CASE, ended_reviews
from services.intake.domain.projections.work_items import (
    LEG_OF_STEP,
    UNDELIVERED,
    Leg,
    ReviewDecided,
    WorkChange,
    WorkEnded,
    WorkKind,
    WorkOpened,
    WorkStep,
    anomaly_about,
)

UNHAPPY_SCORE = 6
"""This score and below is an unhappy customer (the detractors of the Net Promoter Score)."""

STEP_LIMITS: dict[WorkStep, timedelta] = {
    WorkStep.ORDER: timedelta(hours=4),
    WorkStep.BOOK: timedelta(days=1),
    WorkStep.RECEIVE: timedelta(days=7),
    WorkStep.INSPECT: timedelta(days=7),
    WorkStep.REFUND: timedelta(days=2),
}
"""Time limits of steps without a promised date."""

UNHAPPY_RESPONSE_TIME = timedelta(days=1)
UNREACHED_RESPONSE_TIME = timedelta(days=1)
WINDOW_RESPONSE_TIME = timedelta(hours=4)
MESSAGE_RESPONSE_TIME = timedelta(days=1)
ANOMALY_RESPONSE_TIME = timedelta(days=1)

UNREACHABLE = ("contact_unknown", "address_suppressed", "no_channel_left")
"""Causes of `notice.suppressed` for which no channel to the customer was left."""

_DEFAULT_GRACE = timedelta(days=2)
"""Time after the due time of a question in which its default is published; without it the case stalls."""

_LEFT_TO_STAFF = (issues.WindowDeclinedBy.NO_ANSWER, issues.WindowDeclinedBy.COURIER)
_REJECTED_AT_INSPECTION = "not_as_reported"
_REVIEW_ACTIONS = frozenset({StaffAction.APPROVE_REVIEW, StaffAction.REFUSE_REVIEW})

Changes = tuple[WorkChange, ...]


def work_changes(event: AnyEvent, zone: ZoneInfo) -> Changes:
    """Return the work items that this event opens, moves and ends; none for most."""
    data: Any = event.data
    handler = _HANDLERS.get(type(data))
    changes = handler(data, event.time, zone) if handler else ()
    causes = ended_reviews(data)
    return (WorkEnded(data.issue_id, WorkKind.REVIEW, causes), *changes) if causes else changes


def _on_rated(event: issues.IssueRated, at: datetime, zone: ZoneInfo) -> Changes:
    if event.score > UNHAPPY_SCORE:
        return ()
    due_at, about = at + UNHAPPY_RESPONSE_TIME, str(event.resolution)
    return (WorkOpened(event.issue_id, WorkKind.UNHAPPY, at, due_at, about, str(event.score)),)


def _on_customer_wrote(event: issues.IssueCustomerWrote, at: datetime, zone: ZoneInfo) -> Changes:
    """Ask staff to answer; it stays until they have, also where the issue ends meanwhile."""
    due_at, about = at + MESSAGE_RESPONSE_TIME, str(event.message_id)
    return (WorkOpened(event.issue_id, WorkKind.MESSAGE, at, due_at, about, str(event.channel)),)


def _on_notice_failed(event: notices.NoticeFailed, at: datetime, zone: ZoneInfo) -> Changes:
    if event.issue_id is None:
        return ()
    if event.kind == notices.NoticeKind.STAFF_REPLY:
        return (_undelivered(event, at),)
    due_at = at + UNREACHED_RESPONSE_TIME
    return (WorkOpened(event.issue_id, WorkKind.UNREACHED, at, due_at, "", event.cause[:200]),)


def _on_notice_suppressed(event: notices.NoticeSuppressed, at: datetime, zone: ZoneInfo) -> Changes:
    """Only words of staff are missed by somebody; what replaced any other notice is on its way."""
    is_lost = event.kind == notices.NoticeKind.STAFF_REPLY and event.issue_id and event.cause in UNREACHABLE
    return (_undelivered(event, at),) if is_lost else ()


def _undelivered(event: notices.NoticeEvent, at: datetime) -> WorkOpened:
    """The reply did not reach the customer: the message waits for staff again, until they have dealt with it."""
    assert event.issue_id
    due_at = at + MESSAGE_RESPONSE_TIME
    return WorkOpened(event.issue_id, WorkKind.MESSAGE, at, due_at, str(event.notice_id), UNDELIVERED)


def _on_anomaly_detected(event: issues.IssueAnomalyDetected, at: datetime, zone: ZoneInfo) -> Changes:
    """Open one item per cause, however often it is reported; it stays until staff have dealt with it."""
    report = f"{event.event_type.rpartition('.v')[0]} {event.reported_by}"
    about = anomaly_about(event.anomaly, event.cause_id)
    return (WorkOpened(event.issue_id, WorkKind.ANOMALY, at, at + ANOMALY_RESPONSE_TIME, about, report),)


def _on_notice_sent(event: notices.NoticeSent, at: datetime, zone: ZoneInfo) -> Changes:
    return (WorkEnded(event.issue_id, WorkKind.UNREACHED),) if event.issue_id else ()


def _on_customer_decided(event: notices.CustomerDecided, at: datetime, zone: ZoneInfo) -> Changes:
    return (WorkEnded(event.issue_id, WorkKind.CHOICE),) if event.issue_id else ()


def _on_decision_applied(event: issues.IssueStaffDecisionApplied, at: datetime, zone: ZoneInfo) -> Changes:
    if event.action == StaffAction.WAIVE_COLLECTION and event.applied:
        return (_done(event.issue_id, Leg.INBOUND),)
    decided = event.action in _REVIEW_ACTIONS and (event.applied or event.code == "no_such_review")
    return (ReviewDecided(event.issue_id, event.decision_id),) if decided else ()


def _on_accepted(event: issues.IssueAccepted, at: datetime, zone: ZoneInfo) -> Changes:
    return WorkEnded(event.issue_id, WorkKind.DETAILS), _limited(event.issue_id, WorkStep.ORDER, at)


def _on_closed(event: issues.IssueEvent, at: datetime, zone: ZoneInfo) -> Changes:
    """End everything but anomalies and messages: goods or money that nobody asked for do not go away with the issue."""
    return tuple([WorkEnded(event.issue_id, kind) for kind in WorkKind if kind not in _KEPT_AFTER_THE_END])


def _on_cancelled(event: issues.IssueCancelled, at: datetime, zone: ZoneInfo) -> Changes:
    """End everything; of an item that is not the reported one, the reviews that staff alone can decide stay open."""
    if event.cause != _REJECTED_AT_INSPECTION:
        return _on_closed(event, at, zone)
    kept = (WorkKind.REVIEW, *_KEPT_AFTER_THE_END)
    ended = [WorkEnded(event.issue_id, kind) for kind in WorkKind if kind not in kept]
    return WorkEnded(event.issue_id, WorkKind.REVIEW, ENDED_WITH_CASE), *ended


def _on_resolved(event: issues.IssueResolved, at: datetime, zone: ZoneInfo) -> Changes:
    return tuple([WorkEnded(event.issue_id, kind) for kind in _KINDS_OF_OPEN_ISSUES])


def _on_reopened(event: issues.IssueReopened, at: datetime, zone: ZoneInfo) -> Changes:
    return _limited(event.issue_id, WorkStep.ORDER, at), WorkEnded(event.issue_id, WorkKind.UNHAPPY)


def _on_review_requested(event: issues.IssueReviewRequested, at: datetime, zone: ZoneInfo) -> Changes:
    review = WorkOpened(event.issue_id, WorkKind.REVIEW, at, event.due_at, event.cause)
    return _done(event.issue_id, Leg.START), review


def _on_details_requested(event: issues.IssueDetailsRequested, at: datetime, zone: ZoneInfo) -> Changes:
    details = WorkOpened(event.issue_id, WorkKind.DETAILS, at, event.due_at, "", ", ".join(event.missing))
    return details, _progress(event.issue_id, WorkStep.DECISION, at, event.due_at + _DEFAULT_GRACE)


def _on_details_provided(event: issues.IssueDetailsProvided, at: datetime, zone: ZoneInfo) -> Changes:
    if event.missing:
        return ()
    return WorkEnded(event.issue_id, WorkKind.DETAILS), _limited(event.issue_id, WorkStep.ORDER, at)


def _on_choice_requested(event: issues.IssueChoiceRequested, at: datetime, zone: ZoneInfo) -> Changes:
    choice = WorkOpened(event.issue_id, WorkKind.CHOICE, at, event.due_at, "", event.cause)
    progress = _progress(event.issue_id, WorkStep.DECISION, at, event.due_at + _DEFAULT_GRACE)
    return choice, _done(event.issue_id, Leg.OUTBOUND), progress


def _on_replacement_ordered(event: issues.IssueReplacementOrdered, at: datetime, zone: ZoneInfo) -> Changes:
    return *_decided(event.issue_id), _dated(event.issue_id, WorkStep.SHIP, at, event.promised_ship_date, zone)


def _on_ship_date(
    event: issues.IssueReplacementPromised | issues.IssueReplacementDelayed, at: datetime, zone: ZoneInfo
) -> Changes:
    return *_decided(event.issue_id), _dated(event.issue_id, WorkStep.SHIP, at, event.ship_date, zone)


def _on_replacement_shipped(event: issues.IssueReplacementShipped, at: datetime, zone: ZoneInfo) -> Changes:
    return *_decided(event.issue_id), _dated(event.issue_id, WorkStep.ARRIVE, at, event.expected_delivery_date, zone)


def _on_part_shipped(event: issues.IssueReplacementPartShipped, at: datetime, zone: ZoneInfo) -> Changes:
    return *_decided(event.issue_id), _dated(event.issue_id, WorkStep.SHIP, at, event.remaining_ship_date, zone)


def _on_delivery_changed(event: issues.IssueReplacementDeliveryChanged, at: datetime, zone: ZoneInfo) -> Changes:
    return (_dated(event.issue_id, WorkStep.ARRIVE, at, event.expected_delivery_date, zone),)


def _on_replacement_delivered(event: issues.IssueReplacementDelivered, at: datetime, zone: ZoneInfo) -> Changes:
    return (_done(event.issue_id, Leg.OUTBOUND),)


def _on_collection_requested(event: issues.IssueCollectionRequested, at: datetime, zone: ZoneInfo) -> Changes:
    return _done(event.issue_id, Leg.START), _limited(event.issue_id, WorkStep.BOOK, at)


def _on_collection_booked(event: issues.IssueCollectionBooked, at: datetime, zone: ZoneInfo) -> Changes:
    return _window_settled(event.issue_id), _dated(event.issue_id, WorkStep.COLLECT, at, event.window.day, zone)


def _on_window_declined(event: issues.IssueCollectionWindowDeclined, at: datetime, zone: ZoneInfo) -> Changes:
    """Ask staff to settle the time with the courier; nobody has to where a later day follows from a delivery."""
    if event.cause not in _LEFT_TO_STAFF:
        return (_window_settled(event.issue_id),) if event.cause == issues.WindowDeclinedBy.NOT_NEEDED else ()
    detail = f"{event.cause} {event.day.isoformat()}"
    return (WorkOpened(event.issue_id, WorkKind.WINDOW, at, at + WINDOW_RESPONSE_TIME, "", detail),)


def _window_settled(issue_id: UUID) -> WorkEnded:
    return WorkEnded(issue_id, WorkKind.WINDOW)


def _on_collection_moved(
    event: issues.IssueCollectionAttempted | issues.IssueCollectionReminded, at: datetime, zone: ZoneInfo
) -> Changes:
    """Wait for the next visit; without one, a review asks staff to arrange it."""
    if event.next_date is None:
        return (_done(event.issue_id, Leg.INBOUND),)
    return (_dated(event.issue_id, WorkStep.COLLECT, at, event.next_date, zone),)


def _on_collected(event: issues.IssueCollected, at: datetime, zone: ZoneInfo) -> Changes:
    return _window_settled(event.issue_id), _limited(event.issue_id, WorkStep.RECEIVE, at)


def _on_received(event: issues.IssueItemReceived, at: datetime, zone: ZoneInfo) -> Changes:
    return _window_settled(event.issue_id), _limited(event.issue_id, WorkStep.INSPECT, at)


def _on_inspected(event: issues.IssueItemInspected, at: datetime, zone: ZoneInfo) -> Changes:
    return (_done(event.issue_id, Leg.INBOUND),)


def _on_refund_requested(event: issues.IssueRefundRequested, at: datetime, zone: ZoneInfo) -> Changes:
    refund = _limited(event.issue_id, WorkStep.REFUND, at)
    return *_decided(event.issue_id), _done(event.issue_id, Leg.OUTBOUND), refund


def _on_refunded(event: issues.IssueRefunded, at: datetime, zone: ZoneInfo) -> Changes:
    """End the wait for the money, or after a part of it start to wait for the rest."""
    return (_limited(event.issue_id, WorkStep.REFUND, at) if event.remaining else _done(event.issue_id, Leg.MONEY),)


_KEPT_AFTER_THE_END = (WorkKind.ANOMALY, WorkKind.MESSAGE)
_KINDS_OF_OPEN_ISSUES = tuple(kind for kind in WorkKind if kind not in (WorkKind.UNHAPPY, *_KEPT_AFTER_THE_END))

_HANDLERS: dict[type[Payload], Callable[[Any, datetime, ZoneInfo], Changes]] = {
    issues.IssueAccepted: _on_accepted,
    issues.IssueRejected: _on_closed,
    issues.IssueCancelled: _on_cancelled,
    issues.IssueResolved: _on_resolved,
    issues.IssueReopened: _on_reopened,
    issues.IssueRated: _on_rated,
    issues.IssueCustomerWrote: _on_customer_wrote,
    notices.NoticeSuppressed: _on_notice_suppressed,
    issues.IssueReviewRequested: _on_review_requested,
    issues.IssueDetailsRequested: _on_details_requested,
    issues.IssueDetailsProvided: _on_details_provided,
    issues.IssueChoiceRequested: _on_choice_requested,
    issues.IssueStaffDecisionApplied: _on_decision_applied,
    issues.IssueReplacementOrdered: _on_replacement_ordered,
    issues.IssueReplacementPromised: _on_ship_date,
    issues.IssueReplacementDelayed: _on_ship_date,
    issues.IssueReplacementShipped: _on_replacement_shipped,
    issues.IssueReplacementPartShipped: _on_part_shipped,
    issues.IssueReplacementDeliveryChanged: _on_delivery_changed,
    issues.IssueReplacementDelivered: _on_replacement_delivered,
    issues.IssueCollectionRequested: _on_collection_requested,
    issues.IssueCollectionBooked: _on_collection_booked,
    issues.IssueCollectionWindowDeclined: _on_window_declined,
    issues.IssueCollectionAttempted: _on_collection_moved,
    issues.IssueCollectionReminded: _on_collection_moved,
    issues.IssueCollected: _on_collected,
    issues.IssueItemReceived: _on_received,
    issues.IssueItemInspected: _on_inspected,
    issues.IssueRefundRequested: _on_refund_requested,
    issues.IssueRefunded: _on_refunded,
    issues.IssueAnomalyDetected: _on_anomaly_detected,
    notices.NoticeFailed: _on_notice_failed,
    notices.NoticeSent: _on_notice_sent,
    notices.CustomerDecided: _on_customer_decided,
}


def end_of(day: date, zone: ZoneInfo) -> datetime:
    """Return the last second of that day in the shop's time zone."""
    return datetime.combine(day + timedelta(days=1), time(0), zone) - timedelta(seconds=1)


def _done(issue_id: UUID, leg: Leg) -> WorkEnded:
    return WorkEnded(issue_id, WorkKind.PROGRESS, (leg,))


def _decided(issue_id: UUID) -> tuple[WorkEnded, WorkEnded]:
    """End an open choice and the start leg: the issue moves on."""
    return WorkEnded(issue_id, WorkKind.CHOICE), _done(issue_id, Leg.START)


def _limited(issue_id: UUID, step: WorkStep, at: datetime) -> WorkOpened:
    return _progress(issue_id, step, at, at + STEP_LIMITS[step])


def _dated(issue_id: UUID, step: WorkStep, at: datetime, day: date, zone: ZoneInfo) -> WorkOpened:
    return _progress(issue_id, step, at, end_of(day, zone), day)


def _progress(issue_id: UUID, step: WorkStep, at: datetime, due_at: datetime, day: date | None = None) -> WorkOpened:
    detail = step if day is None else f"{step} {day.isoformat()}"
    return WorkOpened(issue_id, WorkKind.PROGRESS, at, due_at, LEG_OF_STEP[step], detail)
