"""What waits, as the events on `issues` and `notices` tell it: pure, one event at a time, no state.

Work is of two kinds. Some waits for a human: a review, a customer who could not be reached or is unhappy. Some waits
for a moment: an open issue has a row `progress` per lane that says which step is next and by when; once that moment is
past, the promise is broken or the case stalls, and a human should look. An event opens work, moves it, or ends it; the
key of a row makes it one row however often it is told. Changes are slotted and not frozen: every event makes some, and
a frozen one costs four times as much to make.

Reviews are ended by returns without an event of their own when the thing they were about happens after all, so each
cause names the events that make it pointless. A decision that returns refuses ends the review too (`forget`), and a
review that is still open is told again on its due day: a row that is wrong mends itself.
"""

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from enum import StrEnum
from typing import Any, TypeAlias
from uuid import UUID
from zoneinfo import ZoneInfo

from libs.common.decisions.facts import Record
from libs.common.events import issues, notices
from libs.common.events.envelope import Payload
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


@dataclass(slots=True)
class Opened(Record):
    """This waits, since then, until then. `about` tells works of one kind apart, `detail` says more."""

    issue_id: UUID
    kind: Kind
    since: datetime
    due_at: datetime
    about: str = ""
    detail: str = ""


@dataclass(slots=True)
class Ended(Record):
    """Work that no longer waits: of one kind and about these things, or (None) whatever there is."""

    issue_id: UUID
    kind: Kind | None = None
    about: tuple[str, ...] | None = None


@dataclass(slots=True)
class Settled(Record):
    """A decision about a review was taken; which one says the decision of this id; without an id it was any."""

    issue_id: UUID
    decision_id: UUID | None


Change: TypeAlias = Opened | Ended | Settled
CHANGES = (Opened, Ended, Settled)

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

