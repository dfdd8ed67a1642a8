"""Ship and delivery promises of order lines as the shop and the carrier state them.

One state machine for both promises, parametrised by `SHIP` and `DELIVERY`; what follows when a promise is overdue is in
`promise_renewal.py`. A date stated earlier than the present one is dropped: the time of the statement counts, not that
of its arrival.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime

from libs.common.decisions.facts import Fact, Ignored
from libs.common.decisions.fast_replace import replace
from services.delivery_notify.domain import overdue_notices, promises
from services.delivery_notify.domain.conversation import Conversation
from services.delivery_notify.domain.date_change_notices import DateChange, announce
from services.delivery_notify.domain.notices import Outcome
from services.delivery_notify.domain.order_line import Line
from services.delivery_notify.domain.promise_renewal import move_delivery, renew
from services.delivery_notify.domain.promises import DELIVERY, SHIP, PromiseTrack
from services.delivery_notify.domain.supersede import held_back
from services.delivery_notify.policy.notification_rules import Rules


@dataclass(frozen=True, slots=True)
class StatedDate:
    """A date stated by the shop or the carrier: at which time, by which event, and the dates that came with it."""

    day: date
    at: datetime
    source: str
    delivery_date: date | None = None
    ship_by: datetime | None = None
    cause: str | None = None


def change_date(
    track: PromiseTrack,
    conversation: Conversation,
    lines: Iterable[Line],
    stated: StatedDate,
    now: datetime,
    rules: Rules,
) -> Outcome:
    """Promise these lines the stated date where it is newer than the present one, and announce what moved."""
    changes: list[DateChange] = []
    facts: list[Fact] = []
    for line in lines:
        promise = track.of(line)
        if reason := _obsolete(track, line, stated, rules.calendar.day(now)):
            facts.append(Ignored(reason))
        elif promise.day and not promise.updates_sent and track.is_unchanged(stated.day, promise.day):
            facts.append(Ignored("same_promise"))
            if track is SHIP:  # an earlier delivery date is not promised, so its statement is not the newest one
                conversation = conversation.with_line(track.put(line, replace(promise, promised_at=stated.at)))
        else:
            unannounced = held_back(conversation, line.line_id, track.delayed, now)
            after = promises.promised(
                track, line, stated.day, stated.at, rules, ship_by=stated.ship_by, unannounced=unannounced
            )
            at, surface = promises.recorded_at(promise, stated.at), None if promise.day else track.first_surface
            facts.append(promises.ledger_row(track, conversation.order_id, after, stated.source, at, surface))
            if track is SHIP:
                after, rows = move_delivery(conversation, after, stated.delivery_date, stated.source, now, rules)
                facts += rows
            conversation = conversation.with_line(after)
            changes.append(DateChange(line, after))
    conversation, made = announce(track, conversation, changes, now, rules, rules.gather, stated.cause)
    return conversation, [*facts, *made]


def _obsolete(track: PromiseTrack, line: Line, stated: StatedDate, today: date) -> str | None:
    promised_at = track.of(line).promised_at
    if not track.is_pending(line):
        return track.not_pending
    if promised_at and stated.at < promised_at:
        return "older_promise"
    return "day_is_past" if stated.day < today else None


def announce_undated_delay(
    conversation: Conversation,
    lines: Iterable[Line],
    at: datetime,
    cause: str,
    next_update_by: date | None,
    now: datetime,
    rules: Rules,
) -> Outcome:
    """Announce a delay that the shop stated without a new ship date."""
    facts: list[Fact] = []
    delayed: list[Line] = []
    for line in lines:
        promised_at = line.shipping.promised_at
        if not line.awaiting_shipment:
            facts.append(Ignored(SHIP.not_pending))
        elif promised_at and at < promised_at:
            facts.append(Ignored("older_promise"))
        else:
            delayed.append(SHIP.put(line, replace(line.shipping, promised_at=at)))
    if not delayed:
        return conversation, facts
    if next_update_by is not None and next_update_by <= rules.calendar.day(now):
        next_update_by = None
    conversation, made = overdue_notices.send_update(SHIP, conversation, delayed, now, rules, next_update_by, cause)
    return conversation, [*facts, *made]


def on_shipped(
    conversation: Conversation, line_ids: frozenset[str], day: date | None, at: datetime, now: datetime, rules: Rules
) -> Outcome:
    """Promise the carrier's delivery date where it is later; set a new one where the promise is broken."""
    facts: list[Fact] = []
    if day is not None:
        stated = StatedDate(day, at, "order.shipped")
        in_transit = _in_transit(conversation, line_ids)
        conversation, facts = change_date(DELIVERY, conversation, in_transit, stated, now, rules)
    in_transit = _in_transit(conversation, line_ids)
    broken = [line for line in in_transit if line.delivery.day and line.delivery.notify_at is None]
    if broken:
        conversation, made = renew(DELIVERY, conversation, broken, now, rules)
        facts += made
    return conversation, facts


def _in_transit(conversation: Conversation, line_ids: frozenset[str]) -> list[Line]:
    return [line for line in conversation.lines if line.line_id in line_ids and line.awaiting_delivery]


def restore_announced_delivery(
    conversation: Conversation, line_ids: frozenset[str], now: datetime, rules: Rules
) -> Outcome:
    """Promise the announced delivery date again where a line ships while the notice that moved it is unsent."""
    facts: list[Fact] = []
    for line in conversation.lines:
        day = line.delivery.last_announced_date
        unsent = line.line_id in line_ids and held_back(conversation, line.line_id, SHIP.delayed, now)
        if unsent and day and line.awaiting_delivery and promises.delivery_moved_with_ship_date(line):
            after = promises.renewed(DELIVERY, line, day, now, rules)
            conversation = conversation.with_line(after)
            facts.append(promises.ledger_row(DELIVERY, conversation.order_id, after, "order.shipped", now))
    return conversation, facts
