"""Decision context shared by all services: the state while one event is decided, and the facts so far.

`decide(state, event, now, rules) -> (state, facts)` creates a context, calls one handler, and returns what the context
then holds. Handlers name it `decision`. A context lives for one call of `decide`; the function as a whole stays pure. A
mutable context was chosen over handlers that return `(state, facts)` pairs, because most handlers end in several small
steps and each pair had to be threaded through all of them.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Generic, TypeVar

from libs.common.decisions.facts import Anomaly, CancelTimer, Fact, Ignored, SetTimer
from libs.common.decisions.fast_replace import replace
from libs.common.events.envelope import Payload

S = TypeVar("S")
R = TypeVar("R")


@dataclass(slots=True)
class DecisionContext(Generic[S, R]):
    """The state as it becomes, the time and the rules of this decision, and the facts collected so far."""

    state: S
    now: datetime
    rules: R
    facts: list[Fact] = field(default_factory=list)

    def change(self, **changes: Any) -> None:
        """Replace fields of the state."""
        state: Any = self.state
        self.state = replace(state, **changes)

    def emit(self, *facts: Fact) -> None:
        """Add events, records or timers to the outcome, in this order."""
        self.facts += facts

    def ignore(self, reason: str) -> None:
        """Record that the event changes nothing; `reason` is a metric label."""
        self.facts.append(Ignored(reason))

    def anomaly(self, reason: str, detail: str = "") -> None:
        """Record that the event should not have happened; `reason` is a metric label, `detail` holds ids only."""
        self.facts.append(Anomaly(reason, detail))

    def set_timer(self, name: str, due_at: datetime) -> None:
        """Set or move a durable timer of this state."""
        self.facts.append(SetTimer(name, due_at))

    def cancel_timer(self, name: str) -> None:
        self.facts.append(CancelTimer(name))

    def drop_ignored(self) -> None:
        """Drop `Ignored` facts: another step of this decision did change the state."""
        self.facts = [fact for fact in self.facts if not isinstance(fact, Ignored)]


def timer_changes(before: Mapping[str, datetime], after: Mapping[str, datetime], fired: str | None) -> list[Fact]:
    """Return the facts that turn the timers `before` into those `after`. A timer that fired must be set again."""
    old = {name: due_at for name, due_at in before.items() if name != fired}
    if old == after:
        return []
    changed: list[Fact] = [SetTimer(name, due_at) for name, due_at in after.items() if old.get(name) != due_at]
    return [*changed, *(CancelTimer(name) for name in old if name not in after)]


def subscriptions(handled: Iterable[type[Payload]]) -> tuple[type[Payload], ...]:
    """Return the event types among these that arrive on a topic; commands and timers of a service have none."""
    return tuple(payload for payload in handled if hasattr(payload, "TOPIC"))
