"""How a preorder is going: told on the 1st and the 15th of the shop's month, unasked, until the parcel leaves."""

from dataclasses import replace
from datetime import datetime, timedelta

from libs.common.decision import Ignored
from libs.common.events.notices import NoticeKind
from libs.common.shop_calendar import ShopCalendar
from services.delivery_notify.conversation import Conversation, Line
from services.delivery_notify.notices import NoticeFacts, Outcome, say
from services.delivery_notify.orders import DATE_NEWS, thing

PROGRESS_DAYS = (1, 15)
PROGRESS_HOUR = 10
TOLD_LATELY = timedelta(days=4)
"""A line of which another notice spoke this short a time ago is not spoken of again."""


def next_half_month(after: datetime, calendar: ShopCalendar) -> datetime:
    """The next 1st or 15th, 10:00 shop time, after this moment."""
    day = calendar.day(after)
    following = (day.replace(day=28) + timedelta(days=4)).replace(day=1)
    days = [day.replace(day=number) for number in PROGRESS_DAYS] + [following]
    return min(moment for each in days if (moment := calendar.moment(each, PROGRESS_HOUR)) > after)


def schedule(conversation: Conversation, now: datetime, calendar: ShopCalendar) -> Conversation:
    """See to it that an order with an awaited preorder has a next report, and any other has none."""
    waiting = any(line.preorder and line.awaited for line in conversation.lines)
    if waiting and conversation.next_progress is None:
        return replace(conversation, next_progress=next_half_month(now, calendar))
    if not waiting and conversation.next_progress is not None:
        return replace(conversation, next_progress=None)
    return conversation


def half_month(conversation: Conversation, now: datetime, calendar: ShopCalendar) -> Outcome:
    """The 1st or the 15th has come: tell how the preordered lines are going, those not spoken of lately."""
    if conversation.next_progress is None or now < conversation.next_progress:
        return conversation, [Ignored("progress_not_due")]
    due = calendar.day(conversation.next_progress)
    following = next_half_month(now, calendar)
    conversation = replace(conversation, next_progress=following)
    lines = [line for line in conversation.lines if line.preorder and line.awaited and line.words == 0]
    lines = [line for line in lines if not _told_lately(conversation, line, now)]
    if not lines:
        return conversation, [Ignored("told_lately")]
    dates = [line.promise for line in lines if line.promise]
    day = max(dates) if len(dates) == len(lines) else None
    facts = NoticeFacts(
        tuple(thing(line) for line in lines),
        day=day,
        next_word=calendar.day(following),
        purchase_count=conversation.purchase_count,
    )
    about = tuple(line.line_id for line in lines)
    kind = NoticeKind.PREORDER_PROGRESS
    return say(conversation, kind, facts, now, cause=(due,), about=about, promised_date=day)


def _told_lately(conversation: Conversation, line: Line, now: datetime) -> bool:
    return any(
        line.line_id in said.about and said.kind in DATE_NEWS and now - said.at < TOLD_LATELY
        for said in conversation.said
    )
