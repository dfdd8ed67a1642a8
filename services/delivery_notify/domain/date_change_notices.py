"""Notices about dates that moved.

A ship date that moves later is announced with the choice to wait, change or cancel, under the terms of the market's
law; one that moves earlier at once, without a question.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta

from libs.common.decisions.fast_replace import replace
from libs.common.events.notices import NoticeKind
from services.delivery_notify.domain import prepaid_acceptance, promises
from services.delivery_notify.domain.context import ConversationDecision
from services.delivery_notify.domain.customer_questions import close_questions
from services.delivery_notify.domain.notice_creation import create_notice, notice_id
from services.delivery_notify.domain.notices import NoticeFacts, PromiseNews
from services.delivery_notify.domain.order_line import Line
from services.delivery_notify.domain.promise_notices import days, notify, versions
from services.delivery_notify.domain.promises import DELIVERY, SHIP, PromiseTrack
from services.delivery_notify.domain.supersede import (
    batching_delay,
    date_is_unsent,
    notice_line,
    supersede,
    unsent_due_at,
)


@dataclass(frozen=True, slots=True)
class DateChange:
    """A line before and after its promise moved."""

    before: Line
    line: Line

    @property
    def delivery_moved(self) -> bool:
        delivery = self.line.delivery
        return delivery != self.before.delivery and delivery.day != delivery.last_announced_date

    @property
    def delivery_is_later(self) -> bool:
        """The delivery date moved later than the customer has it."""
        day, announced = self.line.delivery.day, self.line.delivery.last_announced_date
        return self.delivery_moved and day is not None and announced is not None and day > announced


def announce(
    decision: ConversationDecision,
    track: PromiseTrack,
    changes: Sequence[DateChange],
    wait: timedelta,
    cause: str | None,
) -> None:
    """Create the notices about these changes; `wait` is how long they may be held back for batching."""
    if track is DELIVERY:
        changes = [each for each in changes if each.before.delivery.day]  # a first date was announced by the shop
    if changes and track is SHIP:
        _announce_ship_dates(decision, changes, wait, cause)
    elif changes:
        _announce_delivery_dates(decision, changes, wait, cause)


def _announce_ship_dates(
    decision: ConversationDecision, changes: Sequence[DateChange], wait: timedelta, cause: str | None
) -> None:
    """One notice for dates that moved later, one for those that moved earlier, none for a date the customer chose."""
    requested = {
        (question.requested_date, line_id)
        for question in decision.state.questions
        if question.requested_date
        for line_id in question.line_ids
    }
    unrequested = [each for each in changes if (each.line.shipping.day, each.line.line_id) not in requested]
    later, earlier, first = _sorted([*unrequested, *_unsent_changes(decision, unrequested)])
    until = unsent_due_at(decision, NoticeKind.ORDER_DELAYED, frozenset(_ids(later)))
    wait = min(wait, until - decision.now) if until else wait
    line_ids = frozenset(each.line.line_id for each in (*changes, *later, *earlier, *first))
    supersede(decision, SHIP.announced_by, line_ids, "superseded")
    _close_unsent_questions(decision, line_ids)
    for kind, group in ((NoticeKind.ORDER_EARLY, earlier), (NoticeKind.PREORDER_PROGRESS, first)):
        if group:
            _early_notice(decision, kind, group)
    if later:
        facts = replace(_ship_facts(decision, later), code=cause)
        wait = batching_delay(decision, wait, (each.before.shipping.breaks_at for each in later))
        _delay_notice(decision, SHIP, later, facts, wait, _ship_news(later))
    announced = {each.line.line_id for each in (*later, *earlier, *first)}
    alone = [each for each in unrequested if each.line.line_id not in announced and each.delivery_is_later]
    if alone:
        _announce_delivery_dates(decision, alone, wait, cause)
    if not unrequested:
        prepaid_acceptance.renew_acceptance(decision)


def _close_unsent_questions(decision: ConversationDecision, line_ids: frozenset[str]) -> None:
    """Close questions that nobody was asked, since their notice was withdrawn: silence must not decide them."""
    close_questions(decision, "superseded", lines=line_ids, kinds=SHIP.announced_by, unsent_only=True)
    decision.put_lines(
        replace(line, consent_lapses_at=None)
        for line in decision.state.lines
        if line.line_id in line_ids and line.consent_lapses_at and line.shipping.last_announced_version <= 1
    )


def _unsent_changes(decision: ConversationDecision, changes: Sequence[DateChange]) -> list[DateChange]:
    """Changes of other lines whose notice is unsent, to be announced in the same message."""
    if not changes:
        return []
    ids = {each.line.line_id for each in changes}
    return [
        DateChange(_before_unsent_change(line), line)
        for line in decision.state.lines
        if line.line_id not in ids
        and line.awaiting_shipment
        and not line.shipping.updates_sent
        and date_is_unsent(decision, line.line_id, NoticeKind.ORDER_DELAYED)
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
        day, announced, owed = promise.day, promise.last_announced_date, before.owed_day
        if day is None:
            continue
        if announced is None and (owed is None or day <= owed):
            first += [each] if each.line.preorder else []
        elif announced is None or announced < day or (before.updates_sent and announced == day):
            later.append(each)
        elif day < announced:
            earlier.append(each)
    return later, earlier, first


def _early_notice(decision: ConversationDecision, kind: NoticeKind, changes: Sequence[DateChange]) -> None:
    facts = _ship_facts(decision, changes)
    create_notice(
        decision,
        kind,
        prepaid_acceptance.with_receipt(decision.state, facts),
        cause=versions(SHIP, [each.line for each in changes]),
        subjects=_ids(changes),
        promised_date=facts.day,
        news=replace(_ship_news(changes), supersedes=()),
    )


def _ship_facts(decision: ConversationDecision, changes: Sequence[DateChange]) -> NoticeFacts:
    """`day` is the last of the new dates: all has shipped by then."""
    replaced = (each.line.shipping.last_announced_date or each.before.shipping.owed_day for each in changes)
    return NoticeFacts(
        tuple(notice_line(each.line, moved=True, delivery_moved=each.delivery_moved) for each in changes),
        day=max(days(SHIP, (each.line for each in changes))),
        previous_day=next((day for day in replaced if day), None),
        purchase_count=decision.state.purchase_count,
    )


def _ship_news(changes: Sequence[DateChange]) -> PromiseNews:
    ship = promises.announcement_of(SHIP, [each.line for each in changes])
    delivery = promises.announcement_of(DELIVERY, [each.line for each in changes if each.delivery_moved])
    return PromiseNews((*ship.announces, *delivery.announces), (*ship.supersedes, *delivery.supersedes))


def _announce_delivery_dates(
    decision: ConversationDecision, changes: Sequence[DateChange], wait: timedelta, cause: str | None
) -> None:
    lines = [each.line for each in changes]
    replaced = [line.delivery.last_announced_date for line in lines if line.delivery.last_announced_date]
    facts = NoticeFacts(
        tuple(notice_line(line, delivery_moved=True) for line in lines),
        day=max(days(DELIVERY, lines)),
        previous_day=min(replaced, default=None),
        code=cause,
        purchase_count=decision.state.purchase_count,
    )
    supersede(decision, DELIVERY.announced_by, frozenset(_ids(changes)), "superseded")
    wait = batching_delay(decision, wait, (decision.rules.end_of(day) for day in replaced))
    _delay_notice(decision, DELIVERY, changes, facts, wait, promises.announcement_of(DELIVERY, lines))


def _delay_notice(
    decision: ConversationDecision,
    track: PromiseTrack,
    changes: Sequence[DateChange],
    facts: NoticeFacts,
    wait: timedelta,
    news: PromiseNews,
) -> None:
    lines = [each.line for each in changes]
    cause = _cause(decision, track, lines)
    notify(decision, track, track.delayed, lines, facts, cause=cause, wait=wait, news=news)


def _cause(decision: ConversationDecision, track: PromiseTrack, lines: Sequence[Line]) -> tuple[str, ...]:
    """Return the versions that the notice is about, and a mark if an unsent notice is about the same ones.

    That one was withdrawn because a date of another line moved; as its duplicate the new notice would not be created.
    """
    cause, state = versions(track, lines), decision.state
    unsent = {each.notice_id for each in state.notices if each.is_unsent(decision.now)}
    while notice_id(state.order_id, track.delayed, *cause) in unsent:
        cause = (*cause, "again")
    return cause


def _ids(changes: Iterable[DateChange]) -> tuple[str, ...]:
    return tuple(each.line.line_id for each in changes)
