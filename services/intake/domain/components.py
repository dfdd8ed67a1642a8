"""Components of order lines: the parts that a report names, the units that hold them, and what was paid for them.

A part is held per unit: one live entitlement for each component of a unit. A report of whole units holds all their
components, so that a whole unit and one of its parts are never remedied at the same time.
"""

from collections import Counter
from decimal import ROUND_HALF_UP, Decimal
from math import ceil

from libs.common.events.values import Component, Money, OrderLine, PartQuantity, ReportedLine
from libs.common.events.values.money import round_up

ZERO = Decimal(0)


def reported_parts(line: ReportedLine, bought: OrderLine) -> tuple[PartQuantity, ...]:
    """Return the components that a report names, by SKU or by their name in `part`; empty: the units as a whole."""
    if not bought.components:
        return ()
    if not line.parts:
        named = _component_called(line.part, bought) if line.part else None
        return (PartQuantity(sku=named.sku, quantity=line.quantity),) if named else ()
    total: Counter[str] = Counter()
    for part in line.parts:
        total[part.sku] += part.quantity
    return tuple(PartQuantity.model_construct(sku=sku, quantity=quantity) for sku, quantity in total.items())


def _component_called(name: str, bought: OrderLine) -> Component | None:
    wanted = name.strip().casefold()
    return next((each for each in bought.components if wanted in (each.name.casefold(), each.sku.casefold())), None)


def component_quantities(bought: OrderLine) -> dict[str, int]:
    """Return the number of each component in one unit; a SKU that the order names twice counts together."""
    quantities: dict[str, int] = {}
    for component in bought.components:
        quantities[component.sku] = quantities.get(component.sku, 0) + component.quantity
    return quantities


def units_of_part(part: PartQuantity, bought: OrderLine) -> int:
    """Return the number of units that hold these parts: two of three cups are of one unit."""
    return ceil(part.quantity / component_quantities(bought)[part.sku])


def price_of_parts(parts: tuple[PartQuantity, ...], bought: OrderLine, units: int) -> Money:
    """Return the price per reported unit that was paid for these parts of `units` units."""
    prices = _component_prices(bought)
    total = sum((prices.get(part.sku, ZERO) * part.quantity for part in parts), ZERO)
    amount = (total / units).quantize(Decimal("0.0001"), ROUND_HALF_UP)
    currency = bought.unit_price.currency
    return Money(amount=round_up(amount, currency), currency=currency)


def _component_prices(bought: OrderLine) -> dict[str, Decimal]:
    """Return the price of one piece of each component; together they never exceed what was paid for the unit.

    Stated prices count, lowered in proportion where the kit was cheaper than its parts. The rest of the price falls in
    equal shares on the parts without one.
    """
    paid, quantities = _paid_per_unit(bought), component_quantities(bought)
    stated = {
        each.sku: each.unit_price.amount
        for each in bought.components
        if each.unit_price and each.unit_price.currency == bought.unit_price.currency and each.unit_price.amount >= 0
    }
    of_stated = sum((price * quantities[sku] for sku, price in stated.items()), ZERO)
    unstated = sum(quantity for sku, quantity in quantities.items() if sku not in stated)
    share = max(paid - of_stated, ZERO) / unstated if unstated else ZERO
    factor = paid / of_stated if of_stated > paid else Decimal(1)
    return {sku: stated[sku] * factor if sku in stated else share for sku in quantities}


def _paid_per_unit(bought: OrderLine) -> Decimal:
    if bought.paid_amount is None or bought.quantity < 1:
        return max(bought.unit_price.amount, ZERO)
    return max(bought.paid_amount.amount / bought.quantity, ZERO)
