"""Dates that move, and dates that nothing is heard of: told before the promise breaks, once, in one message.

A date that moves later is told with the choice to wait, change or cancel, under the terms of the market's law; one that
moves earlier is told at once, before the parcel leaves. Where nothing has left by the cutoff of the promised day the
policy gives a new date, and where it cannot, we say so, say when we write again, and keep that word. News older than
what was told is dropped: the shop's own time of the change decides, not the order of arrival.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from libs.common.decisions.facts import Anomaly, Fact, Ignored
from libs.common.decisions.fast_replace import replace
from libs.common.events.notices import NoticeKind
from services.delivery_notify.domain import prepaid_acceptance, promises
from services.delivery_notify.domain.conversation import Conversation, Line
from services.delivery_notify.domain.customer_questions import ORDER_OPTIONS, Asked, ask, close_questions
from services.delivery_notify.domain.notices import News, NoticeFacts, Outcome, say
from services.delivery_notify.domain.promises import arrivals_told_by, told_by
from services.delivery_notify.domain.supersede import DATE_NEWS, held_back, hold, leaves_at, overtake, thing
from services.delivery_notify.policy import consent_law
from services.delivery_notify.policy.notification_rules import Rules

POLICY = "policy"
"""Source of a date that nobody else gave."""


@dataclass(frozen=True, slots=True)
class NewDate:
    """A ship date that somebody promises now: when they said so, and what they said with it."""

    day: date
    at: datetime
    source: str
    at_the_door: date | None = None
    ship_by: datetime | None = None
    cause: str | None = None


@dataclass(frozen=True, slots=True)
class Move:
    """A promise that moved: the line as it now is, and as it was."""

    line: Line
    before: Line

    @property
    def arrival_moved(self) -> bool:
        return self.line.arrival != self.before.arrival


def move(conversation: Conversation, lines: Iterable[Line], news: NewDate, now: datetime, rules: Rules) -> Outcome:
    """Put these lines under a new date, as far as that is news, and tell the customer what moved."""
    moves: list[Move] = []
    facts: list[Fact] = []
    for line in lines:
        if not line.open:
            facts.append(Ignored("nothing_left_to_promise"))
        elif line.promised_at and news.at < line.promised_at:
            facts.append(Ignored("older_promise"))
        elif news.day < rules.calendar.day(now):
            facts.append(Ignored("day_is_past"))
        elif line.promise == news.day and not line.words:
            facts.append(Ignored("same_promise"))
            conversation = conversation.with_line(replace(line, promised_at=news.at))
        else:
            untold = held_back(conversation, line.line_id, NoticeKind.ORDER_DELAYED, now)
            changed = promises.promised(line, news.day, news.at, rules, news.ship_by, untold=untold)
            facts.append(promises.row(conversation.order_id, changed, news.source, _row_at(line, news.at)))
            changed, rows = _at_the_door(conversation, changed, news.at_the_door, news.source, now, rules)
            facts += rows
            conversation = conversation.with_line(changed)
            moves.append(Move(changed, line))
    conversation, told = _tell(conversation, moves, now, rules, rules.gather, news.cause)
    return conversation, [*facts, *told]


def _row_at(line: Line, at: datetime) -> datetime:
    """A row is never older than the one before it: our policy may have written one since the shop spoke."""
    return max(at, line.ruled_at) if line.ruled_at else at


def _at_the_door(
    conversation: Conversation, line: Line, door: date | None, source: str, now: datetime, rules: Rules
) -> tuple[Line, list[Fact]]:
    """The day at the door moves as well where the shop says so, or where the parcel leaves after it."""
    known = line.arrival
    if door and (known is None or door != known.day):
        line = promises.arriving(line, door, now, rules)
    elif door is None and known and line.promise and line.promise > known.day:
        line = promises.arriving(line, rules.calendar.add_open_days(line.promise, rules.transit), now, rules, own=True)
        source = POLICY
    else:
        return line, []
    return line, [promises.arrival_row(conversation.order_id, line, source, now)]


def _tell(
    conversation: Conversation, moves: list[Move], now: datetime, rules: Rules, held: timedelta, cause: str | None
) -> Outcome:
    """One notice for what moved later, one for what moved earlier; a date the customer asked for is no news."""
    if not moves:
        return conversation, []
    wished = {(q.requested_date, line_id) for q in conversation.questions if q.requested_date for line_id in q.about}
    news = [each for each in moves if (each.line.promise, each.line.line_id) not in wished]
    later, earlier, first = _sorted(_gathered(conversation, news, now))
    until = leaves_at(conversation, NoticeKind.ORDER_DELAYED, frozenset(_ids(later)), now)
    held = min(held, until - now) if until else held
    spoken_of = frozenset(each.line.line_id for each in (*moves, *later, *earlier, *first))
    conversation, facts = overtake(conversation, DATE_NEWS, spoken_of, "overtaken")
    for kind, group in ((NoticeKind.ORDER_EARLY, earlier), (NoticeKind.PREORDER_PROGRESS, first)):
        if group:
            conversation, told = _say(conversation, kind, group, now)
            facts += told
    if later:
        conversation, told = _ask(conversation, later, now, rules, held, cause)
        facts += told
    if not news:
        conversation, told = prepaid_acceptance.accept_again(conversation, now)
        facts += told
    return conversation, facts


def _gathered(conversation: Conversation, moves: list[Move], now: datetime) -> list[Move]:
    """With what was held back a moment ago, so that it is one message."""
    ids = {each.line.line_id for each in moves}
    kind = NoticeKind.ORDER_DELAYED
    waiting = [
        line
        for line in conversation.lines
        if line.line_id not in ids
        and line.awaited
        and not line.words
        and held_back(conversation, line.line_id, kind, now)
    ]
    return [*moves, *(Move(line, _as_known(line)) for line in waiting)] if moves else []


def _as_known(line: Line) -> Line:
    """A line whose move was held back, with the day at the door that moved with it taken off."""
    door = line.arrival
    with_it = door is not None and door.moved_at is not None and door.moved_at in (line.ruled_at, line.promised_at)
    return replace(line, arrival=None) if with_it else line


def _sorted(moves: Iterable[Move]) -> tuple[list[Move], list[Move], list[Move]]:
    """Later than the customer knew, earlier, and a preorder's first date. What is as they knew it is no news."""
    later: list[Move] = []
    earlier: list[Move] = []
    first: list[Move] = []
    for each in moves:
        day, known, law = each.line.promise, each.line.known_day, each.before.law_day
        if day is None:
            continue
        if known is None and (law is None or day <= law):
            first += [each] if each.line.preorder else []
        elif known is None or known < day or (each.before.words and known == day):
            later.append(each)
        elif day < known:
            earlier.append(each)
    return later, earlier, first


