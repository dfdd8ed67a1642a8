"""What waits, as the events on `issues` and `notices` tell it: pure, one event at a time, no state.

Work is of two kinds. Some waits for a human: a review, a customer who could not be reached or is unhappy. Some waits
for a moment: an open issue has a row `progress` per lane that says which step is next and by when; once that moment is
past, the promise is broken or the case stalls, and a human should look. An event opens work, moves it, or ends it; the
key of a row makes it one row however often it is told.

Reviews are ended by returns without an event of their own when the thing they were about happens after all, so each
cause names the events that make it pointless. A decision that returns refuses ends the review too (`forget`), and a
review that is still open is told again on its due day: a row that is wrong mends itself.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from enum import StrEnum
from typing import TypeAlias
from uuid import UUID
from zoneinfo import ZoneInfo

from libs.common.decision import Record
from libs.common.events import issues, notices
from libs.common.events.registry import AnyEvent
from libs.common.events.values import StaffAction

UNHAPPY = 6
"""This score and below is an unhappy customer (the detractors of the Net Promoter Score)."""


class Kind(StrEnum):
    REVIEW = "review"
    CHOICE = "choice"
    DETAILS = "details"
    PROGRESS = "progress"
    UNHAPPY = "unhappy"
    UNREACHED = "unreached"


class Step(StrEnum):
    """What an open issue waits for next."""

    ORDER = "order"
    SHIP = "ship"
    ARRIVE = "arrive"
    BOOK = "book"
    COLLECT = "collect"
    RECEIVE = "receive"
    INSPECT = "inspect"
    REFUND = "refund"
    DECISION = "decision"


class Lane(StrEnum):
    """Steps that follow each other; goods can be on their way out, back, and money too, all at once."""

    START = "start"
    OUT = "out"
    IN = "in"
    MONEY = "money"


_LANES: dict[Step, Lane] = {
    Step.ORDER: Lane.START,
    Step.DECISION: Lane.START,
    Step.SHIP: Lane.OUT,
    Step.ARRIVE: Lane.OUT,
    Step.BOOK: Lane.IN,
    Step.COLLECT: Lane.IN,
    Step.RECEIVE: Lane.IN,
    Step.INSPECT: Lane.IN,
    Step.REFUND: Lane.MONEY,
}


@dataclass(frozen=True, slots=True)
class Opened(Record):
    """This waits, since then, until then. `about` tells works of one kind apart, `detail` says more."""

    issue_id: UUID
    kind: Kind
    since: datetime
    due_at: datetime
    about: str = ""
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Ended(Record):
    """Work that no longer waits: of one kind and about one thing, or (None) whatever there is."""

    issue_id: UUID
    kind: Kind | None = None
    about: str | None = None


@dataclass(frozen=True, slots=True)
class Settled(Record):
    """A decision about a review was taken; which one says the decision of this id; without an id it was any."""

    issue_id: UUID
    decision_id: UUID | None


Change: TypeAlias = Opened | Ended | Settled

_REVIEWED = frozenset({StaffAction.APPROVE_REVIEW, StaffAction.REFUSE_REVIEW})

PATIENCE: dict[Step, timedelta] = {
    Step.ORDER: timedelta(hours=4),
    Step.BOOK: timedelta(days=1),
    Step.RECEIVE: timedelta(days=7),
    Step.INSPECT: timedelta(days=7),
    Step.REFUND: timedelta(days=2),
}
"""How long a step may take where no date was told for it."""

_GRACE = timedelta(days=2)
"""After a question's last moment its default is told; when not even that happens, the case stalls."""

ANSWER_TO_UNHAPPY = timedelta(days=1)
ANSWER_TO_UNREACHED = timedelta(days=1)

