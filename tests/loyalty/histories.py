"""Makes events of issues as loyalty sees them, and keeps a ledger in memory for tests of the domain."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID, uuid4

from libs.common.decision import CancelTimer, Fact, SetTimer, TimerFired
from libs.common.events.envelope import Payload
from libs.common.events.issues import IssueCancelled, IssueReopened, IssueResolved
from libs.common.events.registry import AnyEvent, event_class
from libs.common.events.values import Fault, Money, Reason, Remedy
from services.loyalty import domain
from services.loyalty.domain import Account, Entry
from services.loyalty.rules import AwardRules
from services.loyalty.settings import shipped_rules

RULES: AwardRules = shipped_rules()
NOON = datetime(2026, 11, 2, 3, tzinfo=UTC)
HOLD = timedelta(days=RULES.hold_days)
CUSTOMER = "C-1001"
ISSUE = UUID("8f1a4d0e-3d4b-5c6a-9b2f-2a1f0c9e7d11")


def event(payload: Payload, subject: str | None = None) -> AnyEvent:
    return event_class(type(payload)).model_construct(
        id=str(uuid4()), source="/test", type=payload.TYPE, subject=subject, time=NOON, data=payload
    )


def resolved(issue_id: UUID = ISSUE, resolution: int = 1, customer_id: str = CUSTOMER, **other: Any) -> AnyEvent:
    facts: dict[str, Any] = {
        "remedy": Remedy.REPLACEMENT,
        "reason": Reason.DEFECTIVE,
        "fault": Fault.MERCHANT,
        "value": Money(amount=Decimal("4980"), currency="JPY"),
        "resolved_at": NOON,
    } | other
    ids: dict[str, Any] = {"issue_id": issue_id, "order_id": "A-1", "customer_id": customer_id}
    return event(IssueResolved(**ids, resolution=resolution, **facts))


def reopened(issue_id: UUID = ISSUE, resolution: int = 1, customer_id: str = CUSTOMER) -> AnyEvent:
    return event(
        IssueReopened(
            issue_id=issue_id,
            order_id="A-1",
            customer_id=customer_id,
            cause="still broken",
            resolution=resolution,
            reopened_at=NOON,
        )
    )


def cancelled(issue_id: UUID = ISSUE, customer_id: str = CUSTOMER) -> AnyEvent:
    return event(
        IssueCancelled(issue_id=issue_id, order_id="A-1", customer_id=customer_id, cause="withdrawn", cancelled_at=NOON)
    )


def hold_over(issue_id: UUID = ISSUE, resolution: int = 1, customer_id: str = CUSTOMER) -> AnyEvent:
    cause = domain.cause_of(issue_id, resolution)
    return event(TimerFired(name=domain.FINALISE + cause, due_at=NOON + HOLD), subject=customer_id)


@dataclass
class Book:
    """A ledger in memory: one customer's account, all that was entered and said, and the timers that are set."""

    account: Account = field(default_factory=lambda: Account(CUSTOMER))
    entries: list[Entry] = field(default_factory=list)
    said: list[Payload] = field(default_factory=list)
    timers: dict[str, datetime] = field(default_factory=dict)

    def take(self, *events: AnyEvent) -> "Book":
        for one in events:
            self.account, facts = domain.decide(RULES, self.account, one, NOON)
            self._keep(facts)
        return self

    def _keep(self, facts: Sequence[Fact]) -> None:
        for fact in facts:
            match fact:
                case Entry():
                    self.entries.append(fact)
                case Payload():
                    self.said.append(fact)
                case SetTimer(name=name, due_at=due_at):
                    self.timers[name] = due_at
                case CancelTimer(name=name):
                    self.timers.pop(name, None)

    def balances(self) -> tuple[int, int]:
        return self.account.pending, self.account.final

    def sums(self) -> tuple[int, int]:
        return sum(entry.pending for entry in self.entries), sum(entry.final for entry in self.entries)


def decide(event: AnyEvent, account: Account | None = None) -> tuple[Account, Sequence[Fact]]:
    return domain.decide(RULES, account or Account(CUSTOMER), event, NOON)
