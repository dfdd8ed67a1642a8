"""Rows of the four databases about the same issues, as the comparison reads them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from uuid import UUID

from libs.common.events.loyalty import PointsGranted, PointsWithheld
from libs.common.events.registry import AnyEvent
from services.returns.domain.state.case import Case


@dataclass(frozen=True, slots=True)
class Issue:
    """An issue of intake. `is_accepted`: returns must have a case of it, also once it is closed."""

    issue_id: UUID
    order_id: str
    customer_id: str
    status: str
    is_open: bool
    is_accepted: bool
    since: datetime


@dataclass(frozen=True, slots=True)
class Unread:
    """A service that did not apply an event; `dead_letter` is the record's id where it is one."""

    service: str
    dead_letter: int | None = None


@dataclass(frozen=True, slots=True)
class ArchivedEvent:
    """An event of intake's timeline, its author, and the services that subscribe to it and did not apply it."""

    event: AnyEvent
    author: str
    unread: tuple[Unread, ...] = ()


@dataclass(frozen=True, slots=True)
class Grant:
    """A grant for a resolution; `net` is what is left after its reversals."""

    payload: PointsGranted
    net: int


@dataclass(frozen=True, slots=True)
class NoticeThread:
    """Thread of an issue in delivery_notify; `resolution` is the last one announced."""

    closed_by: str | None
    resolution: int


@dataclass(frozen=True, slots=True)
class UnannouncedPromise:
    """The newest promise of a subject, whose notice failed or was suppressed."""

    order_id: str
    issue_id: UUID | None
    subject: str
    subject_id: str
    ship_date: date
    cause: str
    since: datetime


@dataclass(frozen=True)
class SystemSnapshot:
    """Rows about one set of issues. `replacement_dates`: the newest date of each replacement in the promise ledger."""

    issues: Mapping[UUID, Issue] = field(default_factory=dict)
    archive: Mapping[UUID, Sequence[ArchivedEvent]] = field(default_factory=dict)
    cases: Mapping[UUID, Case] = field(default_factory=dict)
    grants: Sequence[Grant] = ()
    withheld: Sequence[PointsWithheld] = ()
    withheld_causes: frozenset[str] = frozenset()
    threads: Mapping[UUID, NoticeThread] = field(default_factory=dict)
    replacement_dates: Mapping[UUID, date] = field(default_factory=dict)
    unannounced: Sequence[UnannouncedPromise] = ()
