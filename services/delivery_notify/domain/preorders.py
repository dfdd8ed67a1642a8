"""Progress reports on preorders, at least every half month until shipment.

On the 1st and the 15th of the shop's month, or every 15 days from the order (`schedule` in `notification_rules.toml`).
"""

from dataclasses import replace
from datetime import date, datetime, timedelta

from libs.common.events.notices import NoticeKind
from libs.common.events.values import Choice
from services.delivery_notify.domain.context import ConversationDecision
from services.delivery_notify.domain.conversation import Conversation
from services.delivery_notify.domain.customer_questions import QuestionTerms, ask, close_questions
from services.delivery_notify.domain.notices import NoticeFacts, NoticeLine
from services.delivery_notify.domain.order_line import Line
from services.delivery_notify.domain.promises import SHIP, announcement_of
from services.delivery_notify.domain.supersede import SHIP_DATE_NOTICES, notice_line
from services.delivery_notify.policy.notification_rules import NotificationRules

PROGRESS_DAYS = (1, 15)
PROGRESS_HOUR = 10
REPORT_INTERVAL = timedelta(days=15)
MIN_GAP = timedelta(days=4)
"""A line is left out of a report this soon after another notice about it."""


def next_report_at(conversation: Conversation, after: datetime, rules: NotificationRules) -> datetime:
    """Return the next scheduled day after this time, at 10:00 shop time."""
    if rules.preorder_schedule == "from_order" and conversation.ordered_on:
        return _every_15_days(conversation.ordered_on, after, rules)
    return next_half_month(after, rules)


def next_half_month(after: datetime, rules: NotificationRules) -> datetime:
    day = rules.calendar.day(after)
    following = (day.replace(day=28) + timedelta(days=4)).replace(day=1)
    days = [day.replace(day=number) for number in PROGRESS_DAYS] + [following]
    return min(moment for each in days if (moment := rules.calendar.moment(each, PROGRESS_HOUR)) > after)


def _every_15_days(ordered_on: date, after: datetime, rules: NotificationRules) -> datetime:
    times = max(1, (rules.calendar.day(after) - ordered_on) // REPORT_INTERVAL)
    moment = rules.calendar.moment(ordered_on + times * REPORT_INTERVAL, PROGRESS_HOUR)
    while moment <= after:
        times += 1
        moment = rules.calendar.moment(ordered_on + times * REPORT_INTERVAL, PROGRESS_HOUR)
    return moment


def schedule_reports(decision: ConversationDecision) -> None:
    """Schedule the next report of an order with an unshipped preorder line, and none for any other."""
    awaited = any(line.preorder and line.awaiting_shipment for line in decision.state.lines)
    if awaited and decision.state.next_progress_at is None:
        decision.change(next_progress_at=next_report_at(decision.state, decision.now, decision.rules))
    elif not awaited and decision.state.next_progress_at is not None:
        decision.change(next_progress_at=None)


def on_progress_due(decision: ConversationDecision) -> None:
    """Report on the preordered lines that had no other notice lately."""
    due_at = decision.state.next_progress_at
    if due_at is None or decision.now < due_at:
        decision.ignore("progress_not_due")
        return
    following = next_report_at(decision.state, decision.now, decision.rules)
    decision.change(next_progress_at=following)
    awaited = (line for line in decision.state.lines if line.preorder and line.awaiting_shipment)
    lines = [line for line in awaited if not line.shipping.updates_sent and not _has_recent_notice(decision, line)]
    if not lines:
        decision.ignore("recent_notice")
        return
    days = [line.shipping.day for line in lines if line.shipping.day]
    facts = NoticeFacts(
        tuple(_report_line(line) for line in lines),
        day=max(days) if len(days) == len(lines) else None,
        next_update_by=decision.rules.calendar.day(following),
        purchase_count=decision.state.purchase_count,
    )
    line_ids = tuple(line.line_id for line in lines)
    progress = frozenset({NoticeKind.PREORDER_PROGRESS})
    close_questions(decision, "superseded", lines=frozenset(line_ids), kinds=progress)
    decision.put_lines(replace(line, announced_stage=line.stage) for line in lines)
    ask(
        decision,
        NoticeKind.PREORDER_PROGRESS,
        facts,
        following,
        cause=(decision.rules.calendar.day(due_at),),
        subjects=line_ids,
        terms=QuestionTerms(default=Choice.WAIT),
        promised_date=facts.day,
        news=replace(announcement_of(SHIP, lines), supersedes=()),
    )


def _report_line(line: Line) -> NoticeLine:
    """Return the line with the stage of the last report where it has changed since."""
    before = line.announced_stage if line.announced_stage != line.stage else None
    return replace(notice_line(line), previous_stage=before)


def _has_recent_notice(decision: ConversationDecision, line: Line) -> bool:
    return any(
        line.line_id in notice.subjects and notice.kind in SHIP_DATE_NOTICES and decision.now - notice.made_at < MIN_GAP
        for notice in decision.state.notices
    )
