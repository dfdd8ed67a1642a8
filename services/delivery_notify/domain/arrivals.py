"""The day at the door: promised at checkout or by the carrier, and watched when nothing is heard of the parcel.

A parcel that left and was not delivered by the cutoff of its day is spoken of before that day is over: with a new day
as long as the policy has one, and then with the day of our next word.
"""

from collections.abc import Iterable
from datetime import date, datetime, timedelta

from libs.common.decisions.facts import Fact, Ignored
from libs.common.decisions.fast_replace import replace
from libs.common.events.notices import NoticeKind
from libs.common.events.values import Choice
from services.delivery_notify.domain import promises
from services.delivery_notify.domain.conversation import Arrival, Conversation, Line
from services.delivery_notify.domain.customer_questions import Asked, ask, close_questions
from services.delivery_notify.domain.notices import News, NoticeFacts, Outcome, say
from services.delivery_notify.domain.promises import arrivals_told_by
from services.delivery_notify.domain.supersede import ARRIVAL_NEWS, held_back, hold, overtake, thing
from services.delivery_notify.policy import consent_law
from services.delivery_notify.policy.notification_rules import Rules

POLICY = "policy"
ARRIVAL_OPTIONS = (Choice.WAIT, Choice.CANCEL)


def move(
    conversation: Conversation,
    lines: Iterable[Line],
    day: date,
    at: datetime,
    source: str,
    now: datetime,
    rules: Rules,
    cause: str | None = None,
) -> Outcome:
    """Somebody who knows gives another day at the door. Later than promised is news; earlier, the parcel tells."""
    facts: list[Fact] = []
    moved: list[Line] = []
    for line in lines:
        known = line.arrival
        if not line.expected:
            facts.append(Ignored("nothing_left_to_arrive"))
        elif day < rules.calendar.day(now):
            facts.append(Ignored("day_is_past"))
        elif known and known.promised_at and at < known.promised_at:
            facts.append(Ignored("older_promise"))
        elif known and day <= known.day and not known.words:
            facts.append(Ignored("kept_at_the_door"))
        else:
            untold = held_back(conversation, line.line_id, NoticeKind.DELIVERY_DELAYED, now)
            after = promises.arriving(line, day, at, rules, untold=untold)
            conversation = conversation.with_line(after)
            surface, since = None if known else promises.SHOP, max(at, _since(known, at))
            facts.append(promises.arrival_row(conversation.order_id, after, source, since, surface))
            moved += [after] if known else []
    if not moved:
        return conversation, facts
    conversation, told = _tell(conversation, moved, now, rules, rules.gather, cause)
    return conversation, [*facts, *told]


def _since(known: Arrival | None, at: datetime) -> datetime:
    return known.moved_at or at if known else at


def on_their_way(
    conversation: Conversation, named: frozenset[str], day: date | None, at: datetime, now: datetime, rules: Rules
) -> Outcome:
    """The parcel has left: the carrier's day counts where it is later; one that broke before gets a new one."""
    facts: list[Fact] = []
    if day is not None:
        conversation, facts = move(conversation, _of(conversation, named), day, at, "order.shipped", now, rules)
    broken = [line for line in _of(conversation, named) if line.arrival and line.arrival.speak_at is None]
    if broken:
        conversation, told = _renew(conversation, broken, now, rules)
        facts += told
    return conversation, facts


def _of(conversation: Conversation, named: frozenset[str]) -> list[Line]:
    return [line for line in conversation.lines if line.line_id in named and line.expected]


def untold_again(conversation: Conversation, left: frozenset[str], now: datetime, rules: Rules) -> Outcome:
    """A parcel left while the news of its delay was still held back: the day at the door that moved with it was never
    told, so the one that the customer knows counts again."""
    facts: list[Fact] = []
    for line in conversation.lines:
        door = line.arrival
        held = line.line_id in left and held_back(conversation, line.line_id, NoticeKind.ORDER_DELAYED, now)
        if held and line.expected and door and door.known_day and door.moved_at in (line.ruled_at, line.promised_at):
            after = promises.arriving(line, door.known_day, now, rules, own=True)
            conversation = conversation.with_line(after)
            facts.append(promises.arrival_row(conversation.order_id, after, "order.shipped", now))
    return conversation, facts


