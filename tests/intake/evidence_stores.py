"""A `Shelf`: one order and all that is about it, kept as the database keeps it, event by event or in batches.

It does what `report_store` does, in memory, so that histories of thousands can be told; the store's own tests hold the
two together by saying the same of a real Postgres.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from uuid import UUID

from libs.common.decisions.facts import CancelTimer, Fact, SetTimer, TimerFired
from libs.common.events import issues
from libs.common.events.envelope import Payload
from libs.common.events.registry import AnyEvent
from services.intake.domain.context import CommandRefused, OrderContext
from services.intake.domain.decide import decide
from services.intake.domain.issue_acceptance import IssueRecorded, IssueUpdated
from services.intake.domain.orders import Order, PendingReport, Report, StoredReport
from services.intake.domain.provided_details import PhotosAttached
from services.intake.domain.staff_decisions import StaffDecisionRecorded
from services.intake.domain.units import Unit
from services.intake.projections import timeline
from services.intake.projections.timeline import ReplacementRevoked, UnitsReleased, UnitsReplaced
from tests.intake.reports import CUSTOMER, NOON, ORDER, RULES, event


@dataclass
class Shelf:
    """`held`, `renewed` and `filed` are the rows, `uploads` the photos nobody has named yet, `timers` those to come."""

    now: datetime = NOON
    order: Order | None = None
    held: dict[Unit, UUID] = field(default_factory=dict)
    renewed: dict[Unit, datetime] = field(default_factory=dict)
    filed: dict[UUID, StoredReport] = field(default_factory=dict)
    uploads: frozenset[str] = frozenset()
    timers: dict[str, datetime] = field(default_factory=dict)
    said: list[Fact] = field(default_factory=list)
    released: set[UUID] = field(default_factory=set)

    def book(self) -> OrderContext:
        photos = self.uploads.union(*(filed.photos for filed in self.filed.values()))
        references = {
            filed.report.submission.reference: issue_id
            for issue_id, filed in self.filed.items()
            if filed.refusal_code is None and filed.report.submission.reference
        }
        return OrderContext(
            self.order or Order(ORDER),
            dict(self.held),
            dict.fromkeys(self.filed, ORDER),
            references,
            dict(self.filed),
            photos,
            replaced_on={unit: moment.date() for unit, moment in self.renewed.items()},
        )

    def take(self, *payloads: Payload) -> list[Fact]:
        """One batch: loaded once, decided one after the other, saved once. Gives the facts of the whole batch."""
        return self.take_events([event(one, at=self.now) for one in payloads])

    def take_events(self, events: Sequence[AnyEvent]) -> list[Fact]:
        book: OrderContext | None = self.book()
        facts: list[Fact] = []
        for one in events:
            if isinstance(one.data, TimerFired):
                self.timers.pop(one.data.name, None)  # its row is gone in the same transaction
            book, new = decide(book, one, self.now, RULES)
            facts += new
        assert book
        self.order = book.order
        self._save(facts)
        return facts

    def tell(self, fact: Payload) -> None:
        """A topic told something that moves pieces: the other aggregate of intake writes rows of its own."""
        for record in timeline.project(event(fact, at=self.now)):
            match record:
                case UnitsReleased(issue_id=issue_id):
                    self._release(issue_id)
                    self.released.add(issue_id)
                case UnitsReplaced(issue_id=issue_id, replaced_at=at):
                    self.renewed |= {u: self.renewed.get(u, at) for u, who in self.held.items() if who == issue_id}
                case ReplacementRevoked(issue_id=issue_id):
                    mine = [unit for unit, who in self.held.items() if who == issue_id]
                    for unit in mine:
                        if unit.successor not in self.held:
                            self.renewed.pop(unit, None)

    def fire(self, name: str | None = None) -> list[Fact]:
        """The timer of this name, or the next one, when it is due."""
        name = name or min(self.timers, key=lambda one: self.timers[one])
        due_at = self.timers.pop(name)
        self.now = max(self.now, due_at)
        return self.take(TimerFired(name=name, due_at=due_at))

    def later(self, **span: int) -> "Shelf":
        self.now += timedelta(**span)
        return self

    def issue(self, issue_id: UUID) -> PendingReport | None:
        return self.book().pending_report(issue_id)

    def about(self, issue_id: UUID, *kinds: type[Payload]) -> list[Payload]:
        """What was told about an issue, in order."""
        told = [fact for fact in self.said if isinstance(fact, issues.IssueEvent) and fact.issue_id == issue_id]
        return [fact for fact in told if not kinds or isinstance(fact, kinds)]

    def _save(self, facts: Sequence[Fact]) -> None:
        self.said += facts
        taken: dict[Unit, UUID] = {}
        for fact in facts:
            match fact:
                case SetTimer(name=name, due_at=due_at):
                    self.timers[name] = due_at
                case CancelTimer(name=name):
                    self.timers.pop(name, None)
                case IssueRecorded(report=report, units=units, refusal=refusal):
                    assert report.issue_id not in self.filed, "one id is one row"
                    photos = frozenset(report.submission.photos)
                    self.filed[report.issue_id] = StoredReport(report, refusal.code if refusal else None, 0, photos)
                    taken |= dict.fromkeys(units, report.issue_id)
                case IssueUpdated(report=report, refusal_code=code, claimed_units=units, releases_units=frees):
                    self._change(report, refusal_code=code)
                    taken |= dict.fromkeys(units, report.issue_id)
                    if frees:
                        taken = {unit: who for unit, who in taken.items() if who != report.issue_id}
                        self._release(report.issue_id)
                case PhotosAttached(issue_id=issue_id, photos=photos_kept):
                    known = self.filed[issue_id]
                    names = frozenset(photo.sha256 for photo in photos_kept)
                    self.filed[issue_id] = replace(known, photos=known.photos | names)
                case StaffDecisionRecorded(decision=decision, version=version):
                    known = self.filed[decision.issue_id]
                    assert version == known.version + 1, "each version is one decision"
                    self.filed[decision.issue_id] = replace(known, version=version)
        assert not {unit for unit, who in taken.items() if self.held.get(unit, who) != who}, "one unit, one holder"
        self.held |= taken

    def _change(self, report: Report, *, refusal_code: str | None) -> None:
        self.filed[report.issue_id] = replace(self.filed[report.issue_id], report=report, refusal_code=refusal_code)

    def _release(self, issue_id: UUID) -> None:
        self.held = {u: who for u, who in self.held.items() if who != issue_id or u in self.renewed}


def refusals(facts: Sequence[Fact]) -> list[str]:
    return [fact.refusal.code for fact in facts if isinstance(fact, CommandRefused)]


def of_returns(kind: type[issues.IssueEvent], issue_id: UUID, now: datetime) -> issues.IssueEvent:
    """What returns tells that moves pieces: arrived, cancelled, or opened again."""
    more = {
        issues.IssueReplacementDelivered: {"replacement_id": UUID(int=1), "delivered_at": now},
        issues.IssueCancelled: {"cause": "called", "cancelled_at": now},
        issues.IssueReopened: {"cause": "again", "resolution": 1, "reopened_at": now},
    }
    return kind.model_validate({"issue_id": issue_id, "order_id": ORDER, "customer_id": CUSTOMER, **more[kind]})
