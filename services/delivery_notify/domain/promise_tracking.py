"""Ship and delivery promises of order lines as the shop and the carrier state them.

One state machine for both promises, parametrised by `SHIP` and `DELIVERY`; overdue promises are in
`promise_renewal.py`. A date stated earlier than the present one is dropped: the time of the statement counts, not that
of its arrival.
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime

from libs.common.decisions.fast_replace import replace
from services.delivery_notify.domain import overdue_notices, promises
from services.delivery_notify.domain.context import ConversationDecision
from services.delivery_notify.domain.date_change_notices import DateChange, announce
from services.delivery_notify.domain.order_line import Line
from services.delivery_notify.domain.promise_renewal import move_delivery, renew
from services.delivery_notify.domain.promises import DELIVERY, SHIP, PromiseTrack
from services.delivery_notify.domain.supersede import date_is_unsent


@dataclass(frozen=True, slots=True)
class StatedDate:
    """A date stated by the shop or the carrier: at which time, by which event, and the dates that came with it."""

    day: date
    at: datetime
    source: str
    delivery_date: date | None = None
    ship_by: datetime | None = None
    cause: str | None = None


def change_date(decision: ConversationDecision, track: PromiseTrack, lines: Iterable[Line], asked: StatedDate) -> None:
    """Promise these lines the stated date where it is newer than the present one, and announce what moved.

    A day on which the line's warehouse or carrier is closed becomes its next open one, unless the shop itself announces
    the date.
    """
    changes: list[DateChange] = []
    for line in lines:
        promise, stated = track.of(line), _on_open_day(decision, track, line, asked)
        if reason := _obsolete(track, line, stated, decision.today):
            decision.ignore(reason)
        elif promise.day and not promise.updates_sent and track.is_unchanged(stated.day, promise.day):
            decision.ignore("same_promise")
            if track is SHIP:  # an earlier delivery date is not promised, so its statement is not the newest one
                decision.put_line(track.put(line, replace(promise, promised_at=stated.at)))
        else:
            changes.append(DateChange(line, _promise(decision, track, line, stated)))
    announce(decision, track, changes, decision.rules.batching_delay, asked.cause)


def _on_open_day(decision: ConversationDecision, track: PromiseTrack, line: Line, stated: StatedDate) -> StatedDate:
    if track.first_surface and track.of(line).day is None:
        return stated
    return replace(stated, day=track.party(line, decision.rules).next_open(stated.day))


def _promise(decision: ConversationDecision, track: PromiseTrack, line: Line, stated: StatedDate) -> Line:
    promise, rules = track.of(line), decision.rules
    unannounced = date_is_unsent(decision, line.line_id, track.delayed)
    after = promises.with_promise(
        track, line, stated.day, stated.at, rules, ship_by=stated.ship_by, unannounced=unannounced
    )
    at, surface = promises.recorded_at(promise, stated.at), None if promise.day else track.first_surface
    decision.emit(promises.ledger_row(track, decision.state.order_id, after, stated.source, at, surface))
    if track is SHIP:
        after = move_delivery(decision, after, stated.delivery_date, stated.source, unannounced=unannounced)
    decision.put_line(after)
    return after


def _obsolete(track: PromiseTrack, line: Line, stated: StatedDate, today: date) -> str | None:
    promised_at = track.of(line).promised_at
    if not track.is_pending(line):
        return track.not_pending
    if promised_at and stated.at < promised_at:
        return "older_promise"
    return "date_in_past" if stated.day < today else None


def remember_unannounced(decision: ConversationDecision, line_ids: frozenset[str]) -> None:
    """Mark the ship dates of these lines whose notice will not be sent: the customer has an earlier date."""
    for line in decision.state.lines:
        if line.line_id in line_ids and date_is_unsent(decision, line.line_id, SHIP.delayed):
            decision.put_line(replace(line, shipping=replace(line.shipping, unannounced=True)))


def on_reopened(decision: ConversationDecision, open_before: Collection[str], source: str) -> None:
    """Promise again what is owed again: a date that was never announced, or a new one for a promise that is broken."""
    lines = [line for line in decision.state.lines if line.awaiting_shipment and line.line_id not in open_before]
    changes: list[DateChange] = []
    for line in lines:
        day, stated_at = line.shipping.day, line.shipping.promised_at or decision.now
        if day and day >= decision.today and line.shipping.unannounced:
            again = _promise(
                decision, SHIP, line, _on_open_day(decision, SHIP, line, StatedDate(day, stated_at, source))
            )
            changes.append(DateChange(line, again))
    announce(decision, SHIP, changes, decision.rules.batching_delay, None)
    if overdue := [line for line in lines if line.shipping.day and line.shipping.notify_at is None]:
        renew(decision, SHIP, overdue)


def announce_undated_delay(
    decision: ConversationDecision, lines: Sequence[Line], at: datetime, cause: str, next_update_by: date | None
) -> None:
    """Announce a delay that the shop stated without a new ship date."""
    delayed: set[str] = set()
    for line in lines:
        promised_at = line.shipping.promised_at
        if not line.awaiting_shipment:
            decision.ignore(SHIP.not_pending)
        elif promised_at and at < promised_at:
            decision.ignore("older_promise")
        else:
            delayed.add(line.line_id)
    # The notice that this one supersedes may be unsent, and with it a delivery date that moved.
    restore_announced_delivery(decision, frozenset(delayed), "order.delayed")
    undated = [
        replace(line, shipping=replace(line.shipping, promised_at=at))
        for line in decision.state.lines
        if line.line_id in delayed
    ]
    if next_update_by is not None and next_update_by <= decision.today:
        next_update_by = None
    if undated:
        overdue_notices.send_update(decision, SHIP, undated, next_update_by, cause)


def on_shipped(decision: ConversationDecision, line_ids: frozenset[str], stated: StatedDate | None) -> None:
    """Promise the carrier's delivery date where it is later; set a new one where the promise is broken."""
    if stated:
        change_date(decision, DELIVERY, _in_transit(decision, line_ids), stated)
    broken = [line for line in _in_transit(decision, line_ids) if line.delivery.day and line.delivery.notify_at is None]
    if broken:
        renew(decision, DELIVERY, broken)


def _in_transit(decision: ConversationDecision, line_ids: frozenset[str]) -> list[Line]:
    return [line for line in decision.state.lines if line.line_id in line_ids and line.awaiting_delivery]


def restore_announced_delivery(decision: ConversationDecision, line_ids: frozenset[str], source: str) -> None:
    """Promise the announced delivery date again where the notice that moved it will not be sent."""
    for line in decision.state.lines:
        day = line.delivery.last_announced_date
        unsent = line.line_id in line_ids and date_is_unsent(decision, line.line_id, SHIP.delayed)
        if unsent and day and line.awaiting_delivery and promises.delivery_moved_with_ship_date(line):
            at = promises.recorded_at(line.delivery, decision.now)
            after = promises.with_renewal(DELIVERY, line, day, at, decision.rules, unannounced=True)
            decision.put_line(after)
            decision.emit(promises.ledger_row(DELIVERY, decision.state.order_id, after, source, at))
