"""Notices about points: those granted for an issue, and those that expire soon.

Points for purchases, tiers and birthdays give no notice: the statement shows them, and a mail would be advertising.
The last notice of an issue is held back a moment for its points; points granted later (by staff) have a notice of their
own. Expiring points are announced once per day of expiry, batched on the 1st and the 15th of the month.
"""

from datetime import datetime, timedelta

from libs.common.decisions.fast_replace import replace
from libs.common.events.loyalty import PointsExpiring, PointsGranted, PointsWithheld
from libs.common.events.notices import NoticeKind
from libs.common.events.values import Reason
from services.delivery_notify.domain.conversation import NoticeRecord
from services.delivery_notify.domain.decision_context import ConversationDecision
from services.delivery_notify.domain.issue_notices import issue_facts, issue_subject, notify_issue
from services.delivery_notify.domain.issue_thread import ApologyPoints, IssueThread
from services.delivery_notify.domain.notice_creation import notice_id
from services.delivery_notify.domain.notices import NoticeCreated, NoticeFacts, PointsDecided
from services.delivery_notify.domain.preorders import PROGRESS_HOUR, next_half_month

FINAL_NOTICES = frozenset({NoticeKind.ISSUE_RESOLVED, NoticeKind.REFUNDED})
"""One of these is the last notice of an issue."""

MIN_SPENDING_TIME = timedelta(days=14)
"""Expiring points are batched only if this much time is left to spend them."""


def notify_end(
    ctx: ConversationDecision, thread: IssueThread, kind: NoticeKind, facts: NoticeFacts, *, cause: tuple[object, ...]
) -> None:
    """Create the last notice of an issue, with its points or held back for them. A change of mind earns none."""
    apology = thread.apology
    wait = timedelta(0) if apology or thread.reason is Reason.CHANGED_MIND else ctx.rules.batching_delay
    if apology and not apology.announced:
        facts = _with_points(apology, facts)
        ctx.put_thread(replace(thread, apology=replace(apology, announced=True)))
    notify_issue(ctx, thread, kind, facts, cause=cause, wait=wait)


def on_points_granted(ctx: ConversationDecision, event: PointsGranted) -> None:
    """Add points for an issue to its last notice while that is unsent; else keep them for it or announce them alone."""
    conversation, rules = ctx.state, ctx.rules
    if event.issue_id is None:
        ctx.ignore("no_notice")
        return
    if conversation.customer_id is not None and conversation.customer_id != event.customer_id:
        ctx.anomaly("points_of_another_customer", f"{conversation.order_id} {event.issue_id}")
        return
    thread = conversation.thread(event.issue_id)
    thread = thread or IssueThread(event.issue_id, event.customer_id, closed_by="resolved")
    if thread.apology and thread.apology.entry_id == event.entry_id:
        ctx.ignore("duplicate_points")
        return
    usable_from = rules.calendar.day(event.vests_at or event.granted_at)
    apology = ApologyPoints(event.entry_id, event.points, usable_from, event.expires_on)
    if final := _unsent_final_notice(ctx, thread):
        ctx.put_thread(replace(thread, apology=replace(apology, announced=True)))
        decided = PointsDecided(final.notice_id, apology.points, apology.usable_from, apology.usable_until)
        _release(ctx, final, decided)
        return
    thread = replace(thread, apology=apology)
    ctx.put_thread(thread)
    if thread.closed_by:
        notify_points(ctx, thread)


def on_points_withheld(ctx: ConversationDecision, event: PointsWithheld) -> None:
    """Send the last notice of the issue without points."""
    thread = ctx.state.thread(event.issue_id)
    if thread is None or thread.apology or thread.customer_id != event.customer_id:
        ctx.ignore("no_pending_notice")
        return
    ctx.put_thread(replace(thread, apology=ApologyPoints(announced=True)))
    if final := _unsent_final_notice(ctx, thread):
        _release(ctx, final, PointsDecided(final.notice_id))


def _release(ctx: ConversationDecision, notice: NoticeRecord, decided: PointsDecided) -> None:
    ctx.state = ctx.state.with_changed_notice(replace(notice, due_at=ctx.now))
    ctx.emit(decided)


def notify_points(ctx: ConversationDecision, thread: IssueThread) -> bool:
    """Announce the points of a closed issue by themselves; return whether there were any to announce."""
    apology = thread.apology
    if apology is None or apology.announced:
        return False
    ctx.put_thread(replace(thread, apology=replace(apology, announced=True)))
    facts = _with_points(apology, NoticeFacts(day=apology.usable_until, **issue_facts(ctx.state, thread)))
    notify_issue(ctx, thread, NoticeKind.POINTS_GRANTED, facts, cause=(apology.entry_id,))
    return True


def _with_points(apology: ApologyPoints, facts: NoticeFacts) -> NoticeFacts:
    usable_from, usable_until = apology.usable_from, apology.usable_until
    return replace(facts, points=apology.points, usable_from=usable_from, usable_until=usable_until)


def _unsent_final_notice(ctx: ConversationDecision, thread: IssueThread) -> NoticeRecord | None:
    """The last notice of this issue, if it is certain to be unsent."""
    until, subject = ctx.now + ctx.rules.deadline_margin, issue_subject(thread.issue_id)
    finals = (each for each in ctx.state.notices if each.kind in FINAL_NOTICES and each.subjects == subject)
    return next((each for each in finals if each.is_unsent(until)), None)


def on_points_expiring(ctx: ConversationDecision, event: PointsExpiring) -> None:
    """Announce points that expire soon. The state names the customer's latest order, whose contact is used; it is not
    changed."""
    if ctx.state.customer_id is None:
        ctx.ignore("unknown_customer")
        return
    if event.expires_on < ctx.today:
        ctx.ignore("date_in_past")
        return
    kind = NoticeKind.POINTS_EXPIRING
    facts = NoticeFacts(
        day=event.expires_on,
        points=event.points,
        balance=event.balance,
        as_of=ctx.rules.calendar.day(event.announced_at),
    )
    new_id = notice_id(event.customer_id, kind, event.expires_on)
    order_id, due_at = ctx.state.order_id, _batch_time(ctx, event)
    ctx.emit(NoticeCreated(new_id, order_id, event.customer_id, kind, facts, ctx.now, due_at, batched=True))


def _batch_time(ctx: ConversationDecision, event: PointsExpiring) -> datetime:
    """The next batching day that leaves time to spend the points; else the next morning, or now on the last day."""
    calendar = ctx.rules.calendar
    batching = next_half_month(ctx.now, ctx.rules)
    if calendar.day(batching) + MIN_SPENDING_TIME <= event.expires_on:
        return batching
    morning = calendar.moment(ctx.today, PROGRESS_HOUR)
    if morning < ctx.now:
        morning = calendar.moment(ctx.today + timedelta(days=1), PROGRESS_HOUR)
    return morning if calendar.day(morning) < event.expires_on else ctx.now
