"""Facts: the results of a decision, `decide(state, event, now, rules) -> (state, facts)`.

A decision is pure and total: no await, no I/O, no clock, and an outcome for every event in every state. The decision
runner writes its facts in the same transaction:

- a `Payload` of the contract becomes an event in the outbox;
- `SetTimer` and `CancelTimer` change a durable timer of the state; a due timer is decided on as an event with
  `TimerFired`;
- a `Record` is a row of the service's own (a notice, a ledger entry), written by its `save`;
- `Ignored` counts a stale or duplicate event; `Anomaly` is counted, logged and shown to staff.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import ClassVar, TypeAlias

from libs.common.decisions.fast_dataclass import dataclass
from libs.common.events.envelope import Payload


@dataclass(frozen=True, slots=True)
class SetTimer:
    """Set a timer of this state to `due_at`. An existing timer of that name is moved."""

    name: str
    due_at: datetime


@dataclass(frozen=True, slots=True)
class CancelTimer:
    name: str


@dataclass(frozen=True, slots=True)
class Ignored:
    """An event that correctly changes nothing. `reason` is a metric label: short, stable, without ids."""

    reason: str


@dataclass(frozen=True, slots=True)
class Anomaly:
    """An event that should not have occurred. `reason` is a metric label; `detail` holds ids, no personal data.

    It becomes work of staff, once per `thing` (`kind:id`; without one, per `detail`), unless `is_shown`: a review, an
    event of its issue or the answer to its caller says the same. `kept` is the partner's report that it is about, where
    a timer or a command only brings it.
    """

    reason: str
    detail: str = ""
    thing: str = ""
    order_id: str | None = None
    is_shown: bool = False
    kept: Payload | None = None


class Record:
    """Base class of a service's own rows among the facts."""

    __slots__ = ()


Fact: TypeAlias = Payload | SetTimer | CancelTimer | Ignored | Anomaly | Record
Facts: TypeAlias = Sequence[Fact]


def refusal_of(facts: Facts) -> str | None:
    """Return why a command changed nothing, as the code for its caller; None if it was carried out.

    A command is refused by the same fact that counts an event without effect, because both may share a handler.
    """
    return next((fact.reason for fact in facts if isinstance(fact, Ignored)), None)


class TimerFired(Payload):
    """A timer of this state is due. This event stays inside the service."""

    TYPE: ClassVar = "timer.fired.v1"

    name: str
    due_at: datetime