def silence(conversation: Conversation, now: datetime, rules: Rules) -> Outcome:
    """No delivery by the cutoff of the promised day, or our next word is due. Where the customer has reported it (lost,
    or something wrong with it), the talk about that goes on instead."""
    reported = {item.line_id for talk in conversation.talks for item in talk.items}
    for line in conversation.lines:
        if line.line_id in reported and line.arrival and line.arrival.speak_at:
            conversation = conversation.with_line(replace(line, arrival=replace(line.arrival, speak_at=None)))
    due = [
        line
        for line in conversation.lines
        if line.expected and line.arrival and line.arrival.speak_at and line.arrival.speak_at <= now
    ]
    without_date = [line for line in due if line.open and line.words]
    conversation, facts = _told_with_the_ship_date(conversation, without_date, now, rules)
    rest = [line for line in due if not (line.open and line.words)]
    if rest and all(_renewable(line, rules) for line in rest):
        conversation, said = _renew(conversation, rest, now, rules)
    elif rest:
        conversation, said = _speak(conversation, rest, now, rules)
    else:
        said = []
    return conversation, [*facts, *said]


def _renewable(line: Line, rules: Rules) -> bool:
    door = line.arrival
    return door is not None and not door.words and door.renewals < len(rules.arrival_renewals)


def _renew(conversation: Conversation, lines: list[Line], now: datetime, rules: Rules) -> Outcome:
    """A new day from the policy; of a parcel that has a day to leave on, one after that."""
    facts: list[Fact] = []
    moved: list[Line] = []
    today = rules.calendar.day(now)
    before = [rules.end_of(line.arrival.day) for line in lines if line.arrival]
    for line in lines:
        after = promises.arriving(line, _policy_day(line, today, rules), now, rules, own=True)
        conversation = conversation.with_line(after)
        facts.append(promises.arrival_row(conversation.order_id, after, POLICY, now))
        moved.append(after)
    conversation, told = _tell(conversation, moved, now, rules, hold(rules.grace, before, now, rules), None)
    return conversation, [*facts, *told]


def _policy_day(line: Line, today: date, rules: Rules) -> date:
    """So many open days from today, or after the day on which it leaves."""
    if line.open and line.promise and line.promise > today:
        return rules.calendar.add_open_days(line.promise, rules.transit)
    waits, renewals = rules.arrival_renewals or (1,), line.arrival.renewals if line.arrival else 0
    return rules.calendar.add_open_days(today, waits[min(renewals, len(waits) - 1)])


def _tell(
    conversation: Conversation, lines: list[Line], now: datetime, rules: Rules, held: timedelta, cause: str | None
) -> Outcome:
    days = [line.arrival.day for line in lines if line.arrival]
    known = [line.arrival.known_day for line in lines if line.arrival and line.arrival.known_day]
    facts = NoticeFacts(
        tuple(thing(line, arrival_moved=True) for line in lines),
        day=max(days),
        previous_day=min(known, default=None),
        code=cause,
        purchase_count=conversation.purchase_count,
    )
    breaks = [rules.end_of(day) for day in known]
    held = hold(held, breaks, now, rules)
    cause_of = tuple(f"{line.line_id}:{line.arrival.version}" for line in lines if line.arrival)
    kind = NoticeKind.DELIVERY_DELAYED
    return _say(conversation, kind, lines, facts, cause_of, held, arrivals_told_by(lines), now, rules)


