"""Default events and reports for the tests of intake: one customer, one order with two lines."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import count
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from libs.common.decisions.facts import Fact, TimerFired
from libs.common.decisions.ids import derived_id
from libs.common.events.envelope import Payload
from libs.common.events.registry import AnyEvent, event_class
from libs.common.events.storefront import IssueSubmitted, OrderCancelled, OrderDelivered, OrderPlaced, OrderShipped
from libs.common.events.values import Address, Contact, LineQuantity, Money, OrderLine, Reason, ReportedLine
from services.intake.domain.commands import SubmitReport
from services.intake.domain.context import OrderState
from services.intake.domain.decide import decide
from services.intake.domain.delivered_units import UnitsDelivered
from services.intake.domain.order_contacts import ContactStated
from services.intake.policy.eligibility_rules import read_rules

ORDER, CUSTOMER = "O-1001", "C-77"
NOON = datetime(2026, 3, 10, 3, 0, tzinfo=UTC)  # noon of 10 March in the shop
RULES = read_rules(ZoneInfo("Asia/Tokyo"))

_numbers = count(1)


def event(payload: Payload, *, id: str | None = None, at: datetime = NOON) -> AnyEvent:
    subject = getattr(payload, "order_id", None)
    return event_class(type(payload)).model_construct(
        id=id or f"e-{next(_numbers)}", source="/storefront", type=payload.TYPE, subject=subject, time=at, data=payload
    )


def line(line_id: str = "1", quantity: int = 2) -> OrderLine:
    price = Money(amount=Decimal(4980), currency="JPY")
    return OrderLine(line_id=line_id, sku=f"SKU-{line_id}", name="Tetsubin", quantity=quantity, unit_price=price)


def placed(
    *lines: OrderLine, order_id: str = ORDER, customer_id: str = CUSTOMER, market: str = "JP", at: datetime = NOON
) -> AnyEvent:
    order = OrderPlaced(
        order_id=order_id,
        customer_id=customer_id,
        placed_at=at,
        lines=lines or (line("1"), line("2", 1)),
        contact=Contact(name="山田花子", email="hanako@example.jp"),
        ship_to=Address(name="山田花子", postal_code="150-0001", country="JP", city="渋谷区", street="神宮前1-2-3"),
        market=market,
    )
    return event(order, at=at)


def shipped(line_id: str = "1", quantity: int = 2, *, order_id: str = ORDER, at: datetime = NOON) -> AnyEvent:
    lines = (LineQuantity(line_id=line_id, quantity=quantity),)
    return event(OrderShipped(order_id=order_id, lines=lines, shipped_at=at), at=at)


def delivered(line_id: str = "1", quantity: int = 2, *, order_id: str = ORDER, at: datetime = NOON) -> AnyEvent:
    lines = (LineQuantity(line_id=line_id, quantity=quantity),)
    return event(OrderDelivered(order_id=order_id, lines=lines, delivered_at=at), at=at)


def cancelled(*line_ids: str, order_id: str = ORDER, at: datetime = NOON) -> AnyEvent:
    return event(OrderCancelled(order_id=order_id, line_ids=line_ids, cancelled_at=at), at=at)


def submission(
    quantity: int = 1, line_id: str = "1", *, reason: Reason = Reason.DEFECTIVE, **fields: Any
) -> IssueSubmitted:
    lines = fields.pop("lines", (ReportedLine(line_id=line_id, quantity=quantity),))
    return IssueSubmitted(**{"order_id": ORDER, "customer_id": CUSTOMER, "reason": reason, "lines": lines, **fields})


def by_kafka(report: IssueSubmitted, *, id: str | None = None, at: datetime = NOON) -> AnyEvent:
    return event(report, id=id, at=at)


def by_http(report: IssueSubmitted, *, key: str | None = None, at: datetime = NOON) -> AnyEvent:
    return event(SubmitReport(issue_id=http_id(key or f"k-{next(_numbers)}"), report=report), at=at)


def http_id(key: str) -> UUID:
    return derived_id("issue", "/storefront", key)


def timer_of(name: str, order_id: str = ORDER, at: datetime = NOON) -> AnyEvent:
    fired = event(TimerFired(name=name, due_at=at), at=at)
    return fired.model_copy(update={"subject": order_id})


def after(
    events: Sequence[AnyEvent], now: datetime | None = None, context: OrderState | None = None
) -> tuple[OrderState, list[Fact]]:
    """Return the order context and all facts after these events, each decided at its own time unless `now` is given.

    Delivery counts are left out; see `counted_after`.
    """
    context, facts = counted_after(events, now, context)
    return context, [fact for fact in facts if not isinstance(fact, UnitsDelivered | ContactStated)]


def counted_after(
    events: Sequence[AnyEvent], now: datetime | None = None, context: OrderState | None = None
) -> tuple[OrderState, list[Fact]]:
    facts: list[Fact] = []
    for event in events:
        context, new = decide(context, event, now or event.time, RULES)
        facts.extend(new)
    assert context is not None
    return context, facts


def days(number: int) -> timedelta:
    return timedelta(days=number)
