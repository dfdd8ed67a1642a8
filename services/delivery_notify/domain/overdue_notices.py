"""Overdue notices: updates without a date, each naming the day of the next."""

from collections.abc import Sequence
from datetime import date, datetime

from libs.common.decisions.fast_replace import replace
from libs.common.events.notices import NoticeKind
from services.delivery_notify.domain import promises
from services.delivery_notify.domain.conversation import Conversation
from services.delivery_notify.domain.notices import NoticeFacts, Outcome, say
from services.delivery_notify.domain.order_line import Line
from services.delivery_notify.domain.promise_notices import days, notify
from services.delivery_notify.domain.promises import DELIVERY, PromiseTrack
from services.delivery_notify.domain.supersede import hold, overtake, thing
from services.delivery_notify.policy.notification_rules import Rules


def send_update(
    track: PromiseTrack,
    conversation: Conversation,
    lines: Sequence[Line],
    now: datetime,
    rules: Rules,
    next_update_by: date | None = None,
    cause: str | None = None,
) -> Outcome:
    """Announce that there is no reliable date, and the day of the next update."""
    before = [track.of(line) for line in lines]
    next_update_by = next_update_by or max(rules.next_word(now, promise.updates_sent) for promise in before)
    notify_at = rules.word_moment(next_update_by)
    lines = [with_update_sent(track, line, notify_at) for line in lines]
    conversation = conversation.with_lines(lines)
    promised = [track.of(line) for line in lines]
    facts = NoticeFacts(
        tuple(thing(line) for line in lines),
        day=next_update_by,
        previous_day=min((promise.owed_day for promise in promised if promise.owed_day), default=None),
        next_word=next_update_by,
        word=max(promise.updates_sent for promise in promised),
        code=cause,
        purchase_count=conversation.purchase_count,
    )
    about = frozenset(line.line_id for line in lines)
    conversation, taken_back = overtake(conversation, track.announced_by, about, "overtaken")
    wait = hold(rules.grace, (promise.breaks_at for promise in before), now, rules)
    news = promises.broken(track, [line for line in lines if track.of(line).updates_sent == 1])
    update_of = tuple(f"{line.line_id}:{track.of(line).version}:{track.of(line).updates_sent}" for line in lines)
    conversation, made = notify(
        track, conversation, track.overdue, lines, facts, now, rules, cause=update_of, wait=wait, news=news
    )
    return conversation, [*taken_back, *made]


def with_update_sent(track: PromiseTrack, line: Line, notify_at: datetime | None) -> Line:
    promise = track.of(line)
    return track.put(line, replace(promise, updates_sent=promise.updates_sent + 1, notify_at=notify_at))


def announce_with_ship_delay(conversation: Conversation, lines: Sequence[Line], now: datetime, rules: Rules) -> Outcome:
    """Announce that these lines, unshipped and without a date, miss their delivery date as well. The updates about the
    ship date go on; the delivery promise ends."""
    if not lines:
        return conversation, []
    lines = [with_update_sent(DELIVERY, line, None) for line in lines]
    conversation = conversation.with_lines(lines)
    next_update_by = rules.calendar.day(
        max((line.shipping.notify_at for line in lines if line.shipping.notify_at), default=now)
    )
    facts = NoticeFacts(
        tuple(thing(line) for line in lines),
        day=next_update_by,
        previous_day=min(days(DELIVERY, lines)),
        next_word=next_update_by,
        purchase_count=conversation.purchase_count,
    )
    return say(
        conversation,
        NoticeKind.DELIVERY_OVERDUE,
        facts,
        now,
        cause=tuple(f"{line.line_id}:{line.delivery.version}:1" for line in lines),
        about=tuple(line.line_id for line in lines),
        news=promises.broken(DELIVERY, lines),
    )
