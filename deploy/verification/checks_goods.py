"""Checks on goods and money: who moves first, how often a unit counts, what is paid back (invariants 1, 2, 7, 8)."""

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from decimal import Decimal
from itertools import chain

from deploy.verification.evidence import Fact, History
from deploy.verification.verdict import Violation, violation


def ship_first(history: History) -> Iterator[Violation]:
    """Where a replacement was ordered, nothing is fetched before it has left, nor asked for before it arrives."""
    for issue, facts in history.issues():
        requests = [fact for fact in facts if fact.type == "collection.requested"]
        ordered = [fact for fact in facts if fact.type == "replacement.ordered"]
        if not requests or not ordered or _gave_up(facts):
            continue
        shipped = [fact for fact in facts if fact.type == "replacement.shipped"]
        for request in requests:
            before = [each for each in shipped if each.at <= request.at]
            if not before:
                yield violation(f"issue {issue}: collection asked for before the replacement left", request, *shipped)
                continue
            arrival = _arrival(facts, before[0])
            if arrival and request.data["earliest_date"] < arrival:
                yield violation(f"issue {issue}: courier told to come before {arrival}", request, before[0])
        yield from _told_in_order(issue, facts)


def _gave_up(facts: Iterable[Fact]) -> bool:
    """The replacement was given up for money: there is none to wait for."""
    shipped = any(fact.type == "replacement.shipped" for fact in facts)
    return not shipped and any(fact.type in ("replacement.rejected", "replacement.cancelled") for fact in facts)


def _arrival(facts: Iterable[Fact], shipped: Fact) -> str | None:
    """The day on which the replacement was expected: what the warehouse said, else what the customer was told."""
    said = [shipped.data.get("expected_delivery_date")]
    said += [fact.data.get("expected_delivery_date") for fact in facts if fact.type == "issue.replacement_shipped"]
    return next(filter(None, said), None)


def _told_in_order(issue: str, facts: Iterable[Fact]) -> Iterator[Violation]:
    told = [fact for fact in facts if fact.topic == "issues"]
    left = False
    for fact in told:
        left = left or fact.type == "issue.replacement_shipped"
        if fact.type == "issue.collection_requested" and not left:
            yield violation(f"issue {issue}: the collection is told of before the shipment", fact)


def one_entitlement_per_unit(history: History) -> Iterator[Violation]:
    """Live entitlements on an order line never exceed what was ordered, at any moment.

    One lives until its issue ends, or until what was sent instead is there: that is a piece which may be reported too.
    """
    ordered = {
        (fact.order, line["line_id"]): line["quantity"]
        for fact in history.of("order.placed")
        for line in fact.data["lines"]
    }
    movements: defaultdict[tuple[str, str], list[tuple[Fact, int]]] = defaultdict(list)
    for accepted in history.of("issue.accepted"):
        ended = history.about(accepted.issue, "issue.cancelled", "issue.rejected", "issue.replacement_delivered")
        for line in accepted.data["lines"]:
            unit = (accepted.order, line["line_id"])
            movements[unit].append((accepted, line["quantity"]))
            movements[unit].extend((fact, -line["quantity"]) for fact in ended[:1])
    for unit, moved in movements.items():
        yield from _too_many(unit, moved, ordered.get(unit, 0))
    yield from _more_than_arrived(history)
    yield from _entitled_twice(history)


NEED_NOT_ARRIVE = ("missing_item", "lost_in_transit")


def _more_than_arrived(history: History) -> Iterator[Violation]:
    """A report of what arrived is not taken for more pieces than had arrived, however often their arrival was told."""
    arrivals: defaultdict[tuple[str, str], list[tuple[Fact, int]]] = defaultdict(list)
    for fact in history.of("order.delivered", "issue.replacement_delivered"):
        for line in fact.data.get("lines") or ():
            arrivals[fact.order, line["line_id"]].append((fact, line["quantity"]))
    for fact in history.of("issue.accepted"):
        for line in fact.data["lines"] if fact.data["reason"] not in NEED_NOT_ARRIVE else ():
            unit = (fact.order, line["line_id"])
            there = [(each, quantity) for each, quantity in arrivals[unit] if each.at <= fact.at]
            if line["quantity"] > (arrived := sum(quantity for _, quantity in there)):
                what = f"order {unit[0]} line {unit[1]}: {line['quantity']} pieces accepted, {arrived} had arrived"
                yield violation(what, *(each for each, _ in there), fact)


