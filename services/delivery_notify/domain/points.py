"""Notices about points: those granted for an issue, and those that expire soon.

Points for purchases, tiers and birthdays are advertising, which needs consent (`loyalty_news`).
The last notice of an issue is held back a moment for its points; points granted later (by staff) have a notice of their
own. Expiring points are announced once per day of expiry, batched on the 1st and the 15th of the month.
"""

from datetime import datetime, timedelta
from uuid import UUID

from libs.common.decisions.fast_replace import replace
from libs.common.events.loyalty import PointsExpiring, PointsGranted, PointsWithheld
from libs.common.events.notices import NoticeKind
from libs.common.events.values import Reason
from services.delivery_notify.domain.context import ConversationDecision
from services.delivery_notify.domain.conversation import NoticeRecord
from services.delivery_notify.domain.event_buffer import hold_for_merge
from services.delivery_notify.domain.gifts import is_for_recipient
from services.delivery_notify.domain.issue_notices import issue_facts, issue_subject, notify_issue
from services.delivery_notify.domain.issue_thread import ApologyPoints, IssueThread, PendingNotice
from services.delivery_notify.domain.notice_creation import notice_id
from services.delivery_notify.domain.notices import NoticeCreated, NoticeFacts, PointsDecided
from services.delivery_notify.domain.preorders import PROGRESS_HOUR, next_half_month

FINAL_NOTICES = frozenset({NoticeKind.ISSUE_RESOLVED, NoticeKind.REFUNDED})
"""One of these is the last notice of an issue."""

UNKNOWN_ISSUE_DELAY = timedelta(hours=6)
"""Maximum wait of points for the events of their issue."""

MIN_SPENDING_TIME = timedelta(days=14)
"""Expiring points are batched only if this much time is left to spend them."""


def notify_end(
    decision: ConversationDecision,
    thread: IssueThread,
    kind: NoticeKind,
    facts: NoticeFacts,
    *,
    cause: tuple[object, ...],
) -> None:
    """Create the last notice of an issue, with its points or held back for them. A change of mind earns none."""
    if is_for_recipient(decision.state, thread, kind, facts):
        notify_issue(decision, thread, kind, facts, cause=cause)
        notify_points(decision, thread)  # the points are the customer's
        return
    apology = thread.apology
    wait = timedelta(0) if apology or thread.reason is Reason.CHANGED_MIND else decision.rules.batching_delay
    if apology and not apology.announced:
        facts = _with_points(apology, facts)
        decision.put_thread(replace(thread, apology=replace(apology, announced=True)))
    notify_issue(decision, thread, kind, facts, cause=cause, wait=wait)


def on_points_granted(decision: ConversationDecision, event: PointsGranted) -> None:
    """Add points for an issue to its last notice while that is unsent; else keep them for it or announce them alone."""
    conversation, rules = decision.state, decision.rules
    if event.issue_id is None:
        decision.ignore("no_notice")
        return
    if hold_for_merge(decision, event):
        decision.anomaly("points_of_another_customer", f"{decision.state.order_id} {event.issue_id}")
        return
    thread = conversation.thread(event.issue_id) or _thread_of_points(decision, event.issue_id, event.customer_id)
    if thread.apology and thread.apology.entry_id == event.entry_id:
        decision.ignore("duplicate_points")
        return
    usable_from = rules.calendar.day(event.vests_at or event.granted_at)
    apology = ApologyPoints(event.entry_id, event.points, usable_from, event.expires_on)
    if final := _unsent_final_notice(decision, thread):
        decision.put_thread(replace(thread, apology=replace(apology, announced=True)))
        decided = PointsDecided(final.notice_id, apology.points, apology.usable_from, apology.usable_until)
        _release(decision, final, decided)
        return
    thread = replace(thread, apology=apology)
    decision.put_thread(thread)
    if thread.closed_by:
        notify_points(decision, thread)


