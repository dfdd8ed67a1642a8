"""Work items of the desk: their kinds, and the changes that a batch of events makes to them. Pure.

Changes are slotted and not frozen: every event makes some, and a frozen dataclass costs four times as much to create.
"""

from collections.abc import Collection, Iterable
from datetime import datetime
from enum import StrEnum
from typing import TypeAlias, TypeGuard
from uuid import UUID

from libs.common.decisions.facts import Record
from libs.common.decisions.fast_dataclass import dataclass

HANDLED = "handled"
"""Action of staff that settles a work item which concerns no other service: they have contacted the customer."""

UNDELIVERED = "undelivered"
"""Detail of a message whose reply could not be delivered, in place of its channel."""


class WorkKind(StrEnum):
    REVIEW = "review"
    CHOICE = "choice"
    DETAILS = "details"
    PROGRESS = "progress"
    UNHAPPY = "unhappy"
    UNREACHED = "unreached"
    WINDOW = "window"
    MESSAGE = "message"
    ANOMALY = "anomaly"
    UNMATCHED = "unmatched"
    """An anomaly that no issue shows; it is a row of `anomalies`, and never of the work queue."""


class WorkStep(StrEnum):
    """The next step of an open issue."""

    ORDER = "order"
    SHIP = "ship"
    ARRIVE = "arrive"
    BOOK = "book"
    COLLECT = "collect"
    RECEIVE = "receive"
    INSPECT = "inspect"
    REFUND = "refund"
    DECISION = "decision"


class Leg(StrEnum):
    """A sequence of steps; the legs of one issue run in parallel."""

    START = "start"
    OUTBOUND = "outbound"
    INBOUND = "inbound"
    MONEY = "money"


LEG_OF_STEP: dict[WorkStep, Leg] = {
    WorkStep.ORDER: Leg.START,
    WorkStep.DECISION: Leg.START,
    WorkStep.SHIP: Leg.OUTBOUND,
    WorkStep.ARRIVE: Leg.OUTBOUND,
    WorkStep.BOOK: Leg.INBOUND,
    WorkStep.COLLECT: Leg.INBOUND,
    WorkStep.RECEIVE: Leg.INBOUND,
    WorkStep.INSPECT: Leg.INBOUND,
    WorkStep.REFUND: Leg.MONEY,
}


@dataclass(slots=True)
class WorkOpened(Record):
    """A new or moved work item. `about` distinguishes items of one kind, `detail` describes it."""

    issue_id: UUID
    kind: WorkKind
    since: datetime
    due_at: datetime
    about: str = ""
    detail: str = ""


@dataclass(slots=True)
class WorkEnded(Record):
    """Ended work items: of one kind with these `about`, or (None) of any."""

    issue_id: UUID
    kind: WorkKind | None = None
    about: tuple[str, ...] | None = None


@dataclass(slots=True)
class ReviewDecided(Record):
    """A decided review, found by its decision; without a decision id, any review of the issue."""

    issue_id: UUID
    decision_id: UUID | None


WorkChange: TypeAlias = WorkOpened | WorkEnded | ReviewDecided
WORK_CHANGES = (WorkOpened, WorkEnded, ReviewDecided)

WorkKey: TypeAlias = tuple[UUID, str, str]
"""The key of a work item: issue, kind, about."""


def anomaly_about(anomaly: str, cause_id: str | None) -> str:
    """Return the `about` of an anomaly: its code and, if named, the thing that was reported about."""
    return " ".join([anomaly, *(cause_id or "").split()])


def settled_subject(kind: str, about: str) -> str:
    """Return the text by which an action of staff names the work item that it settled."""
    return f"{kind} {about}".strip()


def names_cause(change: WorkChange) -> TypeGuard[WorkOpened]:
    """Return whether this is a message, or an anomaly with a named cause: without one, nobody can know that it is the
    same."""
    if type(change) is not WorkOpened:
        return False
    return change.kind == WorkKind.MESSAGE or (change.kind == WorkKind.ANOMALY and " " in change.about)


def without_settled(changes: Iterable[WorkChange], settled: Collection[tuple[str, str]]) -> list[WorkChange]:
    """Leave out messages and anomalies that staff have dealt with; `settled` are pairs of issue and settled subject."""
    return [
        change
        for change in changes
        if not names_cause(change) or (str(change.issue_id), settled_subject(change.kind, change.about)) not in settled
    ]


def fold_changes(
    existing: Collection[WorkKey], changes: Iterable[WorkChange]
) -> tuple[list[WorkOpened], list[WorkKey]]:
    """Fold a batch of changes, in order, over the existing items; returns the opened or moved ones and the ended ones.

    An item that was ended and then opened again is among the opened ones only.
    """
    items: dict[UUID, dict[tuple[str, str], WorkOpened | None]] = {}
    for issue_id, kind, about in existing:
        items.setdefault(issue_id, {})[kind, about] = None
    for change in changes:
        of_issue = items.get(change.issue_id)
        if type(change) is WorkOpened:
            if of_issue is None:
                of_issue = items[change.issue_id] = {}
            of_issue[change.kind, change.about] = change
        elif of_issue and type(change) is WorkEnded:
            for key in [key for key in of_issue if _ends(change, *key)]:
                del of_issue[key]
    opened = [item for of_issue in items.values() for item in of_issue.values() if item]
    return opened, [key for key in existing if key[1:] not in items[key[0]]]


def _ends(change: WorkEnded, kind: str, about: str) -> bool:
    return change.kind in (None, kind) and (change.about is None or about in change.about)