def _too_many(unit: tuple[str, str], moved: list[tuple[Fact, int]], most: int) -> Iterator[Violation]:
    live = 0
    for _, change in sorted(moved, key=lambda each: (each[0].at, each[1])):
        live += change
        if live > most:
            shown = [each for each, _ in moved]
            yield violation(f"order {unit[0]} line {unit[1]}: {live} entitlements on {most} units", *shown)
            return


def _entitled_twice(history: History) -> Iterator[Violation]:
    """The same in intake's own table: one row per unit, and only for issues that stand."""
    seen: dict[tuple[str, str, int, int], str] = {}
    for row in history.database("intake").rows("entitlements"):
        unit = (row["order_id"], row["line_id"], row["unit_number"], row["generation"])
        if unit in seen:
            yield Violation(f"unit {unit} is held by two issues", (seen[unit], str(row["issue_id"])))
        seen[unit] = str(row["issue_id"])


def counted_units(history: History) -> Iterator[Violation]:
    """A refund that waits for goods is asked for after receipt and covers what was counted, never more."""
    for issue, facts in history.issues():
        accepted = [fact for fact in facts if fact.type == "issue.accepted"]
        refunds = [fact for fact in facts if fact.type == "refund.requested"]
        if not accepted or not refunds:
            continue
        paid = sum((Decimal(each["amount"]) for each in _by_business_id(refunds).values()), Decimal(0))
        if paid > (most := _value(accepted[0], None)):
            yield violation(f"issue {issue}: {paid} paid back for goods of {most}", *accepted, *refunds)
        fetched = any(fact.type == "collection.requested" and fact.at <= refunds[0].at for fact in facts)
        if fetched or accepted[0].data["reason"] == "changed_mind":
            yield from _after_receipt(issue, facts, accepted[0], refunds, paid)


def _after_receipt(
    issue: str, facts: Iterable[Fact], accepted: Fact, refunds: list[Fact], paid: Decimal
) -> Iterator[Violation]:
    received = [fact for fact in facts if fact.type == "item.received"]
    if not any(fact.at <= refunds[0].at for fact in received):
        yield violation(f"issue {issue}: refund asked for before anything came back", refunds[0], *received)
        return
    counted: defaultdict[str, int] = defaultdict(int)
    for line in chain.from_iterable(fact.data["lines"] for fact in received):
        counted[line["line_id"]] += line["quantity"]
    if paid > (most := _value(accepted, counted)):
        yield violation(f"issue {issue}: {paid} paid back, {most} worth of goods counted", *refunds, *received)


def _by_business_id(refunds: Iterable[Fact]) -> dict[str, dict[str, str]]:
    return {fact.data["refund_id"]: fact.data["amount"] for fact in refunds}


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
    """No message to a partner asks money of a customer, and a refund for merchant or carrier fault is not cut."""
    for fact in history.first:
        if fact.topic in ("warehouse.orders", "carrier.orders", "payment.orders"):
            if found := [name for name in _names(fact.data) if _CHARGE.search(name)]:
                yield violation(f"issue {fact.issue}: {', '.join(found)} in an order to a partner", fact)
            if fact.topic == "payment.orders" and fact.type != "refund.requested":
                yield violation(f"issue {fact.issue}: {fact.type} is not a refund", fact)
    for resolved in history.of("issue.resolved"):
        yield from _cut(history, resolved)


def _cut(history: History, resolved: Fact) -> Iterator[Violation]:
    data = resolved.data
    if data.get("remedy") != "refund" or data.get("fault") not in ("merchant", "carrier"):
        return
    paid = history.about(resolved.issue, "issue.refunded")
    total = sum((Decimal(fact.data["amount"]["amount"]) for fact in paid), Decimal(0))
    accepted = history.about(resolved.issue, "issue.accepted")
    if accepted and total < _value(accepted[0], None) and not history.about(resolved.issue, "item.received"):
        yield violation(f"issue {resolved.issue}: {total} paid back, less than the goods cost", resolved, *paid)


def _names(data: object) -> Iterator[str]:
    if isinstance(data, dict):
        for name, value in data.items():
            yield str(name)
            yield from _names(value)
    elif isinstance(data, list):
        for value in data:
            yield from _names(value)
