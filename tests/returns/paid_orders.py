"""Orders with what was paid for them, and payments of refunds."""

from dataclasses import replace
from decimal import Decimal
from typing import Any
from uuid import UUID

from libs.common.events.payment import RefundCompleted, RefundRequested
from libs.common.events.storefront import OrderPlaced
from libs.common.events.values import Address, Contact, IssueLine, Money, OrderLine, Reason, Remedy
from services.returns.domain.state.order_ledger import OrderLedger
from services.returns.domain.state.order_prices import placed_money
from tests.returns.cases import ISSUE, TUESDAY, CaseScenario, accepted


def money(amount: str, currency: str = "JPY") -> Money:
    return Money(amount=Decimal(amount), currency=currency)


def order_line(
    line_id: str, price: str, quantity: int = 1, paid: str | None = None, currency: str = "JPY"
) -> OrderLine:
    return OrderLine(
        line_id=line_id,
        sku=f"SKU-{line_id}",
        name="Teapot",
        quantity=quantity,
        unit_price=money(price, currency),
        paid_amount=money(paid, currency) if paid else None,
    )


def placed(*lines: OrderLine, **fields: Any) -> OrderLedger:
    where = {"postal_code": "150-0001", "country": "JP", "city": "Shibuya", "street": "1-2-3"}
    event = OrderPlaced(
        order_id="O-1",
        customer_id="C-1",
        placed_at=TUESDAY,
        lines=lines,
        contact=Contact(name="Hana", email="hana@example.jp"),
        ship_to=Address(name="Hana", **where),
        **fields,
    )
    known = OrderLedger("O-1")
    return replace(known, **placed_money(known, event, TUESDAY))  # type: ignore[arg-type]


def lost(
    order: OrderLedger, *lines: IssueLine, market: str = "JP", reason: Reason = Reason.LOST_IN_TRANSIT
) -> CaseScenario:
    """Return a case whose units are paid back at once."""
    scenario = CaseScenario(order=order)
    report = accepted(reason, *lines, requested_remedy=Remedy.REFUND).model_copy(update={"market": market})
    scenario.apply(report)
    return scenario


def requested(scenario: CaseScenario) -> list[Decimal]:
    return [fact.amount.amount for fact in scenario.all(RefundRequested)]


def pay(scenario: CaseScenario, amount: str, transaction: str | None = None, refund_id: UUID | None = None) -> None:
    refund = scenario.known.money.refunds[0]
    scenario.apply(
        RefundCompleted(
            issue_id=ISSUE,
            refund_id=refund_id or refund.refund_id,
            amount=money(amount, scenario.known.currency),
            transaction_id=transaction,
            completed_at=scenario.now,
        )
    )
