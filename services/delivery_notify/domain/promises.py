"""The ledger of promises: every date a customer was ever told, per line, and the clock that each of them starts.

A date is a row (`PromiseMade`), added in the transaction that decided on it and never changed; that it was told is a
row of its own (`tellings`), added with the outcome of the notice. Every surface shows the newest version that was
told: mails are made from the row that they tell, other services read `tells` of `notice.sent`. So two surfaces cannot
say two dates, and an estimate, which is no row, cannot be said at all.
"""

from collections.abc import Iterable
from datetime import date, datetime, timedelta

from libs.common.decisions.fast_replace import replace
from libs.common.events.notices import PromiseRef, PromiseSubject
from services.delivery_notify.domain.conversation import Arrival, Line
from services.delivery_notify.domain.notices import News, PromiseMade
from services.delivery_notify.policy.notification_rules import Rules

SHOP, PAGE = "shop", "choice_page"
"""Surfaces other than notices on which a date was told: the shop's own (checkout, shipping mail), the choice page."""


def promised(
    line: Line, day: date, at: datetime, rules: Rules, ship_by: datetime | None = None, *, untold: bool = False
) -> Line:
    """The line under a new promise, told by somebody who knows: its next version, and a clock that starts anew.

    `untold`: the customer never heard of the promise that it has now.
    """
    speak_at, breaks_at = _clock(day, at, rules, ship_by)
    return replace(
        line,
        promise=day,
        version=line.version + 1,
        promised_at=at,
        speak_at=speak_at,
        breaks_at=breaks_at,
        words=0,
        renewals=0,
        slips=line.slips + (line.law_day is not None and day > line.law_day),
        first_promise=_first(line, day),
        leaving=False,
        known_day=line.known_day if untold else line.promise,
        known_version=line.known_version if untold else _unbroken(line.version, line.words),
    )


def _unbroken(version: int, words: int) -> int:
    """The version that a new date breaks: none (0), where the customer was told before that it is broken."""
    return 0 if words else version


def _first(line: Line, day: date) -> date:
    """The day from which the law counts: the first that was promised, but not later than its own."""
    if line.first_promise is None:
        return day
    return line.first_promise if line.promise else min(day, line.first_promise)


def renewed(line: Line, day: date, now: datetime, rules: Rules) -> Line:
    """The line under a date of our own policy, because nobody else gave one. News of the shop's own, even if it is a
    little older than this, goes before it: `promised_at` stays."""
    after = promised(line, day, now, rules)
    return replace(after, promised_at=line.promised_at, renewals=line.renewals + 1, ruled_at=now)


def unstated(line: Line, day: date, at: datetime, rules: Rules) -> Line:
    """No promise was made, and the law has one: a clock without a date that anybody was told."""
    speak_at, breaks_at = _clock(day, at, rules, None)
    return replace(line, first_promise=day, speak_at=speak_at, breaks_at=breaks_at)


def _clock(day: date, at: datetime, rules: Rules, ship_by: datetime | None) -> tuple[datetime, datetime]:
    """When silence is broken, and when the promise is. A promise made after the cutoff of its own day (a same-day order
    in the evening) is spoken of at noon of the next."""
    if ship_by is not None and rules.calendar.day(ship_by) == day and ship_by - rules.margin > at:
        return ship_by - rules.margin, ship_by
    speak_at = rules.cutoff(day, rules.ship_cutoff)
    if speak_at <= at:
        speak_at = rules.word_moment(rules.calendar.day(at) + timedelta(days=1))
    return speak_at, rules.end_of(day)


def arriving(line: Line, day: date, at: datetime, rules: Rules, *, own: bool = False, untold: bool = False) -> Line:
    """The line with this day at the door; `own` where it is a date of our policy."""
    old = line.arrival or Arrival(day, 0)
    speak_at = rules.cutoff(day, rules.arrival_cutoff)
    if speak_at <= at:
        speak_at = rules.word_moment(rules.calendar.day(at) + timedelta(days=1))
    version = _unbroken(old.version, old.words)
    known = (old.known_day, old.known_version) if untold else (old.day if old.version else None, version)
    promised_at = old.promised_at if own else at
    renewals = old.renewals + 1 if own else 0
    return replace(line, arrival=Arrival(day, old.version + 1, promised_at, speak_at, 0, renewals, *known, at))


def row(order_id: str, line: Line, source: str, at: datetime, surface: str | None = None) -> PromiseMade:
    """The ledger's row of the line's newest ship date."""
    if line.promise is None:
        raise ValueError(f"line {line.line_id}: has no promise to write down")
    return PromiseMade(order_id, PromiseSubject.LINE, line.line_id, line.version, line.promise, source, at, surface)


def arrival_row(order_id: str, line: Line, source: str, at: datetime, surface: str | None = None) -> PromiseMade:
    if line.arrival is None:
        raise ValueError(f"line {line.line_id}: has no day at the door to write down")
    arrival = line.arrival
    subject = PromiseSubject.DELIVERY
    return PromiseMade(order_id, subject, line.line_id, arrival.version, arrival.day, source, at, surface)


def ref(subject: PromiseSubject, line_id: str, version: int, day: date | None) -> tuple[PromiseRef, ...]:
    """A promise as events name it; nothing where there was none, or its end was told before."""
    if day is None or (version == 0 and subject is not PromiseSubject.REPLACEMENT):
        return ()
    return (PromiseRef(subject=subject, subject_id=line_id, version=version, day=day),)


def told_by(lines: Iterable[Line], *, broken: bool = False) -> News:
    """What a notice about these lines tells: their newest ship dates in the place of those known before, or (`broken`)
    that the newest will not be kept."""
    tells: list[PromiseRef] = []
    breaks: list[PromiseRef] = []
    for line in lines:
        newest = ref(PromiseSubject.LINE, line.line_id, line.version, line.promise)
        if broken:
            breaks += newest
        else:
            tells += newest
            breaks += ref(PromiseSubject.LINE, line.line_id, line.known_version, line.known_day)
    return News(tuple(tells), tuple(breaks))


def arrivals_told_by(lines: Iterable[Line], *, broken: bool = False) -> News:
    """The same for days at the door."""
    tells: list[PromiseRef] = []
    breaks: list[PromiseRef] = []
    for line in lines:
        if (arrival := line.arrival) is None:
            continue
        newest = ref(PromiseSubject.DELIVERY, line.line_id, arrival.version, arrival.day)
        if broken:
            breaks += newest
        else:
            tells += newest
            breaks += ref(PromiseSubject.DELIVERY, line.line_id, arrival.known_version, arrival.known_day)
    return News(tuple(tells), tuple(breaks))
