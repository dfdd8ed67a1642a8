"""Outcome of each promise so far: when its thing was done, or ended without being done, and who had to act.

Derived from the state after each event, as timers are, so that a correction of a shipment corrects the outcome too. The
row is not part of the promise, which never changes. `store/promise_accuracy.py` compares both.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from operator import attrgetter

from libs.common.decisions.facts import Record
from libs.common.decisions.shipments import Shipments
from libs.common.events.notices import PromiseSubject
from services.delivery_notify.domain.conversation import Conversation
from services.delivery_notify.domain.issue_thread import IssueThread
from services.delivery_notify.domain.order_line import Line

Key = tuple[str, str]
"""Subject of a promise and its id."""


@dataclass(frozen=True, slots=True)
class PromiseOutcome(Record):
    """Outcome of the promises of one subject. `ended_at` is when nothing was owed any more though it was not done.

    A name that is not known is None.
    """

    order_id: str
    subject: str
    subject_id: str
    warehouse: str | None = None
    carrier: str | None = None
    product_group: str | None = None
    done_at: datetime | None = None
    ended_at: datetime | None = None


def outcome_changes(before: Conversation, after: Conversation, at: datetime) -> list[PromiseOutcome]:
    """Return the outcomes that this event changed; one that ends now ends `at`."""
    if (
        before.lines is after.lines
        and before.shipments is after.shipments
        and before.deliveries is after.deliveries
        and before.threads is after.threads
    ):
        return []
    old, new = _outcomes(before, at), _outcomes(after, at)
    replaced = [replace(row, ended_at=at) for key, row in old.items() if key not in new and not row.done_at]
    return [row for key, row in new.items() if old.get(key) != row] + replaced


def _outcomes(conversation: Conversation, at: datetime) -> Mapping[Key, PromiseOutcome]:
    rows = [row for line in conversation.lines for row in _of_line(conversation, line, at)]
    rows += [row for thread in conversation.threads if (row := _of_replacement(conversation, thread, at))]
    return {(row.subject, row.subject_id): row for row in rows}


def _of_line(conversation: Conversation, line: Line, at: datetime) -> list[PromiseOutcome]:
    if not line.shipping.version and not line.delivery.version:
        return []
    delivered = _completed_at(conversation.deliveries, line)
    left = _completed_at(conversation.shipments, line)
    shipped = min((moment for moment in (left, delivered) if moment), default=None)
    is_over = line.cancelled or line.cancel_requested or not line.quantity
    names = (line.warehouse, line.carrier, line.product_group)
    return [
        PromiseOutcome(conversation.order_id, subject, line.line_id, *names, done, at if is_over and not done else None)
        for subject, promise, done in (
            (PromiseSubject.LINE, line.shipping, shipped),
            (PromiseSubject.DELIVERY, line.delivery, delivered),
        )
        if promise.version
    ]


def _completed_at(movements: Shipments, line: Line) -> datetime | None:
    """Return when the last owed unit of the line moved; None if no unit of it did, also if none is owed."""
    counted, moved = 0, [shipment for shipment in movements if shipment.at is not None]
    for shipment in sorted(moved, key=attrgetter("at")):
        counted += sum(units.quantity for units in shipment.lines if units.line_id == line.line_id)
        if counted and counted >= line.quantity:
            return shipment.at
    return None


def _of_replacement(conversation: Conversation, thread: IssueThread, at: datetime) -> PromiseOutcome | None:
    shipment = thread.replacement
    if shipment is None or shipment.is_undated:
        return None
    reported = {item.line_id for item in thread.items}
    lines = [line for line in conversation.lines if line.line_id in reported]
    return PromiseOutcome(
        conversation.order_id,
        PromiseSubject.REPLACEMENT,
        str(shipment.replacement_id),
        _common({line.warehouse for line in lines}),
        shipment.carrier,
        _common({line.product_group for line in lines}),
        shipment.shipped_at,
        at if thread.closed_by and not shipment.shipped else None,
    )


def _common(names: set[str | None]) -> str | None:
    """Return the name that all lines share."""
    return next(iter(names)) if len(names) == 1 else None
