"""Notices about dates that moved.

A ship date that moves later is announced with the choice to wait, change or cancel, under the terms of the market's
law; one that moves earlier at once, without a question.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from libs.common.decisions.fast_replace import replace
from libs.common.events.notices import NoticeKind
from services.delivery_notify.domain import prepaid_acceptance, promises
from services.delivery_notify.domain.conversation import Conversation
from services.delivery_notify.domain.notices import News, NoticeFacts, Outcome, say
from services.delivery_notify.domain.order_line import Line
from services.delivery_notify.domain.promise_notices import days, notify, versions
from services.delivery_notify.domain.promises import DELIVERY, SHIP, PromiseTrack
from services.delivery_notify.domain.supersede import held_back, hold, leaves_at, overtake, thing
from services.delivery_notify.policy.notification_rules import Rules


@dataclass(frozen=True, slots=True)
class DateChange:
    """A line before and after its promise moved."""

    before: Line
    line: Line

    @property
    def delivery_moved(self) -> bool:
        return self.line.delivery != self.before.delivery


def announce(
    track: PromiseTrack,
    conversation: Conversation,
    changes: Sequence[DateChange],
    now: datetime,
    rules: Rules,
    wait: timedelta,
    cause: str | None,
) -> Outcome:
    """Make the notices about these changes; `wait` is how long they may be held back for batching."""
    if track is SHIP:
        return _announce_ship_dates(conversation, changes, now, rules, wait, cause)
    return _announce_delivery_dates(conversation, changes, now, rules, wait, cause)


def _announce_ship_dates(
    conversation: Conversation,
    changes: Sequence[DateChange],
    now: datetime,
    rules: Rules,
    wait: timedelta,
    cause: str | None,
) -> Outcome:
    """One notice for dates that moved later, one for those that moved earlier, none for a date the customer chose."""
    if not changes:
        return conversation, []
    requested = {
        (question.requested_date, line_id)
        for question in conversation.questions
        if question.requested_date
        for line_id in question.about
    }
    news = [each for each in changes if (each.line.shipping.day, each.line.line_id) not in requested]
    later, earlier, first = _sorted([*news, *_unsent_changes(conversation, news, now)])
    until = leaves_at(conversation, NoticeKind.ORDER_DELAYED, frozenset(_ids(later)), now)
    wait = min(wait, until - now) if until else wait
    about = frozenset(each.line.line_id for each in (*changes, *later, *earlier, *first))
    conversation, facts = overtake(conversation, SHIP.announced_by, about, "overtaken")
    for kind, group in ((NoticeKind.ORDER_EARLY, earlier), (NoticeKind.PREORDER_PROGRESS, first)):
        if group:
            conversation, made = _early_notice(conversation, kind, group, now)
            facts += made
    if later:
        breaks = [each.before.shipping.breaks_at for each in later]
        content = replace(_ship_facts(conversation, later), code=cause)
        wait = hold(wait, breaks, now, rules)
        conversation, made = _delay_notice(SHIP, conversation, later, content, now, rules, wait, _ship_news(later))
        facts += made
    if not news:
        conversation, made = prepaid_acceptance.accept_again(conversation, now)
        facts += made
    return conversation, facts


def _unsent_changes(conversation: Conversation, changes: Sequence[DateChange], now: datetime) -> list[DateChange]:
    """Changes of other lines whose notice is unsent, to be announced in the same message."""
    if not changes:
        return []
    ids = {each.line.line_id for each in changes}
    return [
        DateChange(_before_unsent_change(line), line)
        for line in conversation.lines
        if line.line_id not in ids
        and line.awaiting_shipment
        and not line.shipping.updates_sent
        and held_back(conversation, line.line_id, NoticeKind.ORDER_DELAYED, now)
    ]


def _before_unsent_change(line: Line) -> Line:
    """The line without the delivery date that moved together with its ship date."""
    return replace(line, delivery=promises.NO_PROMISE) if promises.delivery_moved_with_ship_date(line) else line


def _sorted(changes: Iterable[DateChange]) -> tuple[list[DateChange], list[DateChange], list[DateChange]]:
    """Split into dates later than announced, earlier ones, and first dates of preorders; drop unchanged ones."""
    later: list[DateChange] = []
    earlier: list[DateChange] = []
    first: list[DateChange] = []
    for each in changes:
        before, promise = each.before.shipping, each.line.shipping
        day, known, owed = promise.day, promise.last_announced_date, before.owed_day
        if day is None:
            continue
        if known is None and (owed is None or day <= owed):
            first += [each] if each.line.preorder else []
        elif known is None or known < day or (before.updates_sent and known == day):
            later.append(each)
        elif day < known:
            earlier.append(each)
    return later, earlier, first


def _early_notice(
    conversation: Conversation, kind: NoticeKind, changes: Sequence[DateChange], now: datetime
) -> Outcome:
    facts = _ship_facts(conversation, changes)
    return say(
        conversation,
        kind,
        prepaid_acceptance.added(conversation, facts),
        now,
        cause=versions(SHIP, [each.line for each in changes]),
        about=_ids(changes),
        promised_date=facts.day,
        news=replace(_ship_news(changes), breaks=()),
    )


def _ship_facts(conversation: Conversation, changes: Sequence[DateChange]) -> NoticeFacts:
    """`day` is the last of the new dates: all has shipped by then."""
    things = tuple(thing(each.line, moved=True, arrival_moved=each.delivery_moved) for each in changes)
    replaced = (each.line.shipping.last_announced_date or each.before.shipping.owed_day for each in changes)
    previous = next((day for day in replaced if day), None)
    day = max(days(SHIP, (each.line for each in changes)))
    return NoticeFacts(things, day=day, previous_day=previous, purchase_count=conversation.purchase_count)


def _ship_news(changes: Sequence[DateChange]) -> News:
    ship = promises.announced(SHIP, [each.line for each in changes])
    delivery = promises.announced(DELIVERY, [each.line for each in changes if each.delivery_moved])
    return News((*ship.tells, *delivery.tells), (*ship.breaks, *delivery.breaks))


def _announce_delivery_dates(
    conversation: Conversation,
    changes: Sequence[DateChange],
    now: datetime,
    rules: Rules,
    wait: timedelta,
    cause: str | None,
) -> Outcome:
    """One notice for delivery dates that moved later; a first date was announced by the shop."""
    changes = [each for each in changes if each.before.delivery.day]
    if not changes:
        return conversation, []
    lines = [each.line for each in changes]
    replaced = [line.delivery.last_announced_date for line in lines if line.delivery.last_announced_date]
    facts = NoticeFacts(
        tuple(thing(line, arrival_moved=True) for line in lines),
        day=max(days(DELIVERY, lines)),
        previous_day=min(replaced, default=None),
        code=cause,
        purchase_count=conversation.purchase_count,
    )
    conversation, taken_back = overtake(conversation, DELIVERY.announced_by, frozenset(_ids(changes)), "overtaken")
    wait = hold(wait, (rules.end_of(day) for day in replaced), now, rules)
    news = promises.announced(DELIVERY, lines)
    conversation, made = _delay_notice(DELIVERY, conversation, changes, facts, now, rules, wait, news)
    return conversation, [*taken_back, *made]


def _delay_notice(
    track: PromiseTrack,
    conversation: Conversation,
    changes: Sequence[DateChange],
    facts: NoticeFacts,
    now: datetime,
    rules: Rules,
    wait: timedelta,
    news: News,
) -> Outcome:
    lines = [each.line for each in changes]
    cause = versions(track, lines)
    return notify(track, conversation, track.delayed, lines, facts, now, rules, cause=cause, wait=wait, news=news)


def _ids(changes: Iterable[DateChange]) -> tuple[str, ...]:
    return tuple(each.line.line_id for each in changes)