_MOOT: dict[type, tuple[str, ...]] = {
    issues.IssueReplacementOrdered: (
        "value",
        "mixed_currencies",
        "no_address",
        "no_decision",
        "delivery_overdue",
        "parcel_exception",
    ),
    issues.IssueReplacementPromised: ("no_address", "warehouse_silent", "not_shipping"),
    issues.IssueReplacementDelayed: ("warehouse_silent", "not_shipping"),
    issues.IssueReplacementShipped: ("warehouse_silent", "not_shipping", "delivered_unshipped"),
    issues.IssueReplacementDelivered: ("delivery_overdue", "parcel_exception"),
    issues.IssueCollectionRequested: ("value", "collection_failed"),
    issues.IssueCollectionBooked: ("collection_failed",),
    issues.IssueCollected: ("collection_failed",),
    issues.IssueItemReceived: ("receipt_overdue", "collection_failed"),
    issues.IssueItemInspected: ("inspection_overdue",),
    issues.IssueRefundRequested: ("value", "no_decision", "refund_failed"),
    issues.IssueRefunded: ("refund_failed",),
    issues.IssueChoiceRequested: ("warehouse_silent", "not_shipping"),
}
"""Which reviews an event leaves without a point; as `withdraw` in returns."""


def changes(event: AnyEvent, zone: ZoneInfo) -> tuple[Change, ...]:
    """What this event opens, moves and ends; nothing for most."""
    match event.data:
        case issues.IssueRated(issue_id=issue_id, score=score, resolution=resolution):
            due = event.time + ANSWER_TO_UNHAPPY
            unhappy = Opened(issue_id, Kind.UNHAPPY, event.time, due, str(resolution), str(score))
            return (unhappy,) if score <= UNHAPPY else ()
        case notices.NoticeFailed(issue_id=issue_id, cause=cause) if issue_id:
            due = event.time + ANSWER_TO_UNREACHED
            return (Opened(issue_id, Kind.UNREACHED, event.time, due, "", cause[:200]),)
        case notices.NoticeSent(issue_id=issue_id) if issue_id:
            return (Ended(issue_id, Kind.UNREACHED),)
        case notices.CustomerDecided(issue_id=issue_id) if issue_id:
            return (Ended(issue_id, Kind.CHOICE),)
        case issues.IssueDecisionTaken() as taken if taken.applied or taken.code == "no_such_review":
            return (Settled(taken.issue_id, taken.decision_id),) if taken.action in _REVIEWED else ()
        case issues.IssueEvent() as fact:
            return (*_moot(fact), *_of_issue(fact, event.time, zone))
    return ()


def _moot(fact: issues.IssueEvent) -> Iterable[Ended]:
    return [Ended(fact.issue_id, Kind.REVIEW, cause) for cause in _MOOT.get(type(fact), ())]


def _of_issue(fact: issues.IssueEvent, at: datetime, zone: ZoneInfo) -> tuple[Change, ...]:
    issue_id = fact.issue_id
    match fact:
        case issues.IssueAccepted():
            return Ended(issue_id, Kind.DETAILS), _patient(issue_id, Step.ORDER, at)
        case issues.IssueRejected() | issues.IssueCancelled():
            return (Ended(issue_id),)
        case issues.IssueResolved():
            return tuple(Ended(issue_id, kind) for kind in Kind if kind is not Kind.UNHAPPY)
        case issues.IssueReopened():
            return _patient(issue_id, Step.ORDER, at), Ended(issue_id, Kind.UNHAPPY)
        case issues.IssueReviewRequested(cause=cause, due_at=due_at):
            return _done(issue_id, Lane.START), Opened(issue_id, Kind.REVIEW, at, due_at, cause)
        case issues.IssueDetailsRequested(due_at=due_at, missing=missing):
            asked = Opened(issue_id, Kind.DETAILS, at, due_at, "", ", ".join(missing))
            return asked, _progress(issue_id, Step.DECISION, at, due_at + _GRACE)
        case issues.IssueDetailsProvided(missing=()):
            return Ended(issue_id, Kind.DETAILS), _patient(issue_id, Step.ORDER, at)
        case issues.IssueChoiceRequested(due_at=due_at, cause=cause):
            asked = Opened(issue_id, Kind.CHOICE, at, due_at, "", cause)
            return asked, _done(issue_id, Lane.OUT), _progress(issue_id, Step.DECISION, at, due_at + _GRACE)
        case issues.IssueReplacementOrdered(promised_ship_date=day):
            return *_decided(issue_id), _until(issue_id, Step.SHIP, at, day, zone)
        case issues.IssueReplacementPromised(ship_date=day) | issues.IssueReplacementDelayed(ship_date=day):
            return *_decided(issue_id), _until(issue_id, Step.SHIP, at, day, zone)
    return _on_the_way(fact, at, zone)


