"""Prices of an order as the shop states and corrects them, in any order of arrival.

Of each line, and of the totals, the newest statement by the shop's time counts. Discounts on the order are spread over
its lines by value when totals are stated; a line that is restated later keeps its discount.
"""

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime
from decimal import Decimal

from libs.common.events.storefront import OrderPlaced
from libs.common.events.values import OrderLine
from libs.common.events.values.money import round_up
from services.returns.domain.state.order_ledger import ZERO, Amounts, OrderLedger, PricedLine


def placed_money(ledger: OrderLedger, placed: OrderPlaced, at: datetime) -> dict[str, object]:
    """Return the fields of a ledger that `order.placed` sets; lines that it does not name stay."""
    if ledger.totals_at and at < ledger.totals_at:
        return changed_money(ledger, placed.lines, at)
    lines = [_as_stated(line, at) for line in placed.lines]
    named = dict(zip((line.line_id for line in placed.lines), lines, strict=True))
    newer = {line_id: line for line_id, line in ledger.lines.items() if _is_newer(line, at)}
    unnamed = {line_id: line for line_id, line in ledger.lines.items() if line_id not in named and line_id not in newer}
    base = {**named, **unnamed}
    currencies = {line.currency for line in base.values()}
    currency = min(currencies) if len(currencies) == 1 else ""
    amounts: Amounts = {line_id: line.stated_price for line_id, line in base.items()}
    shipping = placed.shipping.amount if placed.shipping else ZERO
    received = _received(placed, sum(amounts.values(), shipping), currency)
    if currency:
        amounts = _spread_discounts(amounts, received - shipping)
    known = {line_id: _repriced(line, amounts[line_id], ledger.lines.get(line_id)) for line_id, line in base.items()}
    most = max(ledger.most_received, received)
    shipping = min(shipping, received)
    for line_id, line in newer.items():
        before = known.get(line_id)
        known[line_id] = _restated(before, line)
        received += _share_of_payment(known[line_id]) - _share_of_payment(before)
    received = max(round_up(received, currency), ZERO)
    return {
        "customer_id": placed.customer_id,
        "currency": currency,
        "lines": known,
        "shipping": shipping,
        "received": received,
        "most_received": max(most, received),
        "payment_reference": placed.payment_reference,
        "totals_at": at,
        "is_total_stated": placed.total_amount is not None or placed.prepaid is not None,
    }


def changed_money(ledger: OrderLedger, lines: Iterable[OrderLine], at: datetime) -> dict[str, object]:
    """Return the fields that changed lines set. A total that is newer than the change contains it already."""
    known, received = dict(ledger.lines), ledger.received
    for line in lines:
        before, stated = known.get(line.line_id), _as_stated(line, at)
        if before and _is_newer(before, at):
            ordered = before.most_ordered.with_older(line.quantity, max(stated.stated_price, ZERO))
            known[line.line_id] = replace(before, ordered=ordered)
            continue
        after = known[line.line_id] = _restated(before, stated)
        received += _share_of_payment(after) - _share_of_payment(before)
    if ledger.is_total_stated and ledger.totals_at and at < ledger.totals_at:
        return {"lines": known}
    received = max(round_up(received, ledger.currency), ZERO)
    return {"lines": known, "received": received, "most_received": max(ledger.most_received, received)}


def _is_newer(line: PricedLine, at: datetime) -> bool:
    return line.stated_at is not None and line.stated_at > at


def _as_stated(line: OrderLine, at: datetime) -> PricedLine:
    return PricedLine(line.quantity, line.paid.amount, line.paid.currency, at, line.paid.amount)


def _repriced(line: PricedLine, paid: Decimal, before: PricedLine | None) -> PricedLine:
    """Return a line of a new total with its share of it."""
    most = before.most_ordered.restated(line.quantity, paid) if before else line.ordered.restated(line.quantity, paid)
    return replace(line, paid=paid, ordered=most)


def _restated(before: PricedLine | None, line: PricedLine) -> PricedLine:
    """Return the newer statement about a line; the units that stay keep their part of the discounts."""
    price, discount = line.stated_price, ZERO
    if before and before.quantity:
        stays = min(line.quantity, before.quantity)
        discount = (before.stated_price - before.paid) * stays / before.quantity
    return _repriced(line, max(price - discount, ZERO), before)


def _share_of_payment(line: PricedLine | None) -> Decimal:
    """Return what a line adds to the payment: less than nothing for a discount line."""
    return line.paid + min(line.stated_price, ZERO) if line else ZERO


def _received(placed: OrderPlaced, total: Decimal, currency: str) -> Decimal:
    """Return the money paid: as received, else the stated total, else the sum of its parts; points are no money."""
    if placed.prepaid and placed.prepaid.amount.currency == currency:
        return placed.prepaid.amount.amount
    stated = placed.total_amount.amount if placed.total_amount else total
    points = placed.points_spent.amount.amount if placed.points_spent else ZERO
    return max(round_up(stated - points, currency), ZERO)


def _spread_discounts(amounts: Amounts, goods: Decimal) -> dict[str, Decimal]:
    """Return the amounts of the lines so that they are no more than `goods` together.

    What is less than the sum of the positive lines (discount lines, points, a lower total) is spread by value.
    """
    positive = {line_id: max(amount, ZERO) for line_id, amount in amounts.items()}
    total = sum(positive.values(), ZERO)
    goods = max(goods, ZERO)
    if total <= goods or not total:
        return positive
    return {line_id: amount * goods / total for line_id, amount in positive.items()}
