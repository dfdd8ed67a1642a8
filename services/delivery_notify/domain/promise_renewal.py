"""Overdue promises: new dates set by our policy, then updates without a date.

If nothing has shipped (or arrived) by the cutoff of the promised day, the policy sets a new date; once it has none,
updates follow without a date, each naming the day of the next.
"""

from collections.abc import Iterable, Sequence
from datetime import date, datetime, timedelta

from libs.common.decisions.facts import Anomaly, Fact, Ignored
from libs.common.decisions.fast_replace import replace
from services.delivery_notify.domain import overdue_notices, promises
from services.delivery_notify.domain.conversation import Conversation
from services.delivery_notify.domain.date_change_notices import DateChange, announce
from services.delivery_notify.domain.notices import Outcome
from services.delivery_notify.domain.order_line import Line
from services.delivery_notify.domain.promises import DELIVERY, SHIP, PromiseTrack
from services.delivery_notify.policy.notification_rules import Rules

POLICY = "policy"
"""Source of a date that our policy set."""


def on_overdue(conversation: Conversation, now: datetime, rules: Rules) -> Outcome:
    """Announce what has not shipped, and what was not delivered, by the time at which a notice about it is due."""
    conversation, ship = _on_ship_overdue(conversation, now, rules)
    conversation, delivery = _on_delivery_overdue(conversation, now, rules)
    return conversation, [*ship, *delivery] or [Ignored("nothing_overdue")]


def _on_ship_overdue(conversation: Conversation, now: datetime, rules: Rules) -> Outcome:
    """Lines with a cancellation request get no notice; that nobody carried it out is an anomaly."""
    due = _due(SHIP, conversation, now)
    overdue = [line for line in due if line.awaiting_shipment]
    facts: list[Fact] = [Anomaly("cancel_not_carried_out", conversation.order_id)] if len(overdue) < len(due) else []
    for line in due:
        if not line.awaiting_shipment:
            again = rules.word_moment(rules.next_word(now, line.shipping.updates_sent))
            conversation = conversation.with_line(overdue_notices.with_update_sent(SHIP, line, again))
    conversation, made = _renew_or_update(SHIP, conversation, overdue, now, rules)
    return conversation, [*facts, *made]


def _on_delivery_overdue(conversation: Conversation, now: datetime, rules: Rules) -> Outcome:
    """A reported line (lost, or something wrong with it) gets no notice: its issue thread goes on instead."""
    reported = {item.line_id for talk in conversation.talks for item in talk.items}
    for line in conversation.lines:
        if line.line_id in reported and line.delivery.notify_at:
            silenced = replace(line.delivery, notify_at=None)
            conversation = conversation.with_line(replace(line, delivery=silenced))
    due = _due(DELIVERY, conversation, now)
    unshipped = [line for line in due if line.open and line.shipping.updates_sent]
    conversation, facts = overdue_notices.announce_with_ship_delay(conversation, unshipped, now, rules)
    others = [line for line in due if line not in unshipped]
    conversation, made = _renew_or_update(DELIVERY, conversation, others, now, rules)
    return conversation, [*facts, *made]


def _due(track: PromiseTrack, conversation: Conversation, now: datetime) -> list[Line]:
    return [
        line
        for line in conversation.lines
        if track.is_pending(line) and (notify_at := track.of(line).notify_at) and notify_at <= now
    ]


def _renew_or_update(
    track: PromiseTrack, conversation: Conversation, lines: Sequence[Line], now: datetime, rules: Rules
) -> Outcome:
    """Set new dates if the policy has one for each line; after an update without a date only the shop sets one."""
    if not lines:
        return conversation, []
    if all(_renewable(track, line, rules) for line in lines):
        return renew(track, conversation, lines, now, rules)
    return overdue_notices.send_update(track, conversation, lines, now, rules)


def _renewable(track: PromiseTrack, line: Line, rules: Rules) -> bool:
    promise = track.of(line)
    if promise.updates_sent or (track is SHIP and line.accepted_open_wait):
        return False
    return promise.renewals < len(_renewals(track, line, rules))


def _renewals(track: PromiseTrack, line: Line, rules: Rules) -> tuple[int, ...]:
    if track is DELIVERY:
        return rules.arrival_renewals
    return rules.preorder_renewals if line.preorder else rules.renewals


def renew(
    track: PromiseTrack, conversation: Conversation, lines: Iterable[Line], now: datetime, rules: Rules
) -> Outcome:
    """Promise these lines a new date set by our policy, on the shop's open days."""
    changes: list[DateChange] = []
    facts: list[Fact] = []
    today = rules.calendar.day(now)
    for line in lines:
        day = _ship_day(line, today, rules) if track is SHIP else _delivery_day(line, today, rules)
        after = promises.renewed(track, line, day, now, rules)
        facts.append(promises.ledger_row(track, conversation.order_id, after, POLICY, now))
        if track is SHIP:
            after, rows = move_delivery(conversation, after, None, POLICY, now, rules)
            facts += rows
        conversation = conversation.with_line(after)
        changes.append(DateChange(line, after))
    conversation, made = announce(track, conversation, changes, now, rules, rules.grace, None)
    return conversation, [*facts, *made]


def move_delivery(
    conversation: Conversation, line: Line, stated: date | None, source: str, now: datetime, rules: Rules
) -> tuple[Line, list[Fact]]:
    """Move the delivery date with the ship date, as stated or where the line would ship after it."""
    ship_day, day = line.shipping.day, line.delivery.day
    if stated and stated != day:
        line = promises.promised(DELIVERY, line, stated, now, rules)
    elif stated is None and day and ship_day and ship_day > day:
        line = promises.renewed(DELIVERY, line, rules.calendar.add_open_days(ship_day, rules.transit), now, rules)
        source = POLICY
    else:
        return line, []
    return line, [promises.ledger_row(DELIVERY, conversation.order_id, line, source, now)]


def _ship_day(line: Line, today: date, rules: Rules) -> date:
    """The policy's ship date, before the delivery date while that can still be kept: it has its own deadline."""
    day = rules.calendar.add_open_days(today, _renewals(SHIP, line, rules)[line.shipping.renewals])
    delivery = line.delivery
    if delivery.day is None or delivery.updates_sent or day < delivery.day or delivery.day <= today:
        return day
    return max(delivery.day - timedelta(days=1), today + timedelta(days=1))


def _delivery_day(line: Line, today: date, rules: Rules) -> date:
    """The policy's delivery date, counted from the ship date if that is to come, else from today."""
    if line.open and line.shipping.day and line.shipping.day > today:
        return rules.calendar.add_open_days(line.shipping.day, rules.transit)
    waits = rules.arrival_renewals or (1,)
    return rules.calendar.add_open_days(today, waits[min(line.delivery.renewals, len(waits) - 1)])
