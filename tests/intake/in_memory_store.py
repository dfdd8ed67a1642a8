"""In-memory store of one order and everything about it, with the semantics of the database, by event or by batch.

Random histories by the thousand run on it; test_store checks the same behaviour of the stores on a real Postgres.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from uuid import UUID

from libs.common.decisions.facts import CancelTimer, Fact, SetTimer, TimerFired
from libs.common.events import issues
from libs.common.events.envelope import Payload
from libs.common.events.registry import AnyEvent
from services.intake.domain.context import CommandRefused, OrderState
from services.intake.domain.decide import decide
from services.intake.domain.issue_acceptance import IssueRecorded, IssueUpdated
from services.intake.domain.orders import Order, PendingReport, Report, StoredReport
from services.intake.domain.projections import timeline
from services.intake.domain.projections.timeline import ReplacementRevoked, ResendAnswered, UnitsReleased, UnitsReplaced
from services.intake.domain.provided_details import PhotosAttached
from services.intake.domain.staff_decisions import StaffDecisionRecorded
from services.intake.domain.units import Unit
from tests.intake.event_builders import CUSTOMER, NOON, ORDER, RULES, event


@dataclass
class InMemoryStore:
    """Rows in `held`, `renewed` and `filed`, photos without an issue in `uploads`, pending timers in `timers`."""

    now: datetime = NOON
    order: Order | None = None
    held: dict[Unit, UUID] = field(default_factory=dict)
    renewed: dict[Unit, datetime] = field(default_factory=dict)
    filed: dict[UUID, StoredReport] = field(default_factory=dict)
    uploads: frozenset[str] = frozenset()
    timers: dict[str, datetime] = field(default_factory=dict)
    facts: list[Fact] = field(default_factory=list)
    released: set[UUID] = field(default_factory=set)
    resent: dict[Unit, UUID] = field(default_factory=dict)

    def context(self) -> OrderState:
        photos = self.uploads.union(*(filed.photos for filed in self.filed.values()))
        references: dict[str, frozenset[UUID]] = {}
        for issue_id, filed in self.filed.items():
            reference = filed.report.submission.reference
            if filed.refusal_code is None and reference:
                references[reference] = references.get(reference, frozenset()) | {issue_id}
        return OrderState(
            self.order or Order(ORDER),
            dict(self.held),
            dict.fromkeys(self.filed, ORDER),
            references,
            dict(self.filed),
            photos,
            replaced_on={unit: moment.date() for unit, moment in self.renewed.items() if unit not in self.resent},
        )

    def take(self, *payloads: Payload) -> list[Fact]:
        """Load once, decide each payload in turn, save once; return the facts of the whole batch."""
        return self.take_events([event(payload, at=self.now) for payload in payloads])

    def take_events(self, events: Sequence[AnyEvent]) -> list[Fact]:
        context: OrderState | None = self.context()
        facts: list[Fact] = []
        for incoming in events:
            if isinstance(incoming.data, TimerFired):
                self.timers.pop(incoming.data.name, None)  # the same transaction deletes its row
            context, new = decide(context, incoming, self.now, RULES)
            facts += new
        assert context
        self.order = context.order
        self._save(facts)
        return facts

    def apply(self, payload: Payload) -> None:
        """Apply an event of returns that moves pieces: the timeline's aggregate writes rows of its own."""
        for record in timeline.project(event(payload, at=self.now)):
            match record:
                case UnitsReleased(issue_id=issue_id):
                    self._release(issue_id)
                    self.released.add(issue_id)
                case UnitsReplaced(issue_id=issue_id, replaced_at=at):
                    self.renewed |= {u: self.renewed.get(u, at) for u, who in self.held.items() if who == issue_id}
                case ResendAnswered(issue_id=issue_id, decision_id=decision_id, applied=applied):
                    answered = [u for u, by in self.resent.items() if by == decision_id]
                    for unit in answered:
                        del self.resent[unit]
                        if applied:
                            self.renewed.pop(unit, None)
                case ReplacementRevoked(issue_id=issue_id):
                    mine = [unit for unit, who in self.held.items() if who == issue_id]
                    for unit in mine:
                        if unit.successor not in self.held:
                            self.renewed.pop(unit, None)

    def fire(self, name: str | None = None) -> list[Fact]:
        """Advance to the timer of this name, or to the next one, and fire it."""
        name = name or min(self.timers, key=lambda timer: self.timers[timer])
        due_at = self.timers.pop(name)
        self.now = max(self.now, due_at)
        return self.take(TimerFired(name=name, due_at=due_at))

    def advance(self, **span: int) -> "InMemoryStore":
        self.now += timedelta(**span)
        return self

    def issue(self, issue_id: UUID) -> PendingReport | None:
        return self.context().pending_report(issue_id)

    def events_of(self, issue_id: UUID, *kinds: type[Payload]) -> list[Payload]:
        """Return the events published about an issue, in order."""
        events = [fact for fact in self.facts if isinstance(fact, issues.IssueEvent) and fact.issue_id == issue_id]
        return [fact for fact in events if not kinds or isinstance(fact, kinds)]

    def _save(self, facts: Sequence[Fact]) -> None:
        self.facts += facts
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
                case StaffDecisionRecorded(decision=decision, version=version, may_resend=may_resend):
                    known = self.filed[decision.issue_id]
                    assert version == known.version + 1, "each version is one decision"
                    self.filed[decision.issue_id] = replace(known, version=version)
                    if may_resend:
                        own = (unit for unit, who in self.held.items() if who == decision.issue_id)
                        self.resent |= dict.fromkeys(own, decision.decision_id)
        assert not {unit for unit, who in taken.items() if self.held.get(unit, who) != who}, "one unit, one holder"
        self.held |= taken

    def _change(self, report: Report, *, refusal_code: str | None) -> None:
        self.filed[report.issue_id] = replace(self.filed[report.issue_id], report=report, refusal_code=refusal_code)

    def _release(self, issue_id: UUID) -> None:
        self.held = {u: who for u, who in self.held.items() if who != issue_id or u in self.renewed}


def refusals(facts: Sequence[Fact]) -> list[str]:
    return [fact.refusal.code for fact in facts if isinstance(fact, CommandRefused)]


def returns_event(kind: type[issues.IssueEvent], issue_id: UUID, now: datetime) -> issues.IssueEvent:
    """Build an event of returns that moves pieces: delivered, cancelled or reopened."""
    more: dict[type[issues.IssueEvent], dict[str, object]] = {
        issues.IssueReplacementDelivered: {"replacement_id": UUID(int=1), "delivered_at": now},
        issues.IssueCancelled: {"cause": "called", "cancelled_at": now},
        issues.IssueReopened: {"cause": "again", "resolution": 1, "reopened_at": now},
    }
    return kind.model_validate({"issue_id": issue_id, "order_id": ORDER, "customer_id": CUSTOMER, **more[kind]})
