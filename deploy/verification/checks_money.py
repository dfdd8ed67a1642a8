"""Checks on money: refunds within the payment, distinct deliveries, counted payments (invariants 13 to 15)."""

import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from decimal import ROUND_CEILING, Decimal
from typing import Any

from deploy.verification.evidence import Fact, History
from deploy.verification.order_versions import OrderStatement, line_versions
from deploy.verification.verdict import InsufficientDataError, Violation, violation

COINS = {"JPY": 0, "KRW": 0, "VND": 0, "CLP": 0, "KWD": 3, "BHD": 3, "TND": 3}
"""Decimals of currencies that do not have two."""

CROSSING_SECONDS = 120
"""Money that went back in another way less than this before a refund was requested may have crossed it."""


def refunded_within_paid(history: History) -> Iterator[Violation]:
    """All refunds of an order together are no more than was paid for it, less what went back in another way before.

    Of several versions of an order the highest payment counts: units that were taken out are paid back as well.
    """
    most = _most_paid(history)
    requests: defaultdict[str, dict[str, Fact]] = defaultdict(dict)
    for fact in history.of("refund.requested"):
        requests[fact.order].setdefault(fact.data["refund_id"], fact)
    came_back = returned_amounts(history.of("refund.reversed"))
    paid_out = {fact.data["refund_id"] for fact in history.of("refund.completed")}
    failed = {fact.data["refund_id"] for fact in history.of("refund.failed")} - paid_out
    won = {fact.data["transaction_id"] for fact in history.of("payment.chargeback_reversed")}
    elsewhere: defaultdict[str, dict[str, Fact]] = defaultdict(dict)
    for fact in history.of("order.refunded", "payment.charged_back"):
        name = fact.data.get("refund_id") or fact.data["transaction_id"]
        if name not in won:
            elsewhere[fact.order].setdefault(name, fact)
    for order, refunds in requests.items():
        if order not in most:
            continue
        paid, versions = most[order]
        first = min(fact.written_at for fact in refunds.values())
        asked = [fact for refund_id, fact in refunds.items() if refund_id not in failed]
        other = [fact for fact in elsewhere[order].values() if fact.written_at < first]
        back = sum((_amount(fact.data.get("amount")) for fact in (*asked, *other)), Decimal(0))
        back -= sum((came_back.get(fact.data["refund_id"], Decimal(0)) for fact in asked), Decimal(0))
        crossing = [fact for fact in other if fact.written_at > first - CROSSING_SECONDS]
        crossed = sum((_amount(fact.data.get("amount")) for fact in crossing), Decimal(0))
        if back > paid and not (back - crossed <= paid and _is_seen(history, asked)):
            yield violation(f"order {order}: {back} paid back of {paid}", *versions, *asked, *other)


def returned_amounts(reversals: Iterable[Fact]) -> dict[str, Decimal]:
    """Return the money that came back from each refund, each reversal by the provider's id once."""
    found = {(fact.data["refund_id"], fact.data["transaction_id"]): fact for fact in reversals}
    amounts: defaultdict[str, Decimal] = defaultdict(Decimal)
    for (refund_id, _), fact in found.items():
        amounts[refund_id] += _amount(fact.data["amount"])
    return dict(amounts)


def _is_seen(history: History, requests: Iterable[Fact]) -> bool:
    """Return whether staff were asked about money that went back in two ways."""
    causes = ("charged_back", "order_refunded", "refund_overpaid")
    return any(_is_reviewed(history, fact.issue, *causes) for fact in requests)


def _most_paid(history: History) -> dict[str, tuple[Decimal, list[Fact]]]:
    """The highest payment of each order, and the events that state it."""
    lines = line_versions(history)
    changed = {fact.order for fact in history.of("order.changed") if fact.data.get("lines")}
    found: dict[str, tuple[Decimal, list[Fact]]] = {}
    for placed in history.of("order.placed"):
        paid, versions = _paid(placed), [placed]
        if placed.order in changed:
            versions += [version.fact for each in lines[placed.order].values() for version in each[1:]]
            paid += sum((_most_added(each) for each in lines[placed.order].values()), Decimal(0))
        if placed.order not in found or paid > found[placed.order][0]:
            found[placed.order] = (paid, versions)
    return found


def _most_added(versions: Sequence[OrderStatement]) -> Decimal:
    """The highest amount by which changes raised the price of a line above that of the order as it was placed."""
    placed = [_line_paid(version.value) for version in versions if version.fact.type == "order.placed"]
    first = max([*placed[:1], Decimal(0)])
    return max([*(_line_paid(version.value) for version in versions), first]) - first


def _amount(money: dict[str, str] | None) -> Decimal:
    return Decimal(money["amount"]) if money else Decimal(0)


def _paid(placed: Fact) -> Decimal:
    """Return the money that was paid, in whole coins: as received, else the total, else the sum of its parts."""
    data = placed.data
    if data.get("prepaid"):
        return _amount(data["prepaid"]["amount"])
    parts = sum((_line_paid(line) for line in data["lines"]), _amount(data.get("shipping")))
    total = _amount(data["total_amount"]) if data.get("total_amount") else parts
    points = _amount((data.get("points_spent") or {}).get("amount"))
    currency = data["lines"][0]["unit_price"]["currency"]
    return (total - points).quantize(Decimal(1).scaleb(-COINS.get(currency, 2)), ROUND_CEILING)


