"""Factories, and `CaseScenario`: one case decided event by event, with the timers that the database would hold."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any, Self, TypeVar
from uuid import UUID
from zoneinfo import ZoneInfo

from libs.common.config.calendar_file import BUNDLED_CALENDAR, read_calendars
from libs.common.decisions.facts import Anomaly, CancelTimer, Fact, Facts, Ignored, SetTimer, TimerFired
from libs.common.decisions.ids import derived_id
from libs.common.decisions.shop_calendar import ShopCalendar
from libs.common.events.carrier import (
    CollectionAttemptFailed,
    CollectionBooked,
    CollectionCollected,
    ParcelDelivered,
)
from libs.common.events.envelope import Payload
from libs.common.events.issues import IssueAccepted, IssueStaffDecided, IssueStaffDecisionApplied
from libs.common.events.payment import RefundCompleted, RefundFailed
from libs.common.events.registry import AnyEvent, event_class
from libs.common.events.values import (
    Address,
    Condition,
    InspectedLine,
    IssueLine,
    LineQuantity,
    Money,
    Reason,
    Remedy,
    StaffAction,
    TimeWindow,
)
from libs.common.events.values.money import round_up
from libs.common.events.warehouse import ItemInspected, ItemReceived, ReplacementConfirmed, ReplacementShipped
from services.returns.domain.context import CaseRules, CaseState
from services.returns.domain.decide import decide
from services.returns.domain.handlers.order_watch import address_timer
from services.returns.domain.state.case import Case
from services.returns.domain.state.exposure import CustomerContext, record_case
from services.returns.domain.state.order_ledger import OrderLedger, PricedLine
from services.returns.domain.state.review_causes import ReviewCause
from services.returns.policy.policy_loader import read_policies

TUESDAY = datetime(2026, 3, 10, 1, tzinfo=UTC)
"""10:00 in Tokyo; the days around it are open until the weekend, and Friday the 20th is a holiday."""

CALENDAR = ShopCalendar(ZoneInfo("Asia/Tokyo"))
RULES = CaseRules(read_policies(), read_calendars(BUNDLED_CALENDAR, CALENDAR.zone))
HOME = Address(
    name="Sato Hana", postal_code="150-0001", country="JP", city="Shibuya", street="1-2-3", phone="0312345678"
)
ISSUE = derived_id("issue", "returns-tests")

P = TypeVar("P")


def line(line_id: str = "1", quantity: int = 1, price: str = "1200", currency: str = "JPY") -> IssueLine:
    money = Money(amount=Decimal(price), currency=currency)
    return IssueLine(line_id=line_id, quantity=quantity, sku=f"SKU-{line_id}", name="Teapot", unit_price=money)


def accepted(
    reason: Reason = Reason.DEFECTIVE,
    *lines: IssueLine,
    requested_remedy: Remedy | None = None,
    issue_id: UUID = ISSUE,
    order_id: str = "O-1",
    at: datetime = TUESDAY,
    delivered_before: tuple[LineQuantity, ...] | None = None,
) -> IssueAccepted:
    return IssueAccepted(
        issue_id=issue_id,
        order_id=order_id,
        customer_id="C-1",
        reason=reason,
        lines=lines or (line(),),
        requested_remedy=requested_remedy,
        reported_at=at,
        accepted_at=at,
        delivered_before=delivered_before,
    )


def paid_order(*lines: IssueLine, **money: Any) -> OrderLedger:
    """Return the ledger of an order of these lines, each unit paid at its price."""
    paid: dict[str, PricedLine] = {}
    for each in lines:
        price, known = each.unit_price, paid.get(each.line_id)
        quantity, before = (known.quantity, known.paid) if known else (0, Decimal(0))
        amount = before + price.amount * each.quantity
        paid[each.line_id] = PricedLine(quantity + each.quantity, amount, price.currency)
    received = sum((round_up(each.paid, each.currency) for each in paid.values()), Decimal(0))
    known_money = {"currency": lines[0].unit_price.currency, "lines": paid, "received": received}
    return OrderLedger(**{"order_id": "O-1", "customer_id": "C-1", **known_money, **money})


def review_decision(cause: ReviewCause, approved: bool, at: datetime) -> IssueStaffDecided:
    return IssueStaffDecided(
        issue_id=ISSUE,
        order_id="O-1",
        customer_id="C-1",
        decision_id=derived_id("decision", ISSUE, cause, at),
        action=StaffAction.APPROVE_REVIEW if approved else StaffAction.REFUSE_REVIEW,
        review=cause,
        staff="ops-1",
        comment="because",
        decided_at=at,
    )


def event_of(payload: Payload, at: datetime = TUESDAY, subject: str | None = None, id: str = "e") -> AnyEvent:
    return event_class(type(payload)).model_construct(
        id=id, source="/test", type=payload.TYPE, subject=subject, time=at, data=payload
    )


@dataclass
class CaseScenario:
    """One case and its events. `facts` are those of all decisions; `timers` are those the database would hold."""

    case: Case | None = None
    now: datetime = TUESDAY
    ship_to: Address | None = HOME
    order: OrderLedger | None = None
    """Money of the order; default: that of the report's lines, unknown as long as the address is."""
    order_of_report: OrderLedger | None = None
    rules: CaseRules = RULES
    customer: CustomerContext = field(default_factory=lambda: CustomerContext(address_hash="home"))
    facts: list[Fact] = field(default_factory=list)
    timers: dict[str, datetime] = field(default_factory=dict)

    @property
    def known(self) -> Case:
        assert self.case
        return self.case

    def apply(self, payload: Payload, event_time: datetime | None = None) -> Facts:
        """Decide one event, and return its facts."""
        event = event_of(payload, event_time or self.now)
        if isinstance(payload, IssueAccepted):
            self.order_of_report = paid_order(*payload.lines)
        order = self.order or (self.order_of_report if self.ship_to else None)
        before, self.customer = self.case, replace(self.customer, ship_to=self.ship_to, order=order)
        (self.case, _), facts = decide(CaseState(before, self.customer), event, self.now, self.rules)
        if self.case:
            exposure = record_case(self.customer.exposure, self.case, before is None, self.customer.address_hash)
            self.customer = replace(self.customer, exposure=exposure)
        self.facts.extend(facts)
        for fact in facts:
            match fact:
                case SetTimer(name=name, due_at=due_at):
                    self.timers[name] = due_at
                case CancelTimer(name=name):
                    self.timers.pop(name, None)
        return facts

    def decide_review(self, cause: ReviewCause, *, approved: bool = True) -> list[str]:
        """Let staff decide a review; returns the types of the events that follow, or the reasons of the refusal."""
        facts = self.apply(review_decision(cause, approved, self.now))
        (answer,) = (fact for fact in facts if isinstance(fact, IssueStaffDecisionApplied))
        if answer.code:
            return [answer.code]
        return refusal_reasons(facts) or event_types([fact for fact in facts if fact is not answer])

    def move(self, version: int | None = None) -> Facts:
        """Let the shop correct the address of the order, by default once more, and the case look at it."""
        version = version or self.customer.address_version + 1
        self.ship_to = HOME.model_copy(update={"street": "9-9-9"})
        self.customer = replace(self.customer, address_version=version)
        return self.apply(TimerFired(name=address_timer(version), due_at=self.now))

    def later(self, **span: int) -> Self:
        self.now += timedelta(**span)
        return self

    def next_timer(self) -> Facts:
        """Advance to the next timer, and fire it."""
        name, due_at = min(self.timers.items(), key=lambda timer: timer[1])
        self.now = max(self.now, due_at)
        del self.timers[name]
        return self.apply(TimerFired(name=name, due_at=due_at))

    def until(self, kind: type[P], most: int = 40) -> P:
        """Fire timers until a fact of this type is emitted."""
        for _ in range(most):
            for fact in self.next_timer():
                if isinstance(fact, kind):
                    return fact
        raise AssertionError(f"{kind.__name__} was not emitted within {most} timers")

    def all(self, kind: type[P]) -> list[P]:
        return [fact for fact in self.facts if isinstance(fact, kind)]

    def last(self, kind: type[P]) -> P:
        return self.all(kind)[-1]

    # --- events of partners ---------------------------------------------------------------------------------------

    @property
    def replacement_id(self) -> UUID:
        found = self.known.outbound.replacement_id
        assert found
        return found

    @property
    def collection_id(self) -> UUID:
        found = self.known.inbound.collection_id
        assert found
        return found

    @property
    def lines(self) -> tuple[LineQuantity, ...]:
        return tuple(LineQuantity(line_id=i.line_id, quantity=i.quantity) for i in self.known.lines)

    def confirm(self, ship_date: date) -> Facts:
        return self.apply(ReplacementConfirmed(issue_id=ISSUE, replacement_id=self.replacement_id, ship_date=ship_date))

    def ship(self, **more: Any) -> Facts:
        return self.apply(
            ReplacementShipped(issue_id=ISSUE, replacement_id=self.replacement_id, shipped_at=self.now, **more)
        )

    def deliver(self) -> Facts:
        return self.apply(ParcelDelivered(issue_id=ISSUE, replacement_id=self.replacement_id, delivered_at=self.now))

    def book(self, day: date) -> Facts:
        window = TimeWindow(day=day)
        return self.apply(CollectionBooked(issue_id=ISSUE, collection_id=self.collection_id, window=window))

    def miss(self, attempt: int | None = None) -> Facts:
        ids = {"issue_id": ISSUE, "collection_id": self.collection_id}
        return self.apply(CollectionAttemptFailed(**ids, cause="nobody_home", attempted_at=self.now, attempt=attempt))

    def collect(self) -> Facts:
        return self.apply(CollectionCollected(issue_id=ISSUE, collection_id=self.collection_id, collected_at=self.now))

    def receive(self, *lines: LineQuantity, receipt_id: str | None = None) -> Facts:
        found = lines or self.lines
        return self.apply(ItemReceived(issue_id=ISSUE, lines=found, received_at=self.now, receipt_id=receipt_id))

    def inspect(self, condition: Condition = Condition.SCRAP) -> Facts:
        lines = tuple(InspectedLine(line_id=i.line_id, quantity=i.quantity, condition=condition) for i in self.lines)
        return self.apply(ItemInspected(issue_id=ISSUE, lines=lines, inspected_at=self.now))

    def pay(self, amount: str | None = None) -> Facts:
        refund = self.known.money.refunds[-1]
        money = Money(amount=Decimal(amount) if amount else refund.amount, currency=self.known.currency)
        return self.apply(
            RefundCompleted(issue_id=ISSUE, refund_id=refund.refund_id, amount=money, completed_at=self.now)
        )

    def fail_refund(self, retriable: bool = True) -> Facts:
        refund = self.known.money.refunds[-1]
        return self.apply(
            RefundFailed(
                issue_id=ISSUE, refund_id=refund.refund_id, cause="bank", retriable=retriable, failed_at=self.now
            )
        )


def open_scenario(
    reason: Reason = Reason.DEFECTIVE, *lines: IssueLine, requested_remedy: Remedy | None = None
) -> CaseScenario:
    """Return the scenario of a case that was just accepted."""
    scenario = CaseScenario()
    scenario.apply(accepted(reason, *lines, requested_remedy=requested_remedy))
    return scenario


def event_types(facts: Iterable[Fact]) -> list[str]:
    """Return the types of the events among the facts."""
    return [fact.TYPE for fact in facts if isinstance(fact, Payload)]


def refusal_reasons(facts: Facts) -> list[str]:
    return list(_refusals(facts))


def _refusals(facts: Facts) -> Iterator[str]:
    for fact in facts:
        if isinstance(fact, Ignored | Anomaly):
            yield fact.reason
