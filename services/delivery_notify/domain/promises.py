"""Promise ledger: every promised date of an order line as a versioned row, and the deadlines of the newest one.

A date is a row (`PromiseMade`), added in the transaction that decided it and never changed; its announcement is a row
of `promise_notifications`, added with the outcome of the notice. Every surface shows the newest announced version:
mails are rendered from the row they announce, other services read `announces` of `notice.sent`. An estimate is no row.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta

from libs.common.decisions.fast_replace import replace
from libs.common.decisions.shop_calendar import ShopCalendar
from libs.common.events.notices import NoticeKind, PromiseRef, PromiseSubject
from libs.common.events.values import Choice
from services.delivery_notify.domain.conversation import DELIVERY_OPTIONS, ORDER_OPTIONS
from services.delivery_notify.domain.notices import PromiseMade, PromiseNews
from services.delivery_notify.domain.order_line import Line, TrackedPromise
from services.delivery_notify.domain.supersede import DELIVERY_DATE_NOTICES, SHIP_DATE_NOTICES
from services.delivery_notify.policy.notification_rules import NotificationRules

SHOP, PAGE = "shop", "choice_page"
"""Surfaces other than notices that announce a date: the shop's own (checkout, shipping mail), the choice page."""


NO_PROMISE = TrackedPromise()


@dataclass(frozen=True, slots=True)
class PromiseTrack:
    """One of the two promises of an order line (it ships by a day, it is delivered by a day), and its rules.

    `announced_by` are the notices about this promise. Once `is_pending` is false no date is promised any more. A new
    date for which `is_unchanged` holds is no change. `first_surface` is where the shop itself announces the first date.
    """

    subject: PromiseSubject
    announced_by: frozenset[NoticeKind]
    delayed: NoticeKind
    overdue: NoticeKind
    options: tuple[Choice, ...]
    not_pending: str
    first_surface: str | None
    is_pending: Callable[[Line], bool]
    is_unchanged: Callable[[date, date], bool]
    cutoff: Callable[[NotificationRules], time]

    def of(self, line: Line) -> TrackedPromise:
        return line.shipping if self.subject is PromiseSubject.LINE else line.delivery

    def party(self, line: Line, rules: NotificationRules) -> ShopCalendar:
        """Return the days of the party that has to act: the warehouse of the line, or its carrier."""
        if self.subject is PromiseSubject.LINE:
            return rules.calendars.warehouse(line.warehouse)
        return rules.calendars.carrier(line.carrier)

    def put(self, line: Line, promise: TrackedPromise) -> Line:
        if self.subject is PromiseSubject.LINE:
            return replace(line, shipping=promise)
        return replace(line, delivery=promise)


SHIP = PromiseTrack(
    PromiseSubject.LINE,
    SHIP_DATE_NOTICES,
    NoticeKind.ORDER_DELAYED,
    NoticeKind.ORDER_OVERDUE,
    ORDER_OPTIONS,
    not_pending="nothing_left_to_ship",
    first_surface=None,
    is_pending=lambda line: line.open,
    is_unchanged=lambda new, promised: new == promised,
    cutoff=lambda rules: rules.ship_cutoff,
)
DELIVERY = PromiseTrack(
    PromiseSubject.DELIVERY,
    DELIVERY_DATE_NOTICES,
    NoticeKind.DELIVERY_DELAYED,
    NoticeKind.DELIVERY_OVERDUE,
    DELIVERY_OPTIONS,
    not_pending="nothing_left_to_deliver",
    first_surface=SHOP,
    is_pending=lambda line: line.awaiting_delivery,
    is_unchanged=lambda new, promised: new <= promised,  # an earlier delivery needs no notice
    cutoff=lambda rules: rules.delivery_cutoff,
)


def with_promise(
    track: PromiseTrack,
    line: Line,
    day: date,
    at: datetime,
    rules: NotificationRules,
    *,
    ship_by: datetime | None = None,
    unannounced: bool = False,
) -> Line:
    """Return the line with the next version of its promise and new deadlines.

    `unannounced`: the notice about the present version is unsent, so the customer still has the version before.
    """
    old = track.of(line)
    unannounced = unannounced or old.unannounced
    notify_at, breaks_at = _deadlines(track, day, at, rules, ship_by)
    new = TrackedPromise(
        day,
        old.version + 1,
        promised_at=at,
        changed_at=at,
        policy_dated_at=old.policy_dated_at,
        notify_at=notify_at,
        breaks_at=breaks_at,
        slips=old.slips + (old.owed_day is not None and day > old.owed_day),
        first_day=_first_day(old, day),
        last_announced_date=old.last_announced_date if unannounced else old.day,
        last_announced_version=old.last_announced_version if unannounced else _unbroken_version(old),
    )
    line = track.put(line, new)
    return replace(line, cancel_requested=False) if track is SHIP else line


