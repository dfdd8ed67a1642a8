"""Checks on goods and money: order of movements, entitlements, refunds (invariants 1, 2, 7, 8)."""

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from decimal import Decimal
from itertools import chain
from typing import Any

from deploy.verification.checks_money import distinct_deliveries, returned_amounts
from deploy.verification.evidence import Fact, History, in_write_order, parse_time
from deploy.verification.order_versions import line_versions
from deploy.verification.verdict import Violation, violation


def ship_first(history: History) -> Iterator[Violation]:
    """Check that no collection is requested before the replacement has shipped, or for a day before its arrival."""
    for issue, facts in history.issues():
        requests = [fact for fact in facts if fact.type == "collection.requested"]
        ordered = [fact for fact in facts if fact.type == "replacement.ordered"]
        if not requests or not ordered or _replacement_abandoned(facts):
            continue
        shipped = [fact for fact in facts if fact.type == "replacement.shipped"]
        for request in requests:
            before = [each for each in shipped if each.written_at <= request.written_at]
            if not before:
                yield violation(
                    f"issue {issue}: collection requested before the replacement shipped", request, *shipped
                )
                continue
            arrival = _arrival(facts, before[0])
            if arrival and request.data["earliest_date"] < arrival:
                yield violation(f"issue {issue}: collection requested for a day before {arrival}", request, before[0])
        yield from _announced_in_order(issue, facts)


def _replacement_abandoned(facts: Iterable[Fact]) -> bool:
    """Return true if the replacement was given up in favour of a refund."""
    shipped = any(fact.type == "replacement.shipped" for fact in facts)
    return not shipped and any(fact.type in ("replacement.rejected", "replacement.cancelled") for fact in facts)


def _arrival(facts: Iterable[Fact], shipped: Fact) -> str | None:
    """The expected delivery day of the replacement: from the warehouse, else from the notice to the customer."""
    dates = [shipped.data.get("expected_delivery_date")]
    dates += [fact.data.get("expected_delivery_date") for fact in facts if fact.type == "issue.replacement_shipped"]
    return next(filter(None, dates), None)


def _announced_in_order(issue: str, facts: Iterable[Fact]) -> Iterator[Violation]:
    issue_facts = in_write_order(fact for fact in facts if fact.topic == "issues")
    shipped = False
    for fact in issue_facts:
        shipped = shipped or fact.type == "issue.replacement_shipped"
        if fact.type == "issue.collection_requested" and not shipped:
            yield violation(f"issue {issue}: collection announced before the shipment", fact)


def one_entitlement_per_unit(history: History) -> Iterator[Violation]:
    """Live entitlements on an order line never exceed the highest ordered quantity, at any time.

    An entitlement lives until its issue ends, or until its replacement is delivered: that is a new unit, which may be
    reported.
    """
    ordered: defaultdict[tuple[str, str], int] = defaultdict(int)
    for order, lines in line_versions(history).items():
        for version in chain.from_iterable(lines.values()):
            for name, count in _ordered_units(version.value):
                ordered[order, name] = max(ordered[order, name], count)
    movements: defaultdict[tuple[str, str], list[tuple[Fact, int]]] = defaultdict(list)
    for accepted in history.of("issue.accepted"):
        ended = history.about(accepted.issue, "issue.cancelled", "issue.rejected", "issue.replacement_delivered")
        for line in accepted.data["lines"]:
            for name, count in _reported_units(line):
                movements[accepted.order, name].append((accepted, count))
                movements[accepted.order, name].extend((fact, -count) for fact in ended[:1])
    for unit, moved in movements.items():
        yield from _too_many(unit, moved, ordered.get(unit, 0))
    yield from _more_than_delivered(history)
    yield from _entitled_twice(history)


def _ordered_units(line: dict[str, Any]) -> Iterator[tuple[str, int]]:
    """Yield the units of an order line, and its components by name."""
    yield line["line_id"], line["quantity"]
    for part in line.get("components") or ():
        yield f"{line['line_id']} part {part['sku']}", part.get("quantity", 1) * line["quantity"]


