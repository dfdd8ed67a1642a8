"""SLA clocks of an issue: how long the customer waited for the shop. A pure function over the timeline.

- The clock counts business hours. It pauses only while the customer owes an answer: from the request to the answer, at
  most until the due day of the request.
- The clock cannot be gamed. A detail pauses it once: a second request for it, or a request for a provided detail, has
  no effect. A withdrawn decision (reopened, or accepted after a rejection) resets nothing: the clock resumes.
- The first response is a notice that was sent to the customer, not one that was created.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from libs.common.decisions.business_hours import BusinessHours
from libs.common.events import issues, notices
from services.intake.domain.projections.issue_status import DECISION_TYPES
from services.intake.policy.eligibility_rules import ResponseTargets


@dataclass(frozen=True, slots=True)
class SlaEvent:
    """One event of the timeline."""

    at: datetime
    type: str
    data: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class SlaClock:
    """State of one clock. `spent` is open time; `due_at` is the moment at which the target is missed if nothing
    happens, None once done or while the customer owes an answer; `done_at` is the final stop, as far as is known."""

    target: timedelta
    spent: timedelta
    due_at: datetime | None
    done_at: datetime | None

    @property
    def within_target(self) -> bool:
        return self.spent <= self.target


@dataclass(frozen=True, slots=True)
class SlaClocks:
    first_response: SlaClock
    decision: SlaClock


def measure_sla(
    reported_at: datetime, timeline: Iterable[SlaEvent], hours: BusinessHours, targets: ResponseTargets, now: datetime
) -> SlaClocks:
    """Measure both clocks. The timeline may be in any order; events after `now` are ignored."""
    events = sorted((event for event in timeline if reported_at <= event.at <= now), key=lambda event: event.at)
    response, decision = _Stopwatch(hours, reported_at), _Stopwatch(hours, reported_at)
    for event in events:
        if event.type == notices.NoticeSent.TYPE:
            response.stop(event.at)
        _apply(decision, event)
    return SlaClocks(response.read(targets.first_response, now), decision.read(targets.decision, now))


def _apply(clock: "_Stopwatch", event: SlaEvent) -> None:
    match event.type:
        case issues.IssueDetailsRequested.TYPE:
            clock.pause(event.at, set(event.data.get("missing", ())), _moment(event.data.get("due_at")) or event.at)
        case issues.IssueDetailsProvided.TYPE:
            clock.provided |= set(event.data.get("provided", ()))
            if not event.data.get("missing"):
                clock.resume(event.at)
        case issues.IssueReopened.TYPE | issues.IssueAccepted.TYPE:
            clock.restart(event.at)
        case type_ if type_ in DECISION_TYPES:
            clock.stop(event.at)


def _moment(text: object) -> datetime | None:
    return text if isinstance(text, datetime) else datetime.fromisoformat(text) if isinstance(text, str) else None


@dataclass
class _Stopwatch:
    """Runs from `since`; paused while that is None, or until `paused_until`."""

    hours: BusinessHours
    since: datetime | None
    spent: timedelta = timedelta()
    paused_until: datetime | None = None
    done_at: datetime | None = None
    requested: set[str] = field(default_factory=set)
    provided: set[str] = field(default_factory=set)

    def _advance(self, at: datetime) -> None:
        if self.paused_until and at >= self.paused_until:
            self.since, self.paused_until = self.paused_until, None
        if self.since and not self.paused_until:
            self.spent += self.hours.between(self.since, at)
            self.since = at

    def pause(self, at: datetime, missing: set[str], until: datetime) -> None:
        self._advance(at)
        new = missing - self.requested - self.provided
        self.requested |= missing
        if new and self.done_at is None and until > at:
            self.paused_until = max(until, self.paused_until or until)

    def resume(self, at: datetime) -> None:
        self._advance(at)
        if self.paused_until:
            self.since, self.paused_until = at, None

    def stop(self, at: datetime) -> None:
        if self.done_at is None:
            self._advance(at)
            self.since, self.paused_until, self.done_at = None, None, at

    def restart(self, at: datetime) -> None:
        self.resume(at)
        if self.done_at is not None:
            self.since, self.done_at = at, None

    def read(self, target: timedelta, now: datetime) -> SlaClock:
        self._advance(now)
        runs = self.since is not None and self.paused_until is None
        due_at = self.hours.after(now, target - self.spent) if runs and self.spent <= target else None
        return SlaClock(target, self.spent, due_at, self.done_at)