def _on_the_way(fact: issues.IssueEvent, at: datetime, zone: ZoneInfo) -> tuple[Change, ...]:
    issue_id = fact.issue_id
    match fact:
        case issues.IssueReplacementShipped(expected_delivery_date=day):
            return *_decided(issue_id), _until(issue_id, Step.ARRIVE, at, day, zone)
        case issues.IssueReplacementDelivered():
            return (_done(issue_id, Lane.OUT),)
        case issues.IssueCollectionRequested():
            return _done(issue_id, Lane.START), _patient(issue_id, Step.BOOK, at)
        case issues.IssueCollectionBooked(window=window):
            return (_until(issue_id, Step.COLLECT, at, window.day, zone),)
        case issues.IssueCollected():
            return (_patient(issue_id, Step.RECEIVE, at),)
        case issues.IssueItemReceived():
            return (_patient(issue_id, Step.INSPECT, at),)
        case issues.IssueItemInspected():
            return (_done(issue_id, Lane.IN),)
        case issues.IssueRefundRequested():
            return *_decided(issue_id), _done(issue_id, Lane.OUT), _patient(issue_id, Step.REFUND, at)
        case issues.IssueRefunded():
            return (_done(issue_id, Lane.MONEY),)
    return ()


def end_of(day: date, zone: ZoneInfo) -> datetime:
    """The last moment of that day in the shop."""
    return datetime.combine(day + timedelta(days=1), time(0), zone) - timedelta(seconds=1)


def _done(issue_id: UUID, lane: Lane) -> Ended:
    return Ended(issue_id, Kind.PROGRESS, lane)


def _decided(issue_id: UUID) -> tuple[Ended, Ended]:
    """Something moves: nobody is waited for to choose, and the start is made."""
    return Ended(issue_id, Kind.CHOICE), _done(issue_id, Lane.START)


def _patient(issue_id: UUID, step: Step, at: datetime) -> Opened:
    return _progress(issue_id, step, at, at + PATIENCE[step])


def _until(issue_id: UUID, step: Step, at: datetime, day: date, zone: ZoneInfo) -> Opened:
    return _progress(issue_id, step, at, end_of(day, zone), day)


def _progress(issue_id: UUID, step: Step, at: datetime, due_at: datetime, day: date | None = None) -> Opened:
    detail = step if day is None else f"{step} {day.isoformat()}"
    return Opened(issue_id, Kind.PROGRESS, at, due_at, _LANES[step], detail)


def fold(told: Iterable[Change]) -> tuple[list[Opened], list[Ended]]:
    """A batch of changes, in order, as what is open after it and what it ended; none of what is open is among these."""
    open_: dict[UUID, dict[tuple[Kind, str], Opened]] = {}
    ended: dict[Ended, None] = {}
    for change in told:
        if isinstance(change, Opened):
            open_.setdefault(change.issue_id, {})[change.kind, change.about] = change
        elif isinstance(change, Ended):
            ended[change] = None
            theirs = open_.get(change.issue_id)
            if theirs:
                open_[change.issue_id] = {key: one for key, one in theirs.items() if not _ends(change, one)}
    return [one for theirs in open_.values() for one in theirs.values()], list(ended)


def _ends(change: Ended, one: Opened) -> bool:
    return change.kind in (None, one.kind) and (change.about is None or change.about == one.about)