def _thread_of_points(decision: ConversationDecision, issue_id: UUID, customer_id: str) -> IssueThread:
    """Return a thread of which only points are known: its other events are on a topic that is read later.

    That happens after a restore. Points are announced alone where no other event comes.
    """
    notify_at = decision.now + UNKNOWN_ISSUE_DELAY
    return IssueThread(issue_id, customer_id, pending=PendingNotice.POINTS, notify_at=notify_at)


def on_points_withheld(decision: ConversationDecision, event: PointsWithheld) -> None:
    """Send the last notice of the issue without points."""
    if hold_for_merge(decision, event):
        decision.anomaly("points_of_another_customer", f"{decision.state.order_id} {event.issue_id}")
        return
    thread = decision.state.thread(event.issue_id)
    if thread is None or thread.apology or thread.customer_id != event.customer_id:
        decision.ignore("no_pending_notice")
        return
    decision.put_thread(replace(thread, apology=ApologyPoints(announced=True)))
    if final := _unsent_final_notice(decision, thread):
        _release(decision, final, PointsDecided(final.notice_id))


def _release(decision: ConversationDecision, notice: NoticeRecord, decided: PointsDecided) -> None:
    decision.state = decision.state.with_changed_notice(replace(notice, due_at=decision.now))
    decision.emit(decided)


def notify_points(decision: ConversationDecision, thread: IssueThread) -> bool:
    """Announce the points of a closed issue by themselves; return whether there were any to announce."""
    apology = thread.apology
    if apology is None or apology.announced:
        return False
    decision.put_thread(replace(thread, apology=replace(apology, announced=True)))
    facts = _with_points(apology, NoticeFacts(day=apology.usable_until, **issue_facts(decision.state, thread)))
    notify_issue(decision, thread, NoticeKind.POINTS_GRANTED, facts, cause=(apology.entry_id,))
    return True


def _with_points(apology: ApologyPoints, facts: NoticeFacts) -> NoticeFacts:
    usable_from, usable_until = apology.usable_from, apology.usable_until
    return replace(facts, points=apology.points, usable_from=usable_from, usable_until=usable_until)


def _unsent_final_notice(decision: ConversationDecision, thread: IssueThread) -> NoticeRecord | None:
    """The last notice of this issue, if it is certain to be unsent."""
    until, subject = decision.now + decision.rules.deadline_margin, issue_subject(thread.issue_id)
    kinds = {kind for kind in FINAL_NOTICES if not is_for_recipient(decision.state, thread, kind, NoticeFacts())}
    finals = (each for each in decision.state.notices if each.kind in kinds and each.subjects == subject)
    return next((each for each in finals if each.is_unsent(until)), None)


def on_points_expiring(decision: ConversationDecision, event: PointsExpiring) -> None:
    """Announce points that expire soon. The state names the customer's latest order, whose contact is used; it is not
    changed."""
    if decision.state.customer_id is None:
        decision.ignore("unknown_customer")
        return
    if event.expires_on < decision.today:
        decision.ignore("date_in_past")
        return
    kind = NoticeKind.POINTS_EXPIRING
    facts = NoticeFacts(
        day=event.expires_on,
        points=event.points,
        balance=event.balance,
        as_of=decision.rules.calendar.day(event.announced_at),
    )
    new_id = notice_id(event.customer_id, kind, event.expires_on)
    order_id, due_at = decision.state.order_id, _batch_time(decision, event)
    decision.emit(NoticeCreated(new_id, order_id, event.customer_id, kind, facts, decision.now, due_at, batched=True))


def _batch_time(decision: ConversationDecision, event: PointsExpiring) -> datetime:
    """The next batching day that leaves time to spend the points; else the next morning, or now on the last day."""
    calendar = decision.rules.calendar
    batching = next_half_month(decision.now, decision.rules)
    if calendar.day(batching) + MIN_SPENDING_TIME <= event.expires_on:
        return batching
    morning = calendar.moment(decision.today, PROGRESS_HOUR)
    if morning < decision.now:
        morning = calendar.moment(decision.today + timedelta(days=1), PROGRESS_HOUR)
    return morning if calendar.day(morning) < event.expires_on else decision.now
