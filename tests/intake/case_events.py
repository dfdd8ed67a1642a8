"""A case as returns decides it, seen by intake: its events as rows of the timeline and as work of the desk."""

import json
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from libs.common.decisions.facts import Facts
from libs.common.events.envelope import Payload
from libs.common.events.issues import IssueAccepted, IssueStaffDecided
from libs.common.events.notices import CustomerDecided
from libs.common.events.registry import decode
from libs.common.events.values import Money, PaidLine
from services.intake.domain.projections.issue_status import fold_status
from services.intake.domain.projections.timeline import TimelineEntry, project
from services.intake.domain.projections.work_items import ReviewDecided, WorkChange, WorkEnded, WorkKind, WorkOpened
from services.intake.domain.projections.work_queue import work_changes
from tests.contracts.reading import SAMPLES, written
from tests.returns.cases import CaseScenario, accepted, event_of

ZONE = ZoneInfo("Asia/Tokyo")


@dataclass
class ObservedCase(CaseScenario):
    """A case whose events go to the projections of intake as soon as they are decided.

    `timeline` holds rows as the database returns them, `work` the open items by kind and subject.
    """

    timeline: list[dict[str, Any]] = field(default_factory=list)
    work: dict[tuple[WorkKind, str], WorkOpened] = field(default_factory=dict)
    reviews_of_decisions: dict[UUID, str | None] = field(default_factory=dict)

    def apply(self, payload: Payload, event_time: datetime | None = None) -> Facts:
        if isinstance(payload, IssueAccepted | IssueStaffDecided | CustomerDecided):
            self.observe(payload)
        facts = super().apply(payload, event_time)
        for fact in facts:
            if isinstance(fact, Payload) and fact.TYPE.startswith("issue."):
                self.observe(fact)
        return facts

    def observe(self, payload: Payload) -> None:
        """Project one event of the topics that intake reads."""
        event = event_of(payload, self.now)
        entries = [entry for entry in project(event) if isinstance(entry, TimelineEntry)]
        self.timeline += [{"type": entry.type, "at": entry.at, "data": json.loads(entry.data)} for entry in entries]
        if isinstance(payload, IssueStaffDecided):
            self.reviews_of_decisions[payload.decision_id] = payload.review
        for change in work_changes(event, ZONE):
            self._change_work(change)

    def _change_work(self, change: WorkChange) -> None:
        match change:
            case WorkOpened():
                self.work[change.kind, change.about] = change
            case WorkEnded():
                self.work = {key: item for key, item in self.work.items() if not _ends(change, *key)}
            case ReviewDecided() if change.decision_id:
                self.work.pop((WorkKind.REVIEW, self.reviews_of_decisions.get(change.decision_id) or ""), None)

    @property
    def status(self) -> str:
        """Status as text, as the database returns it."""
        return fold_status(refused=False, types=[row["type"] for row in self.timeline]).value

    @property
    def steps(self) -> dict[str, str]:
        """Detail of each step that is waited for, by leg."""
        return {about: item.detail for (kind, about), item in self.work.items() if kind is WorkKind.PROGRESS}

    def work_since(self, leg: str) -> datetime:
        return self.work[WorkKind.PROGRESS, leg].since

    @property
    def reviews(self) -> set[str]:
        """Causes of the reviews in the work queue."""
        return {about for kind, about in self.work if kind is WorkKind.REVIEW}

    @property
    def today(self) -> date:
        return self.now.astimezone(ZONE).date()

    def sample(self, type_: str, **fields: Any) -> Payload:
        """Return the sample event of this type, about this case."""
        return decode(written(SAMPLES[type_])).data.model_copy(update={**self.ids, **fields})

    def sample_lines(self, quantity: int) -> tuple[PaidLine, ...]:
        """Return so many units of line 1, as the lines of a refund."""
        return (PaidLine(line_id="1", quantity=quantity, amount=Money(amount="1200", currency="JPY")),)

    def review_request(self, cause: str) -> Payload:
        return self.sample("issue.review_requested.v1", cause=cause)

    @property
    def ids(self) -> dict[str, Any]:
        return {"issue_id": self.known.issue_id, "order_id": self.known.order_id, "customer_id": "C-1"}


def _ends(change: WorkEnded, kind: WorkKind, about: str) -> bool:
    return change.kind in (None, kind) and (change.about is None or about in change.about)


def observed(*args: Any, **fields: Any) -> ObservedCase:
    """Return a case that was just accepted; arguments are those of `accepted`."""
    case = ObservedCase()
    case.apply(accepted(*args, **fields))
    return case