def _say(conversation: Conversation, kind: NoticeKind, moves: list[Move], now: datetime) -> Outcome:
    facts = _facts(conversation, moves)
    return say(
        conversation,
        kind,
        prepaid_acceptance.added(conversation, facts),
        now,
        cause=_versions(moves),
        about=_ids(moves),
        promised_date=facts.day,
        news=replace(_news(moves), breaks=()),
    )


def _ask(
    conversation: Conversation, moves: list[Move], now: datetime, rules: Rules, held: timedelta, cause: str | None
) -> Outcome:
    about = _ids(moves)
    conversation, closed = close_questions(conversation, "newer_news", lines=frozenset(about), kinds=DATE_NEWS)
    lines = [each.line for each in moves]
    clock = clock_of(conversation, lines, max(each.line.promise for each in moves if each.line.promise), now, rules)
    conversation = lapsing(conversation, lines, clock)
    facts = replace(_facts(conversation, moves), code=cause, terms=clock.terms)
    conversation, told = ask(
        conversation,
        NoticeKind.ORDER_DELAYED,
        prepaid_acceptance.added(conversation, facts),
        now,
        clock.answer_by,
        cause=_versions(moves),
        about=about,
        asked=Asked(options=ORDER_OPTIONS, default=clock.default, silence=clock.silence, vests_on=clock.vests_on),
        promised_date=facts.day,
        wait=hold(held, (each.before.breaks_at for each in moves), now, rules),
        news=_news(moves),
    )
    return conversation, [*closed, *told]