def _reported_units(line: dict[str, Any]) -> Iterator[tuple[str, int]]:
    """Yield what a report is about: parts where the order names them, else units with all their parts."""
    components = line.get("components") or ()
    if components and line.get("parts"):
        for part in line["parts"]:
            yield f"{line['line_id']} part {part['sku']}", part.get("quantity", 1)
    else:
        yield from _ordered_units(line)


UNDELIVERED_REASONS = ("missing_item", "lost_in_transit")


def _more_than_delivered(history: History) -> Iterator[Violation]:
    """An accepted report covers at most the units delivered before it, however often their delivery was published."""
    arrivals: defaultdict[tuple[str, str], list[tuple[Fact, int]]] = defaultdict(list)
    delivered = chain.from_iterable(distinct_deliveries(history).values())
    for fact in (*delivered, *history.of("issue.replacement_delivered")):
        for line in fact.data.get("lines") or ():
            arrivals[fact.order, line["line_id"]].append((fact, line["quantity"]))
    for fact in history.of("issue.accepted"):
        for line in fact.data["lines"] if fact.data["reason"] not in UNDELIVERED_REASONS else ():
            if not line.get("requires_shipping", True):
                continue  # a code is delivered by no carrier
            unit = (fact.order, line["line_id"])
            delivered_before = [
                (each, quantity) for each, quantity in arrivals[unit] if each.written_at <= fact.written_at
            ]
            if line["quantity"] > (arrived := sum(quantity for _, quantity in delivered_before)):
                what = f"order {unit[0]} line {unit[1]}: {line['quantity']} units accepted, {arrived} delivered"
                yield violation(what, *(each for each, _ in delivered_before), fact)


def _too_many(unit: tuple[str, str], moved: list[tuple[Fact, int]], most: int) -> Iterator[Violation]:
    live = 0
    for _, change in sorted(moved, key=lambda each: (each[0].written_at, each[1])):
        live += change
        if live > most:
            shown = [each for each, _ in moved]
            yield violation(f"order {unit[0]} line {unit[1]}: {live} entitlements on {most} units", *shown)
            return


def _entitled_twice(history: History) -> Iterator[Violation]:
    """Intake's table has one entitlement per unit."""
    seen: dict[tuple[str, str, int, int], str] = {}
    for row in history.database("intake").rows("entitlements"):
        unit = (row["order_id"], row["line_id"], row["unit_number"], row["generation"])
        if unit in seen:
            yield Violation(f"unit {unit} has two entitlements", (seen[unit], str(row["issue_id"])))
        seen[unit] = str(row["issue_id"])


def counted_units(history: History) -> Iterator[Violation]:
    """A refund that waits for goods is requested after receipt and covers at most the counted units."""
    for issue, facts in history.issues():
        accepted = [fact for fact in facts if fact.type == "issue.accepted"]
        refunds = [fact for fact in facts if fact.type == "refund.requested"]
        if not accepted or not refunds:
            continue
        back = returned_amounts(history.about(issue, "refund.reversed"))
        goods_amounts = _by_business_id(refunds).items()
        paid = sum((max(amount - back.get(name, Decimal(0)), Decimal(0)) for name, amount in goods_amounts), Decimal(0))
        if paid > (most := _value(accepted[0], None)):
            yield violation(f"issue {issue}: {paid} refunded for goods of {most}", *accepted, *refunds)
        fetched = any(
            fact.type == "collection.requested" and fact.written_at <= refunds[0].written_at for fact in facts
        )
        goods = any(line.get("requires_shipping", True) for line in accepted[0].data["lines"])
        if fetched or (goods and accepted[0].data["reason"] == "changed_mind"):
            yield from _after_receipt(issue, _receipts(history, issue, facts), accepted[0], refunds, paid)