def _unbroken_version(promise: TrackedPromise) -> int:
    """The version that a new date breaks; 0 if an overdue notice broke it before."""
    return 0 if promise.updates_sent else promise.version


def _first_day(old: TrackedPromise, day: date) -> date:
    """The first promised day, but no later than a statutory one."""
    if old.first_day is None:
        return day
    return old.first_day if old.day else min(day, old.first_day)


def with_renewal(
    track: PromiseTrack,
    line: Line,
    day: date,
    now: datetime,
    rules: NotificationRules,
    *,
    unannounced: bool = False,
) -> Line:
    """Return the line with a date set by our policy. `promised_at` stays: a date of the shop takes precedence even if
    it was stated a little earlier."""
    old, after = track.of(line), with_promise(track, line, day, now, rules, unannounced=unannounced)
    renewals = old.renewals + 1
    new = replace(track.of(after), promised_at=old.promised_at, renewals=renewals, policy_dated_at=now)
    return track.put(after, new)


def with_chosen_date(line: Line, day: date, now: datetime, rules: NotificationRules) -> Line:
    """Return the line with a ship date that the customer chose. It is no slip: the law counts from it."""
    stated_at, after = line.shipping.promised_at, with_promise(SHIP, line, day, now, rules)
    new = replace(after.shipping, slips=0, first_day=day, promised_at=stated_at, policy_dated_at=now)
    return replace(after, shipping=new)


def delivery_moved_with_ship_date(line: Line) -> bool:
    """The newest delivery date took effect together with the newest ship date, and is announced with it."""
    return bool(line.delivery.ship_version) and line.delivery.ship_version == line.shipping.version


def with_statutory_deadline(line: Line, day: date, at: datetime, rules: NotificationRules) -> Line:
    """Return the line with the ship deadline that the law sets where no date was promised."""
    notify_at, breaks_at = _deadlines(SHIP, day, at, rules, None)
    return replace(line, shipping=replace(line.shipping, first_day=day, notify_at=notify_at, breaks_at=breaks_at))


def _deadlines(
    track: PromiseTrack, day: date, at: datetime, rules: NotificationRules, ship_by: datetime | None
) -> tuple[datetime, datetime]:
    """`notify_at` and `breaks_at` of a promise. If it is made after the cutoff of its own day (a same-day order in the
    evening), the notice is due at noon of the next."""
    if ship_by is not None and rules.calendar.day(ship_by) == day and ship_by - rules.deadline_margin > at:
        return ship_by - rules.deadline_margin, ship_by
    notify_at = rules.cutoff(day, track.cutoff(rules))
    if notify_at <= at:
        notify_at = rules.update_time(rules.calendar.day(at) + timedelta(days=1))
    return notify_at, rules.end_of(day)


def ledger_row(
    track: PromiseTrack, order_id: str, line: Line, source: str, at: datetime, surface: str | None = None
) -> PromiseMade:
    """Return the ledger row of the line's newest promise."""
    promise = track.of(line)
    if promise.day is None:
        raise ValueError(f"line {line.line_id}: has no {track.subject} promise to record")
    return PromiseMade(order_id, track.subject, line.line_id, promise.version, promise.day, source, at, surface)


def recorded_at(before: TrackedPromise, at: datetime) -> datetime:
    """Return the time of the next ledger row, never before that of the row of this promise."""
    return max(moment for moment in (at, before.changed_at, before.policy_dated_at) if moment)


def ref(subject: PromiseSubject, subject_id: str, version: int, day: date | None) -> tuple[PromiseRef, ...]:
    """Return a promise as events name it; nothing if there was none or an earlier notice broke it."""
    if day is None or (version == 0 and subject in (PromiseSubject.LINE, PromiseSubject.DELIVERY)):
        return ()
    return (PromiseRef(subject=subject, subject_id=subject_id, version=version, day=day),)


def announcement_of(track: PromiseTrack, lines: Iterable[Line]) -> PromiseNews:
    """Return the newest promises of these lines as announced, and those that they supersede as broken."""
    announces: list[PromiseRef] = []
    broken: list[PromiseRef] = []
    for line in lines:
        promise = track.of(line)
        announces += ref(track.subject, line.line_id, promise.version, promise.day)
        broken += ref(track.subject, line.line_id, promise.last_announced_version, promise.last_announced_date)
    return PromiseNews(tuple(announces), tuple(broken))


def breach_of(track: PromiseTrack, lines: Iterable[Line]) -> PromiseNews:
    """Return the newest promises of these lines as broken."""
    found = [ref(track.subject, line.line_id, (p := track.of(line)).version, p.day) for line in lines]
    return PromiseNews(supersedes=tuple(each for refs in found for each in refs))
