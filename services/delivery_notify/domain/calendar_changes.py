"""A changed calendar: a date on a day that is closed now moves to the next open one, and the customer is notified."""

from services.delivery_notify.domain.context import ConversationDecision
from services.delivery_notify.domain.order_line import Line
from services.delivery_notify.domain.promise_tracking import StatedDate, change_date
from services.delivery_notify.domain.promises import DELIVERY, SHIP, PromiseTrack

SOURCE = "calendar"
"""Source of a date that moved with the calendar."""


def on_calendar_changed(decision: ConversationDecision) -> None:
    for line_id in [line.line_id for line in decision.state.lines]:
        for track in (SHIP, DELIVERY):
            line = decision.state.line(line_id)  # a moved ship date may have moved the delivery date
            if line is not None:
                _move_to_open_day(decision, track, line)


def _move_to_open_day(decision: ConversationDecision, track: PromiseTrack, line: Line) -> None:
    promise, party = track.of(line), track.party(line, decision.rules)
    if promise.day is None or promise.day < decision.today or promise.updates_sent or party.is_open(promise.day):
        return
    stated_at = promise.promised_at or promise.changed_at or decision.now
    change_date(decision, track, [line], StatedDate(party.next_open(promise.day), stated_at, SOURCE))
