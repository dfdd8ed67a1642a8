"""How long a customer waited for the shop, counted from what is recorded: a pure function over the story of an issue.

- The clock counts the shop's open hours. It stops while the customer owes an answer, and only then: from the moment
  they were asked until they gave it, at most until the day they were given.
- It cannot be gamed. Each thing is asked for once: asking again, or for what was given, stops nothing. A decision that
  is taken back (reopened, or accepted after all) sets nothing back: what was spent is spent, and the clock runs on.
- A first response is a message that left for the customer, not one that was written.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from libs.common.events import issues, notices
from services.intake.policy.business_hours import OpenHours
from services.intake.policy.eligibility_rules import Targets
from services.intake.projections.timeline import DECISIONS


@dataclass(frozen=True, slots=True)
class Told:
    """One fact of the story."""

    at: datetime
    type: str
    data: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Clock:
    """`spent` is open time. `due_at`: when the target is passed if nothing happens; None once done, or while the
    customer owes an answer. `done_at`: when it stopped for good, as far as is known."""

    target: timedelta
    spent: timedelta
    due_at: datetime | None
    done_at: datetime | None

    @property
    def kept(self) -> bool:
        return self.spent <= self.target


@dataclass(frozen=True, slots=True)
class Clocks:
    first_response: Clock
    decision: Clock


def measure(reported_at: datetime, story: Iterable[Told], hours: OpenHours, targets: Targets, now: datetime) -> Clocks:
    """`story` may be in any order; what is later than `now` has not happened yet."""
    facts = sorted((fact for fact in story if reported_at <= fact.at <= now), key=lambda fact: fact.at)
    answer, decision = _Watch(hours, reported_at), _Watch(hours, reported_at)
    for fact in facts:
        if fact.type == notices.NoticeSent.TYPE:
            answer.stop(fact.at)
        _move(decision, fact)
    return Clocks(answer.read(targets.first_response, now), decision.read(targets.decision, now))


def _move(watch: "_Watch", fact: Told) -> None:
    match fact.type:
        case issues.IssueDetailsRequested.TYPE:
            watch.ask(fact.at, set(fact.data.get("missing", ())), _moment(fact.data.get("due_at")) or fact.at)
        case issues.IssueDetailsProvided.TYPE:
            watch.given |= set(fact.data.get("provided", ()))
            if not fact.data.get("missing"):
                watch.answered(fact.at)
        case issues.IssueReopened.TYPE | issues.IssueAccepted.TYPE:
            watch.go_on(fact.at)
        case type_ if type_ in DECISIONS:
            watch.stop(fact.at)


def _moment(text: object) -> datetime | None:
    return text if isinstance(text, datetime) else datetime.fromisoformat(text) if isinstance(text, str) else None


@dataclass
class _Watch:
    """Runs from `since`; stands still while that is None, or until `paused_until`."""

    hours: OpenHours
    since: datetime | None
    spent: timedelta = timedelta()
    paused_until: datetime | None = None
    done_at: datetime | None = None
    asked: set[str] = field(default_factory=set)
    given: set[str] = field(default_factory=set)

    def _count(self, at: datetime) -> None:
        if self.paused_until and at >= self.paused_until:
            self.since, self.paused_until = self.paused_until, None
        if self.since and not self.paused_until:
            self.spent += self.hours.between(self.since, at)
            self.since = at

    def ask(self, at: datetime, missing: set[str], until: datetime) -> None:
        self._count(at)
        new = missing - self.asked - self.given
        self.asked |= missing
        if new and self.done_at is None and until > at:
            self.paused_until = max(until, self.paused_until or until)

    def answered(self, at: datetime) -> None:
        self._count(at)
        if self.paused_until:
            self.since, self.paused_until = at, None

    def stop(self, at: datetime) -> None:
        if self.done_at is None:
            self._count(at)
            self.since, self.paused_until, self.done_at = None, None, at

    def go_on(self, at: datetime) -> None:
        self.answered(at)
        if self.done_at is not None:
            self.since, self.done_at = at, None

    def read(self, target: timedelta, now: datetime) -> Clock:
        self._count(now)
        runs = self.since is not None and self.paused_until is None
        due_at = self.hours.after(now, target - self.spent) if runs and self.spent <= target else None
        return Clock(target, self.spent, due_at, self.done_at)
