"""Replacements without a ship date: the customer is given the day by which it follows, and that day is kept.

The first date is that of the warehouse. Where it comes within the seconds that `issue.replacement_ordered` allows, the
answer to the report states it. Else the customer gets a day by which the date follows, as a promise in the ledger. If
it does not follow, the returns service asks staff (`warehouse_silent`) and the customer gets their deadline as the next
day; a timer here speaks where nothing was heard at all.
"""

from datetime import date, datetime
from uuid import UUID

from libs.common.decisions.fast_replace import replace
from libs.common.events.issues import IssueReplacementOrdered
from libs.common.events.notices import NoticeKind, PromiseSubject
from services.delivery_notify.domain.context import ConversationDecision
from services.delivery_notify.domain.issue_notices import UNDATED, issue_facts, notify_issue
from services.delivery_notify.domain.issue_thread import (
    IssueThread,
    PendingNotice,
    ReplacementShipment,
    await_update,
)
from services.delivery_notify.domain.notices import NoticeFacts, PromiseMade

WAREHOUSE_SILENT = "warehouse_silent"
"""Cause of the review of a replacement without a date."""


def await_date(
    decision: ConversationDecision, thread: IssueThread, event: IssueReplacementOrdered, past: tuple[UUID, ...]
) -> IssueThread:
    """Wait for the first date until `date_expected_at`."""
    shipment = ReplacementShipment(
        event.replacement_id, event.promised_ship_date, date_known_by=event.date_known_by, remedy=event.remedy
    )
    expected_at = event.date_expected_at or event.ordered_at
    thread = replace(
        thread,
        replacement=shipment,
        past_replacements=past,
        pending=PendingNotice.SHIP_DATE,
        notify_at=expected_at,
    )
    decision.put_thread(thread)
    return thread


def on_date_awaited(decision: ConversationDecision, thread: IssueThread) -> None:
    """Announce the day by which the date follows: the warehouse did not answer at once."""
    shipment = thread.replacement
    if shipment is None or shipment.date_known_by is None:
        decision.ignore("replacement_date_known")
        return
    day = shipment.date_known_by
    if day < decision.today:  # the event was read days late
        day = decision.rules.next_update_by(decision.now, 0)
    _announce(decision, thread, replace(shipment, date_known_by=day), "issue.replacement_ordered", None)


def on_date_overdue(decision: ConversationDecision, thread: IssueThread, due_at: datetime, source: str) -> None:
    """Announce another day by which the date follows; `due_at` is when staff are to have settled it."""
    shipment = thread.replacement
    if shipment is None or shipment.date_known_by is None:
        decision.ignore("replacement_date_known")
        return
    day = decision.rules.calendar.day(due_at)
    was_announced = thread.answered and thread.pending is not PendingNotice.SHIP_DATE
    if was_announced:
        number, missed = shipment.date_number + 1, shipment.date_known_by
        shipment = replace(shipment, date_number=number, missed_day=missed)
    _announce(decision, thread, replace(shipment, date_known_by=day), source, due_at)


def _announce(
    decision: ConversationDecision,
    thread: IssueThread,
    shipment: ReplacementShipment,
    source: str,
    next_at: datetime | None,
) -> None:
    first_answer, day = not thread.answered, shipment.date_known_by
    assert day
    thread = replace(thread, replacement=shipment, answered=True, updates_sent=shipment.date_number)
    decision.put_thread(await_update(thread, next_at or _end_of(decision, day)))
    subject_id, number = str(shipment.replacement_id), shipment.date_number
    decision.emit(
        PromiseMade(
            decision.state.order_id, PromiseSubject.REPLACEMENT_DATE, subject_id, number, day, source, decision.now
        )
    )
    facts = NoticeFacts(
        plan=UNDATED,
        day=day,
        next_update_by=day,
        remedy=shipment.remedy,
        update_number=number + 1,
        **issue_facts(decision.state, thread),
    )
    if first_answer:
        notify_issue(decision, thread, NoticeKind.ISSUE_ACCEPTED, facts, cause=(thread.issue_id,))
    else:
        cause = (shipment.replacement_id, "date", number)
        notify_issue(decision, thread, NoticeKind.REVIEW_STARTED, facts, cause=cause)


def _end_of(decision: ConversationDecision, day: date) -> datetime:
    """Return when nothing having come is noticed here: after the returns service does, and still on that day."""
    ends = decision.rules.cutoff(day, decision.rules.ship_cutoff)
    return ends if ends > decision.now else decision.rules.update_time(decision.rules.next_update_by(decision.now, 0))