def _receipts(history: History, issue: str, facts: Iterable[Fact]) -> list[Fact]:
    """Counts of the warehouse that name this issue, counts of it at the time of another box, and units that staff took
    for received: the customer had handed them over."""
    boxes = [fact for fact in history.of("item.received") if fact.issue != issue and fact.data.get("received_at")]
    times = {parse_time(fact.data["received_at"]) for fact in boxes}
    decided = {_trace_of(fact) for fact in facts if fact.type == "issue.staff_decision_applied"} - {""}

    def is_counted(fact: Fact) -> bool:
        at = fact.data.get("received_at")
        return bool(at and parse_time(at) in times) or _trace_of(fact) in decided

    effects = [fact for fact in facts if fact.type == "issue.item_received" and is_counted(fact)]
    return [*(fact for fact in facts if fact.type == "item.received"), *effects]


def _trace_of(fact: Fact) -> str:
    return fact.headers.get("traceparent", "")[:35]


def _after_receipt(
    issue: str, received: list[Fact], accepted: Fact, refunds: list[Fact], paid: Decimal
) -> Iterator[Violation]:
    if not any(fact.written_at <= refunds[0].written_at for fact in received):
        yield violation(f"issue {issue}: refund requested before any receipt", refunds[0], *received)
        return
    counted: defaultdict[str, int] = defaultdict(int)
    for line in chain.from_iterable(fact.data["lines"] for fact in received):
        counted[line.get("line_id", "")] += line["quantity"]
    if paid > (most := _value(accepted, counted)):
        yield violation(f"issue {issue}: {paid} refunded, {most} worth of goods counted", *refunds, *received)


def _by_business_id(refunds: Iterable[Fact]) -> dict[str, Decimal]:
    """Return the amount for goods of each refund, without its shipping."""
    return {fact.data["refund_id"]: _goods_amount(fact) for fact in refunds}


def _goods_amount(refund: Fact) -> Decimal:
    shipping = refund.data.get("shipping") or {"amount": "0"}
    return Decimal(refund.data["amount"]["amount"]) - Decimal(shipping["amount"])


def _value(accepted: Fact, counted: dict[str, int] | None) -> Decimal:
    return sum(
        (
            Decimal(line["unit_price"]["amount"])
            * (line["quantity"] if counted is None else min(line["quantity"], counted.get(line["line_id"], 0)))
            for line in accepted.data["lines"]
        ),
        Decimal(0),
    )


_CHARGE = re.compile(
    r"charge|fee|shipping_cost|freight|cash_on_delivery|amount_due|to_pay|card|hold_|authori[sz]", re.I
)


def free_of_charge(history: History) -> Iterator[Violation]:
    """No order to a partner charges the customer, and no refund for merchant or carrier fault is reduced."""
    for fact in history.unique_facts:
        if fact.topic in ("warehouse.orders", "carrier.orders", "payment.orders"):
            if names := [name for name in _names(fact.data) if _CHARGE.search(name)]:
                yield violation(f"issue {fact.issue}: {', '.join(names)} in a message to a partner", fact)
            if fact.topic == "payment.orders" and fact.type != "refund.requested":
                yield violation(f"issue {fact.issue}: {fact.type} is not a refund", fact)
    for resolved in history.of("issue.resolved"):
        yield from _reduced_refund(history, resolved)


def _reduced_refund(history: History, resolved: Fact) -> Iterator[Violation]:
    data = resolved.data
    if data.get("remedy") != "refund" or data.get("fault") not in ("merchant", "carrier"):
        return
    paid = history.about(resolved.issue, "issue.refunded")
    total = sum((Decimal(fact.data["amount"]["amount"]) for fact in paid), Decimal(0))
    accepted = history.about(resolved.issue, "issue.accepted")
    requested = _by_business_id(history.about(resolved.issue, "refund.requested"))
    due = min(_value(accepted[0], None), sum(requested.values(), Decimal(0))) if accepted else Decimal(0)
    if accepted and total < due and not history.about(resolved.issue, "item.received"):
        yield violation(f"issue {resolved.issue}: {total} refunded, less than the value of the goods", resolved, *paid)


def _names(data: object) -> Iterator[str]:
    """Every name in an event; one that says that nothing is charged is left out where it says so."""
    if isinstance(data, dict):
        for name, value in data.items():
            if (name, value) != ("free_of_charge", True):
                yield str(name)
            yield from _names(value)
    elif isinstance(data, list):
        for value in data:
            yield from _names(value)
