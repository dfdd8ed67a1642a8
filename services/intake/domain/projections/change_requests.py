"""Projection of customers' requests to cancel or change an order: opened, overdue, settled. Pure."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from libs.common.decisions.facts import Facts, Record
from libs.common.events.change_requests import CustomerDecisionOverdue, CustomerDecisionSettled
from libs.common.events.notices import CustomerDecided
from libs.common.events.registry import AnyEvent

SUBSCRIBES = (CustomerDecisionOverdue, CustomerDecisionSettled)
"""Events of requests; `customer.decided`, which opens them, is also one of the timeline."""


@dataclass(frozen=True, slots=True)
class OpenRequest(Record):
    """A request that the shop has to answer by `due_at`; `reminders` counts missed deadlines."""

    choice_id: UUID
    order_id: str
    requested: str
    since: datetime
    due_at: datetime
    reminders: int = 0


@dataclass(frozen=True, slots=True)
class RequestSettled(Record):
    choice_id: UUID


def request_id_of(event: AnyEvent) -> UUID | None:
    """Return the request that this event is about; None for a decision that nobody has to answer."""
    data: Any = event.data
    kind = type(data)
    is_request = kind in SUBSCRIBES or (kind is CustomerDecided and data.answer_by is not None)
    return data.choice_id if is_request else None


def project(event: AnyEvent) -> Facts:
    match event.data:
        case CustomerDecided(answer_by=datetime() as due_at) as decided:
            requested = decided.change or decided.choice
            return [OpenRequest(decided.choice_id, decided.order_id, requested, decided.decided_at, due_at)]
        case CustomerDecisionOverdue() as overdue:
            requested, since = overdue.change or overdue.choice, overdue.overdue_at
            reminded = OpenRequest(
                overdue.choice_id, overdue.order_id, requested, since, overdue.answer_by, overdue.reminder
            )
            return [reminded]
        case CustomerDecisionSettled(choice_id=choice_id):
            return [RequestSettled(choice_id)]
    return []