def _facts(conversation: Conversation, moves: list[Move]) -> NoticeFacts:
    """`day` is the last of the new dates: by then all of it has left."""
    things = tuple(thing(each.line, moved=True, arrival_moved=each.arrival_moved) for each in moves)
    day = max(each.line.promise for each in moves if each.line.promise)
    known = [each.line.known_day or each.before.law_day for each in moves]
    previous = next((day for day in known if day), None)
    return NoticeFacts(things, day=day, previous_day=previous, purchase_count=conversation.purchase_count)


def _news(moves: list[Move]) -> News:
    lines, doors = told_by(each.line for each in moves), [each.line for each in moves if each.arrival_moved]
    arrivals = arrivals_told_by(doors)
    return News((*lines.tells, *arrivals.tells), (*lines.breaks, *arrivals.breaks))


def _versions(moves: list[Move]) -> tuple[str, ...]:
    return tuple(f"{each.line.line_id}:{each.line.version}" for each in moves)


def _ids(moves: list[Move]) -> tuple[str, ...]:
    return tuple(each.line.line_id for each in moves)


def clock_of(
    conversation: Conversation, lines: Sequence[Line], revised: date | None, now: datetime, rules: Rules
) -> consent_law.Clock:
    """The consent clock of these lines together: that of the one with which the customer has been patient longest."""
    today = rules.calendar.day(now)
    broken = [line.known_day or line.law_day or today for line in lines]
    lapses = [line.lapses_at for line in lines if line.lapses_at]
    slip = consent_law.Slip(
        applicable=min(line.first_promise or today for line in lines),
        broken=min(broken) if revised else min(line.law_day or today for line in lines),
        revised=revised,
        repeated=any(line.slips > (1 if revised else 0) for line in lines),
        patient=all(line.patient for line in lines),
        essential=conversation.essential is not None,
        lapses_at=min(lapses, default=None),
    )
    speaks = min((line.speak_at for line in lines if line.speak_at), default=now + timedelta(days=1))
    return consent_law.consent(conversation.market, slip, now, max(speaks, now + timedelta(hours=1)), rules)


def lapsing(conversation: Conversation, lines: Sequence[Line], clock: consent_law.Clock) -> Conversation:
    """Remember when silence cancels, so that a later notice does not put it off."""
    lapses_at = clock.answer_by if clock.terms.silence is consent_law.Silence.CANCELS else None
    for line in lines:
        conversation = conversation.with_line(replace(line, lapses_at=lapses_at))
    return conversation


def silence(conversation: Conversation, now: datetime, rules: Rules) -> Outcome:
    """The cutoff has come (or our next word is due) and something has not left: say so, in one message.

    A line that the customer asked to cancel is not spoken of; that nobody carried it out is for ops.
    """
    due = [line for line in conversation.lines if line.open and line.speak_at and line.speak_at <= now]
    told = [line for line in due if line.awaited]
    facts: list[Fact] = [Anomaly("cancel_not_carried_out", conversation.order_id)] if len(told) < len(due) else []
    for line in due:
        if not line.awaited:
            next_word = rules.word_moment(rules.next_word(now, line.words))
            conversation = conversation.with_line(replace(line, words=line.words + 1, speak_at=next_word))
    if told and all(_renewable(line, rules) for line in told):
        conversation, said = _renew(conversation, told, now, rules)
    elif told:
        conversation, said = _speak(conversation, told, now, rules, None, None)
    else:
        said = []
    return conversation, [*facts, *said]


def _renewable(line: Line, rules: Rules) -> bool:
    """The policy has another date for it. Once we had none, only the shop has."""
    return not line.words and not line.patient and line.renewals < len(_renewals(line, rules))