_MOOT: dict[type[Payload], tuple[str, ...]] = {
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
    data: Any = event.data
    kind = type(data)
    read = _CHANGES.get(kind)
    found = read(data, event.time, zone) if read else ()
    causes = _MOOT.get(kind)
    return (Ended(data.issue_id, Kind.REVIEW, causes), *found) if causes else found


def _rated(rated: issues.IssueRated, at: datetime, zone: ZoneInfo) -> tuple[Change, ...]:
    if rated.score > UNHAPPY:
        return ()
    due, about = at + ANSWER_TO_UNHAPPY, str(rated.resolution)
    return (Opened(rated.issue_id, Kind.UNHAPPY, at, due, about, str(rated.score)),)


def _failed(failed: notices.NoticeFailed, at: datetime, zone: ZoneInfo) -> tuple[Change, ...]:
    if failed.issue_id is None:
        return ()
    return (Opened(failed.issue_id, Kind.UNREACHED, at, at + ANSWER_TO_UNREACHED, "", failed.cause[:200]),)


def _sent(sent: notices.NoticeSent, at: datetime, zone: ZoneInfo) -> tuple[Change, ...]:
    return (Ended(sent.issue_id, Kind.UNREACHED),) if sent.issue_id else ()


def _chosen(decided: notices.CustomerDecided, at: datetime, zone: ZoneInfo) -> tuple[Change, ...]:
    return (Ended(decided.issue_id, Kind.CHOICE),) if decided.issue_id else ()


def _taken(taken: issues.IssueStaffDecisionApplied, at: datetime, zone: ZoneInfo) -> tuple[Change, ...]:
    settles = taken.action in _REVIEWED and (taken.applied or taken.code == "no_such_review")
    return (Settled(taken.issue_id, taken.decision_id),) if settles else ()


def _accepted(fact: issues.IssueAccepted, at: datetime, zone: ZoneInfo) -> tuple[Change, ...]:
    return Ended(fact.issue_id, Kind.DETAILS), _patient(fact.issue_id, Step.ORDER, at)


def _over(fact: issues.IssueEvent, at: datetime, zone: ZoneInfo) -> tuple[Change, ...]:
    return (Ended(fact.issue_id),)


def _resolved(fact: issues.IssueResolved, at: datetime, zone: ZoneInfo) -> tuple[Change, ...]:
    return tuple([Ended(fact.issue_id, kind) for kind in _OF_OPEN_ISSUES])


def _reopened(fact: issues.IssueReopened, at: datetime, zone: ZoneInfo) -> tuple[Change, ...]:
    return _patient(fact.issue_id, Step.ORDER, at), Ended(fact.issue_id, Kind.UNHAPPY)


def _review(asked: issues.IssueReviewRequested, at: datetime, zone: ZoneInfo) -> tuple[Change, ...]:
    review = Opened(asked.issue_id, Kind.REVIEW, at, asked.due_at, asked.cause)
    return _done(asked.issue_id, Lane.START), review


def _details(asked: issues.IssueDetailsRequested, at: datetime, zone: ZoneInfo) -> tuple[Change, ...]:
    details = Opened(asked.issue_id, Kind.DETAILS, at, asked.due_at, "", ", ".join(asked.missing))
    return details, _progress(asked.issue_id, Step.DECISION, at, asked.due_at + _GRACE)


def _provided(given: issues.IssueDetailsProvided, at: datetime, zone: ZoneInfo) -> tuple[Change, ...]:
    if given.missing:
        return ()
    return Ended(given.issue_id, Kind.DETAILS), _patient(given.issue_id, Step.ORDER, at)


def _choice(asked: issues.IssueChoiceRequested, at: datetime, zone: ZoneInfo) -> tuple[Change, ...]:
    choice = Opened(asked.issue_id, Kind.CHOICE, at, asked.due_at, "", asked.cause)
    waits = _progress(asked.issue_id, Step.DECISION, at, asked.due_at + _GRACE)
    return choice, _done(asked.issue_id, Lane.OUT), waits


def _ordered(fact: issues.IssueReplacementOrdered, at: datetime, zone: ZoneInfo) -> tuple[Change, ...]:
    return *_decided(fact.issue_id), _until(fact.issue_id, Step.SHIP, at, fact.promised_ship_date, zone)


def _promised(
    fact: issues.IssueReplacementPromised | issues.IssueReplacementDelayed, at: datetime, zone: ZoneInfo
) -> tuple[Change, ...]:
    return *_decided(fact.issue_id), _until(fact.issue_id, Step.SHIP, at, fact.ship_date, zone)


def _shipped(fact: issues.IssueReplacementShipped, at: datetime, zone: ZoneInfo) -> tuple[Change, ...]:
    return *_decided(fact.issue_id), _until(fact.issue_id, Step.ARRIVE, at, fact.expected_delivery_date, zone)


def _delivered(fact: issues.IssueReplacementDelivered, at: datetime, zone: ZoneInfo) -> tuple[Change, ...]:
    return (_done(fact.issue_id, Lane.OUT),)


def _requested(fact: issues.IssueCollectionRequested, at: datetime, zone: ZoneInfo) -> tuple[Change, ...]:
    return _done(fact.issue_id, Lane.START), _patient(fact.issue_id, Step.BOOK, at)


def _booked(fact: issues.IssueCollectionBooked, at: datetime, zone: ZoneInfo) -> tuple[Change, ...]:
    return (_until(fact.issue_id, Step.COLLECT, at, fact.window.day, zone),)


def _collected(fact: issues.IssueCollected, at: datetime, zone: ZoneInfo) -> tuple[Change, ...]:
    return (_patient(fact.issue_id, Step.RECEIVE, at),)


def _received(fact: issues.IssueItemReceived, at: datetime, zone: ZoneInfo) -> tuple[Change, ...]:
    return (_patient(fact.issue_id, Step.INSPECT, at),)


def _inspected(fact: issues.IssueItemInspected, at: datetime, zone: ZoneInfo) -> tuple[Change, ...]:
    return (_done(fact.issue_id, Lane.IN),)


def _refund(fact: issues.IssueRefundRequested, at: datetime, zone: ZoneInfo) -> tuple[Change, ...]:
    refund = _patient(fact.issue_id, Step.REFUND, at)
    return *_decided(fact.issue_id), _done(fact.issue_id, Lane.OUT), refund


def _refunded(fact: issues.IssueRefunded, at: datetime, zone: ZoneInfo) -> tuple[Change, ...]:
    return (_done(fact.issue_id, Lane.MONEY),)


_OF_OPEN_ISSUES = tuple(kind for kind in Kind if kind != Kind.UNHAPPY)

_CHANGES: dict[type[Payload], Callable[[Any, datetime, ZoneInfo], tuple[Change, ...]]] = {
    issues.IssueAccepted: _accepted,
    issues.IssueRejected: _over,
    issues.IssueCancelled: _over,
    issues.IssueResolved: _resolved,
    issues.IssueReopened: _reopened,
    issues.IssueRated: _rated,
    issues.IssueReviewRequested: _review,
    issues.IssueDetailsRequested: _details,
    issues.IssueDetailsProvided: _provided,
    issues.IssueChoiceRequested: _choice,
    issues.IssueStaffDecisionApplied: _taken,
    issues.IssueReplacementOrdered: _ordered,
    issues.IssueReplacementPromised: _promised,
    issues.IssueReplacementDelayed: _promised,
    issues.IssueReplacementShipped: _shipped,
    issues.IssueReplacementDelivered: _delivered,
    issues.IssueCollectionRequested: _requested,
    issues.IssueCollectionBooked: _booked,
    issues.IssueCollected: _collected,
    issues.IssueItemReceived: _received,
    issues.IssueItemInspected: _inspected,
    issues.IssueRefundRequested: _refund,
    issues.IssueRefunded: _refunded,
    notices.NoticeFailed: _failed,
    notices.NoticeSent: _sent,
    notices.CustomerDecided: _chosen,
}


def end_of(day: date, zone: ZoneInfo) -> datetime:
    """The last moment of that day in the shop."""
    return datetime.combine(day + timedelta(days=1), time(0), zone) - timedelta(seconds=1)


def _done(issue_id: UUID, lane: Lane) -> Ended:
    return Ended(issue_id, Kind.PROGRESS, (lane,))


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


Row: TypeAlias = tuple[UUID, str, str]
"""The key of a row: whose, of which kind, and about what."""


def fold(there: Collection[Row], told: Iterable[Change]) -> tuple[list[Opened], list[Row]]:
    """A batch of changes, in order, over what waited before: what it opened or moved, and which of the rows it ended.

    A row that was ended and then opened anew is among the first only.
    """
    waiting: dict[UUID, dict[tuple[str, str], Opened | None]] = {}
    for issue_id, kind, about in there:
        waiting.setdefault(issue_id, {})[kind, about] = None
    for change in told:
        theirs = waiting.get(change.issue_id)
        if type(change) is Opened:
            if theirs is None:
                theirs = waiting[change.issue_id] = {}
            theirs[change.kind, change.about] = change
        elif theirs and type(change) is Ended:
            for place in [one for one in theirs if _ends(change, *one)]:
                del theirs[place]
    opened = [one for theirs in waiting.values() for one in theirs.values() if one]
    return opened, [row for row in there if row[1:] not in waiting[row[0]]]


def _ends(change: Ended, kind: str, about: str) -> bool:
    return change.kind in (None, kind) and (change.about is None or about in change.about)
