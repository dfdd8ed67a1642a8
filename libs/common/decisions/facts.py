"""What a decision is made of (design section 6): `decide(state, event, now) -> (state, facts)`.

A decision is pure and total: no await, no I/O, no clock, and a defined outcome for every event in every state. The
facts it returns are carried out by the shell in the same transaction:

- a `Payload` of the contract becomes an event in the outbox;
- `SetTimer` / `CancelTimer` change a durable timer of this state; a due timer comes back as an event whose data is
  `TimerFired`;
- a `Record` is a row of the service's own (a notice to send, a ledger entry), written by its `save`;
- `Ignored` counts an event that came too late or twice; `Anomaly` is for ops: it is counted and logged.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar, TypeAlias

from libs.common.events.envelope import Payload


@dataclass(frozen=True, slots=True)
class SetTimer:
    """Wake this state at `due_at`. The same name again moves the timer."""

    name: str
    due_at: datetime


@dataclass(frozen=True, slots=True)
class CancelTimer:
    name: str


@dataclass(frozen=True, slots=True)
class Ignored:
    """An event that changes nothing, and rightly so. `reason` is a metric label: short, stable, without ids."""

    reason: str


@dataclass(frozen=True, slots=True)
class Anomaly:
    """An event that should not have happened. `reason` is a metric label; `detail` holds ids, nothing personal."""

    reason: str
    detail: str = ""


class Record:
    """Base of a service's own rows among the facts."""

    __slots__ = ()


Fact: TypeAlias = Payload | SetTimer | CancelTimer | Ignored | Anomaly | Record
Facts: TypeAlias = Sequence[Fact]


class TimerFired(Payload):
    """A timer of this state is due: an event like any other, but one that never leaves the service."""

    TYPE: ClassVar = "timer.fired.v1"

    name: str
    due_at: datetime
