"""Checks on money and counts: refunds within the payment, distinct deliveries, counted boxes (invariants 13-15)."""

import json
from collections import defaultdict
from collections.abc import Iterator
from decimal import ROUND_CEILING, Decimal

from deploy.verification.evidence import Fact, History, Row
from deploy.verification.verdict import InsufficientDataError, Violation, violation

COINS = {"JPY": 0, "KRW": 0, "VND": 0, "CLP": 0, "KWD": 3, "BHD": 3, "TND": 3}
"""Decimals of currencies that do not have two."""


def refunded_within_paid(history: History) -> Iterator[Violation]:
    """All refunds of an order together are no more than was paid for it, less what its shop paid back before.

    Of several versions of an order the highest payment counts: units that were taken out are paid back as well.
    """
    corrected = {fact.order for fact in history.of("order.changed") if fact.data.get("lines")}
    placed = (fact for fact in history.of("order.placed") if fact.order not in corrected)
    orders = {fact.order: fact for fact in sorted(placed, key=_paid)}
    requests: defaultdict[str, dict[str, Fact]] = defaultdict(dict)
    for fact in history.of("refund.requested"):
        requests[fact.order].setdefault(fact.data["refund_id"], fact)
    came_back = {fact.data["refund_id"] for fact in history.of("refund.reversed", "refund.failed")}
    for order, refunds in requests.items():
        if order not in orders:
            continue
        asked = [fact for refund_id, fact in refunds.items() if refund_id not in came_back]
        total = sum((_amount(fact.data["amount"]) for fact in asked), Decimal(0))
        first = min((fact.written_at for fact in refunds.values()), default=0)
        by_shop = [fact for fact in history.of("order.refunded") if fact.order == order and fact.written_at < first]
        unique = {fact.data["refund_id"]: fact for fact in by_shop}.values()
        back = sum((_amount(fact.data.get("amount")) for fact in unique), Decimal(0))
        if total + back > (paid := _paid(orders[order])):
            yield violation(f"order {order}: {total + back} paid back of {paid}", orders[order], *asked, *unique)


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


def _line_paid(line: dict[str, object]) -> Decimal:
    paid, price = line.get("paid_amount"), line["unit_price"]
    if isinstance(paid, dict):
        return _amount(paid)
    assert isinstance(price, dict)
    return _amount(price) * Decimal(str(line["quantity"]))


def distinct_deliveries(history: History) -> dict[str, list[Fact]]:
    """Deliveries by order, each once by its shipment, or by its units at one second."""
    found: defaultdict[str, dict[str, Fact]] = defaultdict(dict)
    for fact in history.of("order.delivered"):
        lines = sorted((line["line_id"], line["quantity"]) for line in fact.data["lines"])
        name = fact.data.get("shipment_id") or json.dumps([lines, fact.data["delivered_at"][:19]])
        found[fact.order].setdefault(name, fact)
    return {order: list(facts.values()) for order, facts in found.items()}


def delivery_counts_once(history: History) -> Iterator[Violation]:
    """Loyalty values an order by its distinct deliveries, however often and by whom each was published."""
    rows = history.database("loyalty").rows("orders")
    if not rows and history.of("points.granted"):
        raise InsufficientDataError("the orders of loyalty were not read")
    deliveries = distinct_deliveries(history)
    placed = {fact.order: fact for fact in history.of("order.placed")}
    for row in rows:
        order = row["order_id"]
        if order not in placed or any(fact.order == order for fact in history.of("order.changed")):
            continue
        arrived: defaultdict[str, int] = defaultdict(int)
        for fact in deliveries.get(order, ()):
            for line in fact.data["lines"]:
                arrived[line["line_id"]] += line["quantity"]
        most = sum((_delivered_value(line, arrived) for line in placed[order].data["lines"]), Decimal(0))
        if Decimal(row["kept_amount"] or 0) > most + 1:
            what = f"order {order}: valued at {row['kept_amount']}, {most} delivered"
            yield violation(what, placed[order], *deliveries.get(order, ()))


def _delivered_value(line: dict[str, object], arrived: dict[str, int]) -> Decimal:
    quantity = int(str(line["quantity"]))
    count = min(arrived.get(str(line["line_id"]), 0), quantity)
    return max(_line_paid(line), Decimal(0)) * count / quantity if quantity else Decimal(0)


def counted_goods(history: History) -> Iterator[Violation]:
    """Every box that a warehouse counted was counted by a case, or is kept for staff."""
    kept = history.database("returns").rows("kept_counts")
    for fact in history.of("item.received"):
        if fact.issue and history.about(fact.issue, "issue.item_received"):
            continue
        if not any(_is_kept(row, fact) for row in kept):
            yield violation(f"issue {fact.issue or 'unknown'}: a counted box is in no case and not kept", fact)


def _is_kept(row: Row, fact: Fact) -> bool:
    receipt = fact.data.get("receipt_id")
    if receipt:
        return str(row["count_id"]).split("/")[0] == str(receipt)
    return bool(fact.issue) and fact.issue in (row["issue_id"], row["from_issue"])
