"""Makes events of issues as loyalty sees them, and keeps a ledger in memory for tests of the domain."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID, uuid4

from libs.common.decisions.facts import CancelTimer, Fact, SetTimer, TimerFired
from libs.common.events.envelope import Payload
from libs.common.events.issues import IssueCancelled, IssueRefunded, IssueReopened, IssueResolved
from libs.common.events.registry import AnyEvent, event_class
from libs.common.events.storefront import OrderDelivered, OrderPlaced
from libs.common.events.values import Address, Contact, Fault, LineQuantity, Money, OrderLine, Reason, Remedy
from services.loyalty.domain import decide as domain
from services.loyalty.domain.commands import (
    AdjustAsked,
    CommitAsked,
    ReleaseAsked,
    ReserveAsked,
    ReturnAsked,
    ReviewAnswered,
)
from services.loyalty.domain.decision_context import Terms
from services.loyalty.domain.purchases import timer_of
from services.loyalty.domain.redemptions import TIMER as RELEASE
from services.loyalty.domain.vesting import TIMER as VEST
from services.loyalty.ledger.accounts import Account, Entry, Place, Purchase, Purse, cause_of
from services.loyalty.policy.award_rules import AwardRules
from services.loyalty.settings import shipped_rules

RULES: AwardRules = shipped_rules()
TERMS = Terms(RULES)
NOON = datetime(2026, 11, 2, 3, tzinfo=UTC)
HOLD = timedelta(days=RULES.hold_days)
CUSTOMER = "C-1001"
ISSUE = UUID("8f1a4d0e-3d4b-5c6a-9b2f-2a1f0c9e7d11")
ORDER = "A-1"


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
    return fired(VEST + cause_of(issue_id, resolution), customer_id)


def fired(name: str, customer_id: str = CUSTOMER) -> AnyEvent:
    return event(TimerFired(name=name, due_at=NOON + HOLD), subject=customer_id)


def order_changed(order_id: str = ORDER, version: int = 1, customer_id: str = CUSTOMER) -> AnyEvent:
    return fired(timer_of(order_id, version), customer_id)


def refunded(amount: str = "4980", refund: int = 1, order_id: str = ORDER, customer_id: str = CUSTOMER) -> AnyEvent:
    return event(
        IssueRefunded(
            issue_id=UUID(int=900 + refund),
            order_id=order_id,
            customer_id=customer_id,
            refund_id=UUID(int=refund),
            amount=Money(amount=Decimal(amount), currency="JPY"),
            refunded_at=NOON,
        )
    )


def placed(order_id: str = ORDER, amount: str = "4980", quantity: int = 1, birthday: str | None = None) -> AnyEvent:
    price = Money(amount=Decimal(amount), currency="JPY")
    line = OrderLine(line_id="1", sku="KYUSU-1", name="kyusu", quantity=quantity, unit_price=price)
    where = {"postal_code": "150-0001", "country": "JP", "city": "Shibuya", "street": "Jingumae 9-9"}
    return event(
        OrderPlaced(
            order_id=order_id,
            customer_id=CUSTOMER,
            placed_at=NOON,
            lines=(line,),
            contact=Contact(name="Hanako", email="hanako@example.jp"),
            ship_to=Address(name="Hanako", **where),
            birthday=birthday,
        )
    )


def delivered(order_id: str = ORDER, quantity: int = 1) -> AnyEvent:
    lines = (LineQuantity(line_id="1", quantity=quantity),)
    return event(OrderDelivered(order_id=order_id, lines=lines, delivered_at=NOON))


def reserve(points: int, redemption: int = 1, customer_id: str = CUSTOMER) -> AnyEvent:
    ids: dict[str, Any] = {"redemption_id": UUID(int=redemption), "order_id": f"A-{redemption}"}
    return event(ReserveAsked(customer_id=customer_id, points=points, **ids))


def commit(redemption: int = 1, customer_id: str = CUSTOMER) -> AnyEvent:
    return event(CommitAsked(customer_id=customer_id, redemption_id=UUID(int=redemption)))


def release(redemption: int = 1, customer_id: str = CUSTOMER) -> AnyEvent:
    return event(ReleaseAsked(customer_id=customer_id, redemption_id=UUID(int=redemption)))


def give_back(redemption: int = 1, customer_id: str = CUSTOMER) -> AnyEvent:
    return event(ReturnAsked(customer_id=customer_id, redemption_id=UUID(int=redemption)))


def ran_out(redemption: int = 1, customer_id: str = CUSTOMER) -> AnyEvent:
    return fired(f"{RELEASE}{UUID(int=redemption)}", customer_id)


def adjust(change: int, number: int = 1, customer_id: str = CUSTOMER) -> AnyEvent:
    named: dict[str, Any] = {"text": "goodwill", "staff": "sato", "comment": "called twice"}
    return event(AdjustAsked(customer_id=customer_id, adjustment_id=UUID(int=number), change=change, **named))


def reviewed(approved: bool, issue_id: UUID = ISSUE, resolution: int = 1, customer_id: str = CUSTOMER) -> AnyEvent:
    cause = cause_of(issue_id, resolution)
    return event(
        ReviewAnswered(customer_id=customer_id, cause=cause, approved=approved, staff="sato", comment="a bad month")
    )


@dataclass
class Book:
    """A ledger in memory: one customer's account, all that was entered and said, and the timers that are set."""

    account: Account = field(default_factory=lambda: Account(CUSTOMER))
    entries: list[Entry] = field(default_factory=list)
    said: list[Payload] = field(default_factory=list)
    timers: dict[str, datetime] = field(default_factory=dict)
    now: datetime = NOON
    terms: Terms = TERMS
    outcomes: list[Sequence[Fact]] = field(default_factory=list)

    def take(self, *events: AnyEvent) -> "Book":
        for one in events:
            self.account, facts = domain.decide(self.terms, self.account, one, self.now)
            self.outcomes.append(facts)
            self._keep(facts)
        return self

    def bought(self, amount: str = "4980", order_id: str = ORDER) -> "Book":
        """This much of the order is delivered and not called off by now."""
        purchase = Purchase(order_id, Decimal(amount), "JPY")
        self.account = replace(self.account, purchases={**self.account.purchases, order_id: purchase})
        return self

    def wait(self, span: timedelta) -> "Book":
        """Let time pass, and every timer fire that is due by then, the earliest first."""
        end = self.now + span
        while due := sorted((at, name) for name, at in self.timers.items() if at <= end):
            at, name = due[0]
            del self.timers[name]
            self.now = max(self.now, at)
            self.take(fired(name, self.account.customer_id))
        self.now = end
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
        """Pending, and what is final: available and reserved."""
        purse = self.account.purse
        return purse.pending, purse.available + purse.reserved

    def sums(self) -> Purse:
        """The ledger added up by itself."""
        held = dict.fromkeys(Place, 0)
        for entry in self.entries:
            held[entry.from_account] -= entry.points
            held[entry.to_account] += entry.points
        return Purse(**held)


def decide(event: AnyEvent, account: Account | None = None) -> tuple[Account, Sequence[Fact]]:
    return domain.decide(TERMS, account or Account(CUSTOMER), event, NOON)