def _line_paid(line: Mapping[str, Any]) -> Decimal:
    if line.get("paid_amount"):
        return _amount(line["paid_amount"])
    return _amount(line["unit_price"]) * Decimal(str(line["quantity"]))


def distinct_deliveries(history: History) -> dict[str, list[Fact]]:
    """Deliveries by order, each once by its shipment, or by its units at one second."""
    found: defaultdict[str, dict[str, Fact]] = defaultdict(dict)
    for fact in history.of("order.delivered"):
        lines = sorted((line["line_id"], line["quantity"]) for line in fact.data["lines"])
        name = fact.data.get("shipment_id") or json.dumps([lines, fact.data["delivered_at"][:19]])
        found[fact.order].setdefault(name, fact)
    return {order: list(facts.values()) for order, facts in found.items()}


def delivered_units(history: History) -> dict[tuple[str, str], int]:
    """Units by order and line that arrived, each delivery once."""
    units: Counter[tuple[str, str]] = Counter()
    for order, deliveries in distinct_deliveries(history).items():
        for fact in deliveries:
            for line in fact.data["lines"]:
                units[order, line["line_id"]] += line["quantity"]
    return units


def delivery_counts_once(history: History) -> Iterator[Violation]:
    """No service counts more units than arrived, and loyalty values no more, however often a delivery was published."""
    rows = history.database("loyalty").rows("orders")
    if not rows and history.of("points.granted"):
        raise InsufficientDataError("the orders of loyalty were not read")
    deliveries, arrived = distinct_deliveries(history), delivered_units(history)
    for service, database in history.databases.items():
        for row in database.rows("delivered"):
            if row["quantity"] > (most := arrived[row["order_id"], row["line_id"]]):
                what = f"order {row['order_id']} line {row['line_id']}: {row['quantity']} units in {service}"
                yield violation(f"{what}, {most} delivered", *deliveries.get(row["order_id"], ()))
    lines = line_versions(history)
    for row in rows:
        order = row["order_id"]
        versions = [_most_valued(each, arrived[order, line_id]) for line_id, each in lines.get(order, {}).items()]
        most_worth = sum(versions, Decimal(0))
        if versions and Decimal(row["kept_amount"] or 0) > most_worth + 1:
            what = f"order {order}: valued at {row['kept_amount']}, {most_worth} delivered"
            yield violation(what, *deliveries.get(order, ()) or _stating(lines[order]))


def _most_valued(versions: Sequence[OrderStatement], arrived: int) -> Decimal:
    return max(_delivered_value(version.value, arrived) for version in versions)


def _stating(lines: Mapping[str, Sequence[OrderStatement]]) -> list[Fact]:
    return [version.fact for versions in lines.values() for version in versions]


def _delivered_value(line: Mapping[str, Any], arrived: int) -> Decimal:
    quantity = int(line["quantity"])
    return max(_line_paid(line), Decimal(0)) * min(arrived, quantity) / quantity if quantity > 0 else Decimal(0)


def counted_money(history: History) -> Iterator[Violation]:
    """Every payment of a provider is a part of its refund, or a matter for staff; so is one of no refund at all."""
    payments: defaultdict[str, dict[str, Fact]] = defaultdict(dict)
    for fact in history.of("refund.completed"):
        name = fact.data.get("transaction_id") or json.dumps([fact.data["amount"], fact.data.get("completed_at")])
        payments[fact.data["refund_id"]].setdefault(name, fact)
    asked = {fact.data["refund_id"]: _amount(fact.data["amount"]) for fact in history.of("refund.requested")}
    reversals = {fact.data["refund_id"] for fact in history.of("refund.reversed")}
    shown = {fact.data["event_id"] for fact in history.of("anomaly.detected", "issue.anomaly_detected")}
    for refund_id, paid in payments.items():
        total = sum((_amount(fact.data["amount"]) for fact in paid.values()), Decimal(0))
        issue = next(iter(paid.values())).issue
        if refund_id not in asked and not shown & {fact.identity[1] for fact in paid.values()}:
            yield violation(f"issue {issue}: {total} paid of a refund that nobody asked for, unseen", *paid.values())
        is_too_much = refund_id in asked and total > asked[refund_id] and refund_id not in reversals
        if is_too_much and not _is_reviewed(history, issue, "refund_overpaid", "refund_differs"):
            yield violation(f"issue {issue}: {total} paid of {asked[refund_id]}, unseen by staff", *paid.values())
    for fact in history.of("refund.reversed"):
        if not _is_reviewed(history, fact.issue, "refund_reversed", "refund_overpaid", "refund_differs"):
            yield violation(f"issue {fact.issue}: a refund came back, unseen by staff", fact)


def _is_reviewed(history: History, issue: str, *causes: str) -> bool:
    return any(fact.data["cause"] in causes for fact in history.about(issue, "issue.review_requested"))
