"""Upcoming steps of an issue with their deadlines, derived from its open work and its timeline; pure.

The codes of steps are keys of `translations.toml`: `next.<code>.what`, `.why` and `.then`.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from libs.common.events.issues import IssueChoiceRequested
from libs.common.events.notices import NoticeKind
from services.intake.domain.projections.work_items import UNDELIVERED, WorkKind
from services.intake.store.desk import WorkItem

NOTICE_BY_STEP: dict[str, NoticeKind | None] = {
    "order": NoticeKind.REPLACEMENT_PROMISED,
    "ship": NoticeKind.REPLACEMENT_SHIPPED,
    "arrive": NoticeKind.COLLECTION_BOOKED,
    "book": NoticeKind.COLLECTION_BOOKED,
    "collect": NoticeKind.ITEM_RECEIVED,
    "receive": NoticeKind.ITEM_RECEIVED,
    "inspect": NoticeKind.ISSUE_RESOLVED,
    "refund": NoticeKind.REFUNDED,
    "decision": None,
    "review": NoticeKind.REVIEW_STARTED,
    "choice": NoticeKind.CHOICE_REQUESTED,
    "details": NoticeKind.DETAILS_REQUESTED,
    "unhappy": None,
    "unreached": None,
    UNDELIVERED: None,
    "window": NoticeKind.COLLECTION_BOOKED,
    "message": None,
    "anomaly": None,
}
"""Notice to the customer after each step; None for no notice."""


@dataclass(frozen=True, slots=True)
class NextStep:
    """`subject` is the cause of a review or the code of an anomaly; `default` is the choice applied without an answer.

    Of an anomaly, `report` is the type of the event, `author` its source and `thing` what it is about (`kind:id`).
    """

    code: str
    due_at: datetime
    notice: NoticeKind | None
    subject: str = ""
    default: str = ""
    report: str = ""
    author: str = ""
    thing: str = ""

    def overdue(self, now: datetime) -> bool:
        return now > self.due_at


def next_steps(work: Iterable[WorkItem], timeline: Sequence[Mapping[str, Any]]) -> list[NextStep]:
    """Return the steps, earliest deadline first. `timeline` are events with `type`, `at` and `data`."""
    steps = [_step(item, timeline) for item in work]
    return sorted((step for step in steps if step), key=lambda step: (step.due_at, step.code))


def _step(item: WorkItem, timeline: Sequence[Mapping[str, Any]]) -> NextStep | None:
    code = item.detail.partition(" ")[0] if item.kind == WorkKind.PROGRESS else item.kind.value
    if item.kind == WorkKind.MESSAGE and item.detail == UNDELIVERED:
        code = UNDELIVERED
    if code not in NOTICE_BY_STEP:
        return None
    default = _last_default(timeline) if item.kind == WorkKind.CHOICE else ""
    if item.kind == WorkKind.ANOMALY:
        (subject, _, thing), (report, _, author) = item.about.partition(" "), item.detail.partition(" ")
        return NextStep(code, item.due_at, None, subject, report=report, author=author, thing=thing)
    return NextStep(code, item.due_at, NOTICE_BY_STEP[code], item.about, default)


def _last_default(timeline: Sequence[Mapping[str, Any]]) -> str:
    defaults = (
        event["data"].get("default") for event in reversed(timeline) if event["type"] == IssueChoiceRequested.TYPE
    )
    return next(defaults, None) or ""
