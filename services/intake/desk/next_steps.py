"""What comes next for one issue, and when: the next deadline, what happens by itself, and what the customer hears.

Pure: it follows from what waits (`work`) and from what was told so far. Each entry names its reason, so that a page can
say not only when but why. The codes are entries of `words.toml`: `next.<code>`, `then.<code>`, `told.<code>` and
`why.<code>`.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any

from libs.common.events.issues import IssueCollected, IssueReplacementDelivered, IssueReplacementShipped
from libs.common.events.notices import NoticeKind
from libs.common.events.values import Choice
from services.intake.projections.work_queue import Kind
from services.intake.store.desk import Waiting


@dataclass(frozen=True, slots=True)
class NextStep:
    """Something that is to happen by `due_at`, because of `why`.

    `message` is the kind of notice that the customer gets when it happens, None where they hear nothing.
    `values` fill the texts.
    """

    code: str
    due_at: datetime
    message: str | None
    values: Mapping[str, object] = field(default_factory=dict)

    def overdue(self, now: datetime) -> bool:
        return now > self.due_at


_MESSAGES: dict[str, str | None] = {
    "order": "replacement_promised",
    "ship": "replacement_shipped",
    "arrive": "collection_booked",
    "book": "collection_booked",
    "collect": "item_received",
    "receive": "item_received",
    "inspect": "issue_resolved",
    "refund": "refunded",
    "decision": None,
    "review": "review_started",
    "choice": "choice_requested",
    "details": "details_requested",
    "unhappy": None,
    "unreached": None,
}


def next_steps(waiting: Iterable[Waiting], story: Sequence[Mapping[str, Any]]) -> list[NextStep]:
    """All that is to come, the soonest first. `story` are the facts so far: `type`, `at` and `data` of each."""
    steps = [_step(one, story) for one in waiting]
    return sorted((step for step in steps if step), key=lambda step: (step.due_at, step.code))


def _step(one: Waiting, story: Sequence[Mapping[str, Any]]) -> NextStep | None:
    code, _, day = one.detail.partition(" ") if one.kind == Kind.PROGRESS else (one.kind.value, "", "")
    if code not in _MESSAGES:
        return None
    values: dict[str, object] = {"about": one.about, "detail": one.detail}
    if day:
        values["day"] = date.fromisoformat(day)
    if one.kind == Kind.CHOICE:
        values["default"] = _latest(story, "issue.choice_requested.v1").get("default", "")
    return NextStep(code, one.due_at, _MESSAGES[code], values)


def _latest(story: Sequence[Mapping[str, Any]], type_: str) -> Mapping[str, Any]:
    return next((fact["data"] for fact in reversed(story) if fact["type"] == type_), {})


@dataclass(frozen=True, slots=True)
class Promise:
    """A day that the customer was told, and what became of it."""

    told_at: datetime
    day: date
    subject: str
    kept: bool | None


def promises(story: Sequence[Mapping[str, Any]], today: date, day_of: Mapping[str, date]) -> list[Promise]:
    """Return the promised dates in the order of their notices. `day_of` maps an event type to its shop day.

    A promise is kept if its event happened on that date or before, broken if the date has passed without it, and open
    (None) until then and where a later notice or the customer's own choice superseded it.
    """
    made: list[Promise] = []
    for index, fact in enumerate(story):
        if fact["type"] != "notice.sent.v1" or not fact["data"].get("promised_date"):
            continue
        day, subject = date.fromisoformat(fact["data"]["promised_date"]), fact["data"]["kind"]
        superseded = any(_supersedes(later, subject) for later in story[index + 1 :])
        made.append(Promise(fact["at"], day, subject, None if superseded else _is_kept(subject, day, today, day_of)))
    return made


def _is_kept(subject: str, day: date, today: date, day_of: Mapping[str, date]) -> bool | None:
    if subject not in FULFILLED_BY:
        return None
    happened = day_of.get(FULFILLED_BY[subject])
    return happened <= day if happened else (False if today > day else None)


def _supersedes(later: Mapping[str, Any], subject: str) -> bool:
    if later["type"] == "customer.decided.v1":
        return subject == NoticeKind.CHOICE_REQUESTED and later["data"].get("choice") != Choice.WAIT
    return later["type"] == "notice.sent.v1" and later["data"]["kind"] in _SUPERSEDED_BY.get(subject, ())


FULFILLED_BY: dict[str, str] = {
    NoticeKind.REPLACEMENT_PROMISED: IssueReplacementShipped.TYPE,
    NoticeKind.ISSUE_ACCEPTED: IssueReplacementShipped.TYPE,
    NoticeKind.REPLACEMENT_DELAYED: IssueReplacementShipped.TYPE,
    NoticeKind.CHOICE_REQUESTED: IssueReplacementShipped.TYPE,
    NoticeKind.REPLACEMENT_SHIPPED: IssueReplacementDelivered.TYPE,
    NoticeKind.COLLECTION_BOOKED: IssueCollected.TYPE,
}
"""The event that keeps the promised date of a notice, by the kind of the notice."""

_NEW_SHIP_DATE = (NoticeKind.REPLACEMENT_PROMISED, NoticeKind.REPLACEMENT_DELAYED, NoticeKind.CHOICE_REQUESTED)
_SUPERSEDED_BY: dict[str, tuple[NoticeKind, ...]] = {
    NoticeKind.ISSUE_ACCEPTED: _NEW_SHIP_DATE,
    NoticeKind.REPLACEMENT_PROMISED: _NEW_SHIP_DATE,
    NoticeKind.REPLACEMENT_DELAYED: _NEW_SHIP_DATE,
    NoticeKind.CHOICE_REQUESTED: _NEW_SHIP_DATE,
    NoticeKind.COLLECTION_BOOKED: (NoticeKind.COLLECTION_BOOKED,),
}