def _renewals(line: Line, rules: Rules) -> tuple[int, ...]:
    return rules.preorder_renewals if line.preorder else rules.renewals


def _renew(conversation: Conversation, lines: list[Line], now: datetime, rules: Rules) -> Outcome:
    """A new date, from the policy, on the shop's open days."""
    moves: list[Move] = []
    facts: list[Fact] = []
    today = rules.calendar.day(now)
    for line in lines:
        day = _before_the_door(line, rules.calendar.add_open_days(today, _renewals(line, rules)[line.renewals]), today)
        changed = promises.renewed(line, day, now, rules)
        facts.append(promises.row(conversation.order_id, changed, POLICY, now))
        changed, rows = _at_the_door(conversation, changed, None, POLICY, now, rules)
        facts += rows
        conversation = conversation.with_line(changed)
        moves.append(Move(changed, line))
    conversation, told = _tell(conversation, moves, now, rules, rules.grace, None)
    return conversation, [*facts, *told]


def _before_the_door(line: Line, day: date, today: date) -> date:
    """Our own date does not give up the day at the door while that may still be kept: that has its own moment."""
    if line.arrival is None or line.arrival.words or day < line.arrival.day or line.arrival.day <= today:
        return day
    return max(line.arrival.day - timedelta(days=1), today + timedelta(days=1))


def undated(
    conversation: Conversation,
    lines: Iterable[Line],
    at: datetime,
    cause: str,
    next_word: date | None,
    now: datetime,
    rules: Rules,
) -> Outcome:
    """Late, and nobody can say how late: told at once, with the day of our next word."""
    facts: list[Fact] = []
    told: list[Line] = []
    for line in lines:
        if not line.awaited:
            facts.append(Ignored("nothing_left_to_promise"))
        elif line.promised_at and at < line.promised_at:
            facts.append(Ignored("older_promise"))
        else:
            told.append(replace(line, promised_at=at))
    if not told:
        return conversation, facts
    if next_word is not None and next_word <= rules.calendar.day(now):
        next_word = None
    conversation, said = _speak(conversation, told, now, rules, next_word, cause)
    return conversation, [*facts, *said]


def _speak(
    conversation: Conversation,
    lines: list[Line],
    now: datetime,
    rules: Rules,
    next_word: date | None,
    cause: str | None,
) -> Outcome:
    """There is no date that we could be sure of: say so, and when we write again."""
    next_word = next_word or max(rules.next_word(now, line.words) for line in lines)
    speak_at = rules.word_moment(next_word)
    before = lines
    lines = [replace(line, words=line.words + 1, speak_at=speak_at) for line in lines]
    for line in lines:
        conversation = conversation.with_line(line)
    about = tuple(line.line_id for line in lines)
    clock = clock_of(conversation, lines, None, now, rules)
    conversation = lapsing(conversation, lines, clock)
    days = [day for line in lines if (day := line.promise or line.law_day)]
    facts = NoticeFacts(
        tuple(thing(line) for line in lines),
        day=next_word,
        previous_day=min(days, default=None),
        next_word=next_word,
        word=max(line.words for line in lines),
        code=cause,
        terms=clock.terms,
        purchase_count=conversation.purchase_count,
    )
    conversation, taken_back = overtake(conversation, DATE_NEWS, frozenset(about), "overtaken")
    conversation, closed = close_questions(conversation, "newer_news", lines=frozenset(about), kinds=DATE_NEWS)
    conversation, told = ask(
        conversation,
        NoticeKind.ORDER_OVERDUE,
        prepaid_acceptance.added(conversation, facts),
        now,
        clock.answer_by,
        cause=tuple(f"{line.line_id}:{line.version}:{line.words}" for line in lines),
        about=about,
        asked=Asked(options=ORDER_OPTIONS, default=clock.default, silence=clock.silence, vests_on=clock.vests_on),
        wait=hold(rules.grace, (line.breaks_at for line in before), now, rules),
        news=told_by([line for line in lines if line.words == 1], broken=True),
    )
    return conversation, [*taken_back, *closed, *told]
