"""What comes next for one issue, and when: the next deadline, what happens by itself, and what the customer hears.

Pure: it follows from what waits (`work`) and from what was told so far. Each entry names its reason, so that a page can
say not only when but why. The codes are entries of `words.toml`: `next.<code>`, `then.<code>`, `told.<code>` and
`why.<code>`.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any

from services.intake.projections.work_items import WorkKind
from services.intake.store.desk import WorkItem


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


def next_steps(waiting: Iterable[WorkItem], story: Sequence[Mapping[str, Any]]) -> list[NextStep]:
    """All that is to come, the soonest first. `story` are the facts so far: `type`, `at` and `data` of each."""
    steps = [_step(one, story) for one in waiting]
    return sorted((step for step in steps if step), key=lambda step: (step.due_at, step.code))


def _step(one: WorkItem, story: Sequence[Mapping[str, Any]]) -> NextStep | None:
    code, _, day = one.detail.partition(" ") if one.kind is WorkKind.PROGRESS else (one.kind.value, "", "")
    if code not in _MESSAGES:
        return None
    values: dict[str, object] = {"about": one.about, "detail": one.detail}
    if day:
        values["day"] = date.fromisoformat(day)
    if one.kind is WorkKind.CHOICE:
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
    """The days told to the customer, in order. `day_of`: on which shop day each kind of fact happened, by its type.

    A promise is kept when the thing happened on that day or before; broken when the day is over and it did not; open
    (None) until then, and where a later word replaced it.
    """
    told = [fact for fact in story if fact["type"] == "notice.sent.v1" and fact["data"].get("promised_date")]
    made: list[Promise] = []
    for index, fact in enumerate(told):
        day, subject = date.fromisoformat(fact["data"]["promised_date"]), fact["data"]["kind"]
        happened = day_of.get(_FULFILS.get(subject, ""))
        replaced = any(later["data"]["kind"] in _REPLACES.get(subject, ()) for later in told[index + 1 :])
        kept = None if replaced else (happened <= day if happened else (False if today > day else None))
        made.append(Promise(fact["at"], day, subject, kept))
    return made


_FULFILS = {
    "replacement_promised": "issue.replacement_shipped.v1",
    "issue_accepted": "issue.replacement_shipped.v1",
    "replacement_delayed": "issue.replacement_shipped.v1",
    "replacement_shipped": "issue.replacement_delivered.v1",
    "collection_booked": "issue.collected.v1",
}
_SHIP_WORDS = ("replacement_promised", "replacement_delayed")
_REPLACES = {
    "issue_accepted": _SHIP_WORDS,
    "replacement_promised": _SHIP_WORDS,
    "replacement_delayed": _SHIP_WORDS,
    "collection_booked": ("collection_booked",),
}
