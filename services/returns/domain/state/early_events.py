"""Events about an issue without a case: kept, and applied in the order of their times once the case opens.

A partner answers what it was asked for, so the case existed. After a restore it comes back when its acceptance is read
again, which may be later than the answer: the topics are read at different speeds.
"""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from libs.common.decisions.facts import Record
from libs.common.events.registry import AnyEvent

_TIMER = "early:"


@dataclass(frozen=True, slots=True)
class EventKept(Record):
    """An event to be kept for the case of this issue; its trace context is added by the store."""

    issue_id: UUID
    event: AnyEvent
    at: datetime
    trace: str | None = None

    @property
    def key(self) -> str:
        return f"{self.event.data.TOPIC.name} {self.event.source} {self.event.id}"


UNKNOWN_ISSUE = "unknown_issue"
"""Anomaly of an event about an issue without a case, until the case opens."""


def issue_thing(issue_id: UUID) -> str:
    """Return the thing of that anomaly: everything about one issue is one matter."""
    return f"issue:{issue_id}"


@dataclass(frozen=True, slots=True)
class KeptEventApplied(Record):
    """A kept event reached its case."""

    issue_id: UUID
    key: str
    at: datetime


def early_event_timer(key: str) -> str:
    """Return the name of the timer by which a kept event reaches its case."""
    return _TIMER + key


def early_event_of_timer(name: str) -> str | None:
    return name.removeprefix(_TIMER) if name.startswith(_TIMER) else None