def _speak(conversation: Conversation, lines: list[Line], now: datetime, rules: Rules) -> Outcome:
    """Nobody knows when it comes: say so, and when we write again."""
    words = max(line.arrival.words for line in lines if line.arrival)
    breaks = [rules.end_of(line.arrival.day) for line in lines if line.arrival]
    next_word = rules.next_word(now, words)
    spoken = [_worded(line, rules.word_moment(next_word)) for line in lines]
    conversation = _with_lines(conversation, spoken)
    facts = NoticeFacts(
        tuple(thing(line) for line in spoken),
        day=next_word,
        previous_day=min(line.arrival.day for line in spoken if line.arrival),
        next_word=next_word,
        word=words + 1,
        purchase_count=conversation.purchase_count,
    )
    cause = tuple(f"{line.line_id}:{line.arrival.version}:{line.arrival.words}" for line in spoken if line.arrival)
    news = arrivals_told_by([line for line in spoken if line.arrival and line.arrival.words == 1], broken=True)
    held = hold(rules.grace, breaks, now, rules)
    return _say(conversation, NoticeKind.DELIVERY_OVERDUE, spoken, facts, cause, held, news, now, rules)


def _worded(line: Line, speak_at: datetime | None) -> Line:
    """After one more word about the day at the door."""
    door = line.arrival
    return replace(line, arrival=replace(door, words=door.words + 1, speak_at=speak_at)) if door else line


def _with_lines(conversation: Conversation, lines: Iterable[Line]) -> Conversation:
    for line in lines:
        conversation = conversation.with_line(line)
    return conversation


def _told_with_the_ship_date(conversation: Conversation, lines: list[Line], now: datetime, rules: Rules) -> Outcome:
    """It has not left and has no date: our words about that go on, and the day at the door is over with one of them."""
    if not lines:
        return conversation, []
    told = [_worded(line, None) for line in lines]
    conversation = _with_lines(conversation, told)
    next_word = rules.calendar.day(max((line.speak_at for line in told if line.speak_at), default=now))
    facts = NoticeFacts(
        tuple(thing(line) for line in told),
        day=next_word,
        previous_day=min(line.arrival.day for line in told if line.arrival),
        next_word=next_word,
        purchase_count=conversation.purchase_count,
    )
    return say(
        conversation,
        NoticeKind.DELIVERY_OVERDUE,
        facts,
        now,
        cause=tuple(f"{line.line_id}:{line.arrival.version}:1" for line in told if line.arrival),
        about=tuple(line.line_id for line in told),
        news=arrivals_told_by(told, broken=True),
    )


def _say(
    conversation: Conversation,
    kind: NoticeKind,
    lines: list[Line],
    facts: NoticeFacts,
    cause: tuple[str, ...],
    held: timedelta,
    news: News,
    now: datetime,
    rules: Rules,
) -> Outcome:
    """With a question only where the law gives the customer an answer: a parcel on its way is hard to call back."""
    about = tuple(line.line_id for line in lines)
    conversation, taken_back = overtake(conversation, ARRIVAL_NEWS, frozenset(about), "overtaken")
    conversation, closed = close_questions(conversation, "newer_news", lines=frozenset(about), kinds=ARRIVAL_NEWS)
    promised = facts.day if kind is NoticeKind.DELIVERY_DELAYED else None
    if not consent_law.law_of(conversation.market).arrival_choice:
        conversation, told = say(
            conversation, kind, facts, now, cause=cause, about=about, promised_date=promised, wait=held, news=news
        )
        return conversation, [*taken_back, *closed, *told]
    clock = _clock(conversation, lines, facts, now, rules)
    asked = Asked(options=ARRIVAL_OPTIONS, default=clock.default, silence=clock.silence, vests_on=clock.vests_on)
    conversation, told = ask(
        conversation,
        kind,
        replace(facts, terms=clock.terms),
        now,
        clock.answer_by,
        cause=cause,
        about=about,
        asked=asked,
        promised_date=promised,
        wait=held,
        news=news,
    )
    return conversation, [*taken_back, *closed, *told]


def _clock(
    conversation: Conversation, lines: list[Line], facts: NoticeFacts, now: datetime, rules: Rules
) -> consent_law.Clock:
    broken = facts.previous_day or rules.calendar.day(now)
    revised = facts.day if facts.next_word is None else None
    repeated = any(line.arrival and line.arrival.version > 2 for line in lines)
    slip = consent_law.Slip(broken, broken, revised, repeated=repeated, essential=conversation.essential is not None)
    return consent_law.consent(conversation.market, slip, now, now + timedelta(days=1), rules)
