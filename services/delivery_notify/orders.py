"""What an order's events mean for its promises, and what the customer hears of them.

Every date is a promise with a version. A date that moves later is told at once, with the choice to wait, change or
cancel; one that moves earlier is told too. News older than what was told is dropped: the shop's own time of the
change (`changed_at`) decides, not the order of arrival.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta

from libs.common.decision import Anomaly, Fact, Ignored
from libs.common.events.notices import NoticeKind
from libs.common.events.storefront import (
    OrderCancelled,
    OrderDelivered,
    OrderPlaced,
    OrderPromiseChanged,
    OrderShipped,
    PreorderProgressed,
)
from libs.common.events.values import LineQuantity
from libs.common.shop_calendar import ShopCalendar
from services.delivery_notify.choices import ask, close_questions
from services.delivery_notify.conversation import Conversation, Line
from services.delivery_notify.notices import (
    ContactLearned,
    NoticeFacts,
    Outcome,
    PromiseMade,
    Thing,
    leave_out,
    say,
    withdraw,
)

OVERDUE_HOUR = 12
"""Shop-local hour of the promised day at which an unshipped order is spoken of."""

OVERDUE_GRACE = timedelta(minutes=15)
"""How long a notice about silence is kept back, so that a shipment that is just being reported overtakes it."""

WORD_GAPS = (1, 2, 3)
"""Open days to our next word after the first, second, third word about the same broken date; then `LAST_GAP`."""
LAST_GAP = 5

DATE_NEWS = frozenset(
    {NoticeKind.ORDER_DELAYED, NoticeKind.ORDER_OVERDUE, NoticeKind.ORDER_EARLY, NoticeKind.PREORDER_PROGRESS}
)


@dataclass(frozen=True, slots=True)
class Move:
    """A promise that moved: the line as it now is, and the date it had."""

    line: Line
    previous: date | None


def placed(conversation: Conversation, event: OrderPlaced, calendar: ShopCalendar) -> Outcome:
    if conversation.placed:
        return conversation, [Ignored("order_known")]
    contact = event.contact
    learned = ContactLearned(
        conversation.order_id, event.customer_id, contact.name, contact.email, contact.language, contact.phone
    )
    lines: list[Line] = []
    facts: list[Fact] = [learned]
    for ordered in event.lines:
        line = Line(ordered.line_id, ordered.name, ordered.quantity, ordered.preorder)
        if ordered.promised_ship_date:
            line = promised(line, ordered.promised_ship_date, event.placed_at, calendar)
            facts.append(_row(conversation, line, "order.placed"))
        lines.append(line)
    return (
        replace(
            conversation,
            placed=True,
            customer_id=event.customer_id,
            purchase_count=event.purchase_count,
            lines=tuple(lines),
        ),
        facts,
    )


def promised(line: Line, day: date, at: datetime, calendar: ShopCalendar) -> Line:
    """The line under a new promise: its next version, and the moment of that day at which silence is broken.

    A promise made after that moment (a same-day order in the afternoon) is spoken of at noon of the next day.
    """
    speak_at = calendar.moment(day, OVERDUE_HOUR)
    if speak_at <= at:
        speak_at = calendar.moment(calendar.day(at) + timedelta(days=1), OVERDUE_HOUR)
    return replace(line, promise=day, version=line.version + 1, promised_at=at, speak_at=speak_at, words=0)


def promise_changed(
    conversation: Conversation, event: OrderPromiseChanged, now: datetime, calendar: ShopCalendar
) -> Outcome:
    named = [line for line in conversation.lines if not event.line_ids or line.line_id in event.line_ids]
    if unknown := set(event.line_ids) - {line.line_id for line in named}:
        return conversation, [Anomaly("promise_for_unknown_line", f"{conversation.order_id}: {sorted(unknown)}")]
    source = OrderPromiseChanged.TYPE.removesuffix(".v1")
    return move(conversation, named, event.promised_ship_date, event.changed_at, source, now, calendar)


def move(
    conversation: Conversation,
    lines: Iterable[Line],
    day: date,
    at: datetime,
    source: str,
    now: datetime,
    calendar: ShopCalendar,
) -> Outcome:
    """Put these lines under a new date, as far as that is news, and tell the customer what moved."""
    moves: list[Move] = []
    facts: list[Fact] = []
    for line in lines:
        if not line.open:
            facts.append(Ignored("nothing_left_to_promise"))
        elif line.promised_at and at < line.promised_at:
            facts.append(Ignored("older_promise"))
        elif line.promise == day:
            facts.append(Ignored("same_promise"))
            conversation = conversation.with_line(replace(line, promised_at=at))
        else:
            changed = promised(replace(line, leaving=False), day, at, calendar)
            conversation = conversation.with_line(changed)
            facts.append(_row(conversation, changed, source))
            moves.append(Move(changed, line.promise))
    conversation, told = _tell_moves(conversation, moves, day, now, calendar)
    return conversation, [*facts, *told]


def _row(conversation: Conversation, line: Line, source: str) -> PromiseMade:
    if line.promise is None or line.promised_at is None:
        raise ValueError(f"line {line.line_id}: has no promise to write down")
    return PromiseMade(
        conversation.order_id, "line", line.line_id, line.version, line.promise, source, line.promised_at
    )


def _tell_moves(
    conversation: Conversation, moves: list[Move], day: date, now: datetime, calendar: ShopCalendar
) -> Outcome:
    """One notice for what moved later, one for what moved earlier; a date the customer asked for is no news."""
    wished = {line_id for q in conversation.questions if q.requested_date == day for line_id in q.about}
    later = [move for move in moves if move.previous and move.previous < day and move.line.line_id not in wished]
    earlier = [move for move in moves if move.previous and move.previous > day and move.line.line_id not in wished]
    first = [move for move in moves if move.previous is None and move.line.preorder]
    ids = frozenset(move.line.line_id for move in moves)
    facts: list[Fact] = []
    if moves:
        conversation, facts = _overtake(conversation, ids, "overtaken")
    for kind, group in ((NoticeKind.ORDER_EARLY, earlier), (NoticeKind.PREORDER_PROGRESS, first)):
        if group:
            conversation, told = say(
                conversation,
                kind,
                moved(conversation, group, day),
                now,
                cause=_versions(group),
                about=_ids(group),
                promised_date=day,
            )
            facts += told
    if later:
        about = _ids(later)
        conversation, closed = close_questions(conversation, "newer_news", lines=frozenset(about))
        due_at = answer_by(day, now, calendar)
        kind = NoticeKind.ORDER_DELAYED
        conversation, told = ask(
            conversation,
            kind,
            moved(conversation, later, day),
            now,
            due_at,
            cause=_versions(later),
            about=about,
            promised_date=day,
        )
        facts += [*closed, *told]
    return conversation, facts


def _versions(moves: list[Move]) -> tuple[str, ...]:
    return tuple(f"{move.line.line_id}:{move.line.version}" for move in moves)


def _ids(moves: list[Move]) -> tuple[str, ...]:
    return tuple(move.line.line_id for move in moves)


def moved(conversation: Conversation, moves: list[Move], day: date) -> NoticeFacts:
    things = tuple(thing(move.line, move.previous) for move in moves)
    return NoticeFacts(things, day=day, previous_day=moves[0].previous, purchase_count=conversation.purchase_count)


def thing(line: Line, previous: date | None = None) -> Thing:
    return Thing(
        line.name, line.quantity - line.shipped, line.promise, previous, line.stage, line.stage_detail, line.line_id
    )


def answer_by(day: date, now: datetime, calendar: ShopCalendar) -> datetime:
    """Until when a choice stands: a week, but no longer than noon before the new day, and a day at least."""
    before = calendar.moment(day - timedelta(days=1), OVERDUE_HOUR)
    return max(now + timedelta(days=1), min(now + timedelta(days=7), before))


def shipped(conversation: Conversation, event: OrderShipped) -> Outcome:
    return _count(conversation, event.lines, "shipped")


def delivered(conversation: Conversation, event: OrderDelivered) -> Outcome:
    return _count(conversation, event.lines, "delivered")


def _count(conversation: Conversation, counted: Iterable[LineQuantity], what: str) -> Outcome:
    facts: list[Fact] = []
    for count in counted:
        line = conversation.line(count.line_id)
        if line is None:
            facts.append(Anomaly(f"{what}_unknown_line", f"{conversation.order_id}: {count.line_id}"))
            continue
        total = min(line.quantity, getattr(line, what) + count.quantity)
        changed = replace(line, **{what: total})
        conversation = conversation.with_line(replace(changed, shipped=max(changed.shipped, changed.delivered)))
    conversation, settled = _settle(conversation, what)
    return conversation, [*facts, *settled]


def cancelled(conversation: Conversation, event: OrderCancelled) -> Outcome:
    for line in conversation.lines:
        if not event.line_ids or line.line_id in event.line_ids:
            conversation = conversation.with_line(replace(line, cancelled=True))
    return _settle(conversation, "cancelled")


def _settle(conversation: Conversation, cause: str) -> Outcome:
    """Nothing more to say about lines of which nothing is left to send."""
    done = frozenset(line.line_id for line in conversation.lines if not line.open)
    conversation, facts = _overtake(conversation, done, cause)
    conversation, closed = close_questions(conversation, cause, lines=done)
    return conversation, [*facts, *closed]


def _overtake(conversation: Conversation, lines: frozenset[str], cause: str) -> Outcome:
    """What was said of these lines, and has not left, is over; said of others as well, it is said of those only."""
    taken_back = withdraw(conversation, DATE_NEWS, lines, cause)
    conversation, left_out = leave_out(conversation, DATE_NEWS, lines)
    return conversation, [*taken_back, *left_out]


def overdue(conversation: Conversation, now: datetime, calendar: ShopCalendar) -> Outcome:
    """The promised day is half over (or our next word is due) and something has not shipped: say so, in one message.

    A line that the customer asked to cancel is not spoken of; that nobody carried it out is for ops.
    """
    due = [line for line in conversation.lines if line.open and line.speak_at and line.speak_at <= now]
    if not due:
        return conversation, [Ignored("nothing_overdue")]
    told = [line for line in due if line.awaited]
    facts: list[Fact] = [Anomaly("cancel_not_carried_out", conversation.order_id)] if len(told) < len(due) else []
    gap = max((_gap(line.words) for line in told), default=1)
    next_word = calendar.add_open_days(calendar.day(now), gap)
    speak_at = calendar.moment(next_word, OVERDUE_HOUR)
    for line in due:
        conversation = conversation.with_line(replace(line, words=line.words + 1, speak_at=speak_at))
    if told:
        conversation, said = _say_overdue(conversation, tuple(line.line_id for line in told), next_word, speak_at, now)
        facts += said
    return conversation, facts


def _gap(words: int) -> int:
    return WORD_GAPS[words] if words < len(WORD_GAPS) else LAST_GAP


def _say_overdue(
    conversation: Conversation, about: tuple[str, ...], next_word: date, speak_at: datetime, now: datetime
) -> Outcome:
    lines = [line for line in conversation.lines if line.line_id in about]
    promises = [line.promise for line in lines if line.promise]
    facts = NoticeFacts(
        tuple(thing(line) for line in lines),
        day=next_word,
        previous_day=min(promises),
        next_word=next_word,
        word=max(line.words for line in lines),
        purchase_count=conversation.purchase_count,
    )
    conversation, taken_back = _overtake(conversation, frozenset(about), "overtaken")
    conversation, closed = close_questions(conversation, "newer_news", lines=frozenset(about))
    cause = tuple(f"{line.line_id}:{line.version}:{line.words}" for line in lines)
    conversation, told = ask(
        conversation, NoticeKind.ORDER_OVERDUE, facts, now, speak_at, cause=cause, about=about, wait=OVERDUE_GRACE
    )
    return conversation, [*taken_back, *closed, *told]


def progressed(conversation: Conversation, event: PreorderProgressed, now: datetime, calendar: ShopCalendar) -> Outcome:
    line = conversation.line(event.line_id)
    if line is None:
        return conversation, [Anomaly("progress_of_unknown_line", f"{conversation.order_id}: {event.line_id}")]
    facts: list[Fact] = []
    if line.staged_at and event.progressed_at < line.staged_at:
        facts.append(Ignored("older_stage"))
    else:
        line = replace(line, preorder=True, stage=event.stage, stage_detail=event.detail, staged_at=event.progressed_at)
        conversation = conversation.with_line(line)
    if event.promised_ship_date:
        source = PreorderProgressed.TYPE.removesuffix(".v1")
        conversation, told = move(
            conversation, [line], event.promised_ship_date, event.progressed_at, source, now, calendar
        )
        facts += told
    return conversation, facts
