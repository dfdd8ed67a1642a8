"""Sample events of loyalty, and a points account in memory for tests of the domain."""

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
    AdjustPoints,
    CommitRedemption,
    DecideReview,
    ReleaseRedemption,
    ReservePoints,
    ReturnRedemption,
)
from services.loyalty.domain.ledger_rules import LedgerRules
from services.loyalty.domain.timers import RESERVATION, VEST, purchase_timer, timer_name
from services.loyalty.ledger.accounts import Balances, PointsAccount, PurchaseValue
from services.loyalty.ledger.causes import issue_cause
from services.loyalty.ledger.entries import Entry, LedgerAccount
from services.loyalty.policy.award_rules import AwardRules
from services.loyalty.settings import default_rules

RULES: AwardRules = default_rules()
LEDGER_RULES = LedgerRules(RULES)
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


def hold_ended(issue_id: UUID = ISSUE, resolution: int = 1, customer_id: str = CUSTOMER) -> AnyEvent:
    return timer_fired(timer_name(VEST, issue_cause(issue_id, resolution)), customer_id)


def timer_fired(name: str, customer_id: str = CUSTOMER) -> AnyEvent:
    return event(TimerFired(name=name, due_at=NOON + HOLD), subject=customer_id)


def order_changed(order_id: str = ORDER, version: int = 1, customer_id: str = CUSTOMER) -> AnyEvent:
    return timer_fired(purchase_timer(order_id, version), customer_id)


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


def delivered(order_id: str = ORDER, quantity: int = 1, at: datetime = NOON) -> AnyEvent:
    lines = (LineQuantity(line_id="1", quantity=quantity),)
    return event(OrderDelivered(order_id=order_id, lines=lines, delivered_at=at))


def reserve(points: int, redemption: int = 1, customer_id: str = CUSTOMER) -> AnyEvent:
    ids: dict[str, Any] = {"redemption_id": UUID(int=redemption), "order_id": f"A-{redemption}"}
    return event(ReservePoints(customer_id=customer_id, points=points, **ids))


def commit(redemption: int = 1, customer_id: str = CUSTOMER) -> AnyEvent:
    return event(CommitRedemption(customer_id=customer_id, redemption_id=UUID(int=redemption)))


def release(redemption: int = 1, customer_id: str = CUSTOMER) -> AnyEvent:
    return event(ReleaseRedemption(customer_id=customer_id, redemption_id=UUID(int=redemption)))


def return_points(redemption: int = 1, customer_id: str = CUSTOMER) -> AnyEvent:
    return event(ReturnRedemption(customer_id=customer_id, redemption_id=UUID(int=redemption)))


def reservation_expired(redemption: int = 1, customer_id: str = CUSTOMER) -> AnyEvent:
    return timer_fired(timer_name(RESERVATION, UUID(int=redemption)), customer_id)


def adjust(change: int, number: int = 1, customer_id: str = CUSTOMER) -> AnyEvent:
    named: dict[str, Any] = {"text": "goodwill", "staff": "sato", "comment": "called twice"}
    return event(AdjustPoints(customer_id=customer_id, adjustment_id=UUID(int=number), change=change, **named))


def reviewed(approved: bool, issue_id: UUID = ISSUE, resolution: int = 1, customer_id: str = CUSTOMER) -> AnyEvent:
    cause = issue_cause(issue_id, resolution)
    return event(
        DecideReview(customer_id=customer_id, cause=cause, approved=approved, staff="sato", comment="a bad month")
    )


@dataclass
class InMemoryLedger:
    """One customer's points account in memory, with all entries, published events and timers."""

    account: PointsAccount = field(default_factory=lambda: PointsAccount(CUSTOMER))
    entries: list[Entry] = field(default_factory=list)
    events: list[Payload] = field(default_factory=list)
    timers: dict[str, datetime] = field(default_factory=dict)
    now: datetime = NOON
    rules: LedgerRules = LEDGER_RULES
    decisions: list[Sequence[Fact]] = field(default_factory=list)

    def apply(self, *incoming: AnyEvent) -> "InMemoryLedger":
        for event in incoming:
            self.account, facts = domain.decide(self.account, event, self.now, self.rules)
            self.decisions.append(facts)
            self._keep(facts)
        return self

    def with_purchase(self, amount: str = "4980", order_id: str = ORDER) -> "InMemoryLedger":
        """Set the price of the goods delivered and not cancelled."""
        purchase = PurchaseValue(order_id, Decimal(amount), "JPY")
        self.account = replace(self.account, purchases={**self.account.purchases, order_id: purchase})
        return self

    def advance(self, span: timedelta) -> "InMemoryLedger":
        """Advance the clock and fire every timer that becomes due, earliest first."""
        end = self.now + span
        while due := sorted((at, name) for name, at in self.timers.items() if at <= end):
            at, name = due[0]
            del self.timers[name]
            self.now = max(self.now, at)
            self.apply(timer_fired(name, self.account.customer_id))
        self.now = end
        return self

    def _keep(self, facts: Sequence[Fact]) -> None:
        for fact in facts:
            match fact:
                case Entry():
                    self.entries.append(fact)
                case Payload():
                    self.events.append(fact)
                case SetTimer(name=name, due_at=due_at):
                    self.timers[name] = due_at
                case CancelTimer(name=name):
                    self.timers.pop(name, None)

    def balances(self) -> tuple[int, int]:
        """Return pending points and final points (available and reserved)."""
        balances = self.account.balances
        return balances.pending, balances.available + balances.reserved

    def summed_entries(self) -> Balances:
        """Return the sums of the entries per account."""
        sums = dict.fromkeys(LedgerAccount, 0)
        for entry in self.entries:
            sums[entry.from_account] -= entry.points
            sums[entry.to_account] += entry.points
        return Balances(**sums)


def decide(event: AnyEvent, account: PointsAccount | None = None) -> tuple[PointsAccount, Sequence[Fact]]:
    return domain.decide(account or PointsAccount(CUSTOMER), event, NOON, LEDGER_RULES)
