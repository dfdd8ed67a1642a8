"""How a preorder is going: told at least every half month, unasked, with the same choices, until the parcel leaves.

On the 1st and the 15th of the shop's month, or every 15 days from the order (`rhythm` of `notification_rules.toml`).
"""

from dataclasses import replace
from datetime import date, datetime, timedelta

from libs.common.decisions.facts import Ignored
from libs.common.events.notices import NoticeKind
from libs.common.events.values import Choice
from services.delivery_notify.domain.conversation import Conversation
from services.delivery_notify.domain.customer_questions import Asked, ask, close_questions
from services.delivery_notify.domain.notices import NoticeFacts, Outcome, Thing
from services.delivery_notify.domain.order_line import Line
from services.delivery_notify.domain.promises import SHIP, announced
from services.delivery_notify.domain.supersede import DATE_NEWS, thing
from services.delivery_notify.policy.notification_rules import Rules

PROGRESS_DAYS = (1, 15)
PROGRESS_HOUR = 10
FROM_ORDER = timedelta(days=15)
TOLD_LATELY = timedelta(days=4)
"""A line of which another notice spoke this short a time ago is not spoken of again."""


def next_report(conversation: Conversation, after: datetime, rules: Rules) -> datetime:
    """The next day of the rhythm, 10:00 shop time, after this moment."""
    if rules.rhythm == "from_order" and conversation.ordered_on:
        return _every_15_days(conversation.ordered_on, after, rules)
    return next_half_month(after, rules)


def next_half_month(after: datetime, rules: Rules) -> datetime:
    day = rules.calendar.day(after)
    following = (day.replace(day=28) + timedelta(days=4)).replace(day=1)
    days = [day.replace(day=number) for number in PROGRESS_DAYS] + [following]
    return min(moment for each in days if (moment := rules.calendar.moment(each, PROGRESS_HOUR)) > after)


def _every_15_days(ordered_on: date, after: datetime, rules: Rules) -> datetime:
    times = max(1, (rules.calendar.day(after) - ordered_on) // FROM_ORDER)
    moment = rules.calendar.moment(ordered_on + times * FROM_ORDER, PROGRESS_HOUR)
    while moment <= after:
        times += 1
        moment = rules.calendar.moment(ordered_on + times * FROM_ORDER, PROGRESS_HOUR)
    return moment


def schedule(conversation: Conversation, now: datetime, rules: Rules) -> Conversation:
    """See to it that an order with an awaited preorder has a next report, and any other has none."""
    waiting = [line for line in conversation.lines if line.preorder and line.awaiting_shipment]
    if waiting and conversation.next_progress is None:
        return replace(conversation, next_progress=next_report(conversation, now, rules))
    if not waiting and conversation.next_progress is not None:
        return replace(conversation, next_progress=None)
    return conversation


def report(conversation: Conversation, now: datetime, rules: Rules) -> Outcome:
    """A day of the rhythm has come: tell how the preordered lines are going, those not spoken of lately."""
    if conversation.next_progress is None or now < conversation.next_progress:
        return conversation, [Ignored("progress_not_due")]
    due = rules.calendar.day(conversation.next_progress)
    following = next_report(conversation, now, rules)
    conversation = replace(conversation, next_progress=following)
    lines = [
        line
        for line in conversation.lines
        if line.preorder and line.awaiting_shipment and not line.shipping.updates_sent
    ]
    lines = [line for line in lines if not _told_lately(conversation, line, now)]
    if not lines:
        return conversation, [Ignored("told_lately")]
    dates = [line.shipping.day for line in lines if line.shipping.day]
    facts = NoticeFacts(
        tuple(_thing(line) for line in lines),
        day=max(dates) if len(dates) == len(lines) else None,
        next_word=rules.calendar.day(following),
        purchase_count=conversation.purchase_count,
    )
    about = tuple(line.line_id for line in lines)
    conversation = close_questions(
        conversation, "newer_news", lines=frozenset(about), kinds=frozenset({NoticeKind.PREORDER_PROGRESS})
    )
    for line in lines:
        conversation = conversation.with_line(replace(line, announced_stage=line.stage))
    conversation, told = ask(
        conversation,
        NoticeKind.PREORDER_PROGRESS,
        facts,
        now,
        following,
        cause=(due,),
        about=about,
        asked=Asked(default=Choice.WAIT),
        promised_date=facts.day,
        news=replace(announced(SHIP, lines), breaks=()),
    )
    return conversation, told


def _thing(line: Line) -> Thing:
    """With what changed since the last report: the stage it was in then."""
    before = line.announced_stage if line.announced_stage != line.stage else None
    return replace(thing(line), previous_stage=before)


def _told_lately(conversation: Conversation, line: Line, now: datetime) -> bool:
    return any(
        line.line_id in said.about and said.kind in DATE_NEWS and now - said.at < TOLD_LATELY
        for said in conversation.said
    )
