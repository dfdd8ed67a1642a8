"""Prices of refunds: what the units really cost, and never more than is left of what was paid (invariant 13)."""

from dataclasses import dataclass, field
from decimal import Decimal

from libs.common.events.values.money import round_up
from services.returns.domain.context import CaseDecision
from services.returns.domain.state.case import Case
from services.returns.domain.state.line_quantities import UnitCounts, add_counts, missing
from services.returns.domain.state.order_ledger import NOTHING_BACK, ZERO, OrderLedger, PaidBack, PricedLine
from services.returns.policy.reason_rules import ShippingRefund


@dataclass(frozen=True, slots=True)
class RefundPrice:
    """Amount of a refund, by line and for shipping."""

    line_amounts: dict[str, Decimal] = field(default_factory=dict)
    shipping: Decimal = ZERO

    @property
    def amount(self) -> Decimal:
        return sum(self.line_amounts.values(), self.shipping)


def price_refund(decision: CaseDecision, counts: UnitCounts) -> RefundPrice:
    """Return what is to be paid back for these units now."""
    case, order = decision.case, decision.customer.order
    back = _paid_back(decision)
    lines = order.lines if order else _reported_prices(case)
    priced = {line_id: count for line_id, count in counts.items() if line_id in lines}
    amounts = {
        line_id: _part_price(case, lines[line_id], count, back, line_id)
        if line_id in case.lines_of_parts
        else _line_price(lines[line_id], count, back, line_id)
        for line_id, count in priced.items()
    }
    if order is None:
        return RefundPrice(amounts)
    whole = {line_id: count for line_id, count in counts.items() if line_id not in case.lines_of_parts}
    shipping = _shipping(decision, order, add_counts(back.units, whole), back)
    return _within(RefundPrice(amounts, shipping), max(order.received - back.amount, ZERO))


def _paid_back(decision: CaseDecision) -> PaidBack:
    """Return all that went back for this order: by the shop, by other cases, and by this one."""
    case, order = decision.case, decision.customer.order
    total = (order.back_by_shop if order else NOTHING_BACK) + case.paid_back
    for issue, refunded in decision.customer.exposure.refunded.items():
        if refunded.order_id == case.order_id and issue != str(case.issue_id):
            total += refunded.back
    return total


def _reported_prices(case: Case) -> dict[str, PricedLine]:
    """Return the prices of the report, for an order that is unknown."""
    lines: dict[str, PricedLine] = {}
    for line in case.lines:
        before = lines.get(line.line_id)
        quantity, paid = (before.quantity, before.paid) if before else (0, ZERO)
        price = line.unit_price
        lines[line.line_id] = PricedLine(quantity + line.quantity, paid + price.amount * line.quantity, price.currency)
    return lines


def _line_price(line: PricedLine, count: int, back: PaidBack, line_id: str) -> Decimal:
    price = line.price_of(back.units.get(line_id, 0), count)
    left = line.price_of(0, line.quantity) - back.line_amounts.get(line_id, ZERO)
    return max(min(price, left), ZERO)


def _part_price(case: Case, line: PricedLine, count: int, back: PaidBack, line_id: str) -> Decimal:
    """Return what parts of `count` units cost: their price, with the line's share of discounts on the order."""
    paid_share = line.paid / line.stated_price if line.stated_price > 0 else Decimal(1)
    price = round_up(case.value_of({line_id: count}) * paid_share, line.currency)
    left = line.price_of(0, line.quantity) - back.line_amounts.get(line_id, ZERO)
    return max(min(price, left), ZERO)


def _shipping(decision: CaseDecision, order: OrderLedger, units: UnitCounts, back: PaidBack) -> Decimal:
    """Return the shipping fee where everything has gone back and the law or the policy returns the fee with it."""
    ordered = {line_id: line.quantity for line_id, line in order.lines.items() if line.paid > 0}
    if decision.reason_rule.refund_shipping is ShippingRefund.NEVER or missing(ordered, units):
        return ZERO
    return max(order.shipping - back.shipping, ZERO)


def _within(price: RefundPrice, left: Decimal) -> RefundPrice:
    """Return the price within what is left of the payment: shipping gives way first, then the last lines."""
    excess = price.amount - left
    if excess <= 0:
        return price
    shipping = max(price.shipping - excess, ZERO)
    excess -= price.shipping - shipping
    amounts = dict(price.line_amounts)
    for line_id in reversed(list(amounts)):
        reduced = max(amounts[line_id] - excess, ZERO)
        excess -= amounts[line_id] - reduced
        amounts[line_id] = reduced
    return RefundPrice(amounts, shipping)
