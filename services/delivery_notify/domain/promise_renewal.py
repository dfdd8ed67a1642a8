"""Overdue promises: new dates set by our policy, then updates without a date.

If nothing has shipped (or arrived) by the cutoff of the promised day, the policy sets a new date; once it has none,
updates follow without a date, each naming the day of the next.
"""

from collections.abc import Iterable, Sequence
from datetime import date, timedelta

from libs.common.decisions.fast_replace import replace
from services.delivery_notify.domain import overdue_notices, promises
from services.delivery_notify.domain.context import ConversationDecision
from services.delivery_notify.domain.date_change_notices import DateChange, announce
from services.delivery_notify.domain.order_line import Line
from services.delivery_notify.domain.promises import DELIVERY, SHIP, PromiseTrack
from services.delivery_notify.policy.notification_rules import NotificationRules

POLICY = "policy"
"""Source of a date that our policy set."""


def on_overdue(decision: ConversationDecision) -> None:
    """Announce what has not shipped, and what was not delivered, by the time at which a notice about it is due."""
    _on_ship_overdue(decision)
    _on_delivery_overdue(decision)
    if not decision.facts:
        decision.ignore("nothing_overdue")


def _on_ship_overdue(decision: ConversationDecision) -> None:
    """Lines with a cancellation request get no notice; that nobody carried it out is an anomaly."""
    due = _due(decision, SHIP)
    overdue = [line for line in due if line.awaiting_shipment]
    if len(overdue) < len(due):
        decision.anomaly("cancel_not_carried_out", decision.state.order_id)
    for line in due:
        if not line.awaiting_shipment:
            again = decision.rules.update_time(decision.rules.next_update_by(decision.now, line.shipping.updates_sent))
            decision.put_line(overdue_notices.with_update_sent(SHIP, line, again))
    _renew_or_update(decision, SHIP, overdue)


def _on_delivery_overdue(decision: ConversationDecision) -> None:
    """A reported line (lost, or something wrong with it) gets no notice: its issue thread goes on instead."""
    reported = {item.line_id for thread in decision.state.threads for item in thread.items}
    for line in decision.state.lines:
        if line.line_id in reported and line.delivery.notify_at:
            decision.put_line(replace(line, delivery=replace(line.delivery, notify_at=None)))
    due = _due(decision, DELIVERY)
    unshipped = [line for line in due if line.open and line.shipping.updates_sent]
    overdue_notices.announce_with_ship_delay(decision, unshipped)
    _renew_or_update(decision, DELIVERY, [line for line in due if line not in unshipped])


def _due(decision: ConversationDecision, track: PromiseTrack) -> list[Line]:
    return [
        line
        for line in decision.state.lines
        if track.is_pending(line) and (notify_at := track.of(line).notify_at) and notify_at <= decision.now
    ]


def _renew_or_update(decision: ConversationDecision, track: PromiseTrack, lines: Sequence[Line]) -> None:
    """Set new dates if the policy has one for each line; after an update without a date only the shop sets one."""
    if lines and all(_is_renewable(track, line, decision.rules) for line in lines):
        renew(decision, track, lines)
    elif lines:
        overdue_notices.send_update(decision, track, lines)


def _is_renewable(track: PromiseTrack, line: Line, rules: NotificationRules) -> bool:
    promise = track.of(line)
    if promise.updates_sent or (track is SHIP and line.accepted_open_wait):
        return False
    return promise.renewals < len(_renewals(track, line, rules))


def _renewals(track: PromiseTrack, line: Line, rules: NotificationRules) -> tuple[int, ...]:
    if track is DELIVERY:
        return rules.delivery_renewals
    return rules.preorder_renewals if line.preorder else rules.ship_renewals


def renew(decision: ConversationDecision, track: PromiseTrack, lines: Iterable[Line]) -> None:
    """Promise these lines a new date set by our policy, on the shop's open days."""
    changes: list[DateChange] = []
    for line in lines:
        day = _ship_day(decision, line) if track is SHIP else _delivery_day(decision, line)
        at = promises.recorded_at(track.of(line), decision.now)
        after = promises.with_renewal(track, line, day, at, decision.rules)
        decision.emit(promises.ledger_row(track, decision.state.order_id, after, POLICY, at))
        if track is SHIP:
            after = move_delivery(decision, after, None, POLICY)
        decision.put_line(after)
        changes.append(DateChange(line, after))
    announce(decision, track, changes, decision.rules.overdue_grace, None)


def move_delivery(
    decision: ConversationDecision, line: Line, stated: date | None, source: str, *, unannounced: bool = False
) -> Line:
    """Return the line with the delivery date moved as stated, or moved because the line would ship after it.

    `unannounced`: the notice about the ship date before this one is unsent. A delivery date that moved with it is
    unknown to the customer, too, so the announced one is moved instead, or kept.
    """
    delivery, rules = line.delivery, decision.rules
    unknown = unannounced and bool(delivery.ship_version) and delivery.ship_version == line.shipping.version - 1
    known_day = delivery.last_announced_date if unknown else delivery.day
    carrier = DELIVERY.party(line, rules)
    day = carrier.next_open(stated) if stated else _deliverable(decision, line, known_day)
    if day is None or (day == delivery.day and not unknown):
        return line
    if day != delivery.day:
        at = promises.recorded_at(delivery, decision.now)
        move = promises.with_promise if stated else promises.with_renewal
        line = move(DELIVERY, line, day, at, rules, unannounced=unknown)
        row = promises.ledger_row(DELIVERY, decision.state.order_id, line, source if stated else POLICY, at)
        decision.emit(row)
    return replace(line, delivery=replace(line.delivery, ship_version=line.shipping.version))


def _deliverable(decision: ConversationDecision, line: Line, day: date | None) -> date | None:
    """Return this delivery date, or the next one of the policy for a line that ships after it."""
    ship_day = line.shipping.day
    if day is None or ship_day is None or ship_day <= day:
        return day
    return DELIVERY.party(line, decision.rules).add_open_days(ship_day, decision.rules.transit_days)


def _ship_day(decision: ConversationDecision, line: Line) -> date:
    """The policy's ship date, before the delivery date while that can still be kept: it has its own deadline."""
    days, today = _renewals(SHIP, line, decision.rules), decision.today
    warehouse = SHIP.party(line, decision.rules)
    day = warehouse.add_open_days(today, days[line.shipping.renewals])
    delivery = line.delivery
    if delivery.day is None or delivery.updates_sent or day < delivery.day or delivery.day <= today:
        return day
    return max(warehouse.previous_open(delivery.day - timedelta(days=1)), warehouse.open_day_after(today))


def _delivery_day(decision: ConversationDecision, line: Line) -> date:
    """The policy's delivery date, counted from the ship date if that is to come, else from today."""
    rules = decision.rules
    carrier = DELIVERY.party(line, rules)
    if line.open and line.shipping.day and line.shipping.day > decision.today:
        return carrier.add_open_days(line.shipping.day, rules.transit_days)
    days = rules.delivery_renewals or (1,)
    return carrier.add_open_days(decision.today, days[min(line.delivery.renewals, len(days) - 1)])
