"""Versions of orders as their shop stated them, and accounts of customers that it merged, read from the topics."""

import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any, NamedTuple

from deploy.verification.evidence import Fact, History, parse_time


class OrderStatement(NamedTuple):
    """A part of an order, such as a line or the address, as one event states it."""

    at: datetime
    fact: Fact
    value: Any


def statements(history: History, field: str) -> dict[str, list[OrderStatement]]:
    """Statements of the shop about this field of each order, oldest first by the shop's own time.

    An order that is placed again with the same content states nothing new, whenever it arrives, unless the shop says
    that this is its state at a later time. The first version of an order counts as of the order itself.
    """
    found: defaultdict[str, list[OrderStatement]] = defaultdict(list)
    placed: dict[tuple[str, str, str | None], OrderStatement] = {}
    first: dict[str, Fact] = {}
    for fact in history.of("order.placed", "order.changed"):
        value = fact.data.get(field)
        if not value:
            continue
        is_first = fact.type == "order.placed" and first.setdefault(fact.order, fact) is fact
        stated = OrderStatement(_stated_at(fact, is_first=is_first), fact, value)
        if fact.type == "order.placed":
            name = (fact.order, json.dumps(value, sort_keys=True), fact.data.get("updated_at"))
            if name in placed and placed[name].at <= stated.at:
                continue
            placed[name] = stated
        found[fact.order].append(stated)
    return {order: sorted(each, key=lambda stated: stated.at) for order, each in found.items()}


def _stated_at(fact: Fact, *, is_first: bool) -> datetime:
    stated = fact.data.get("changed_at") or fact.data.get("updated_at")
    stated = stated or (fact.data.get("placed_at") if is_first else None)
    return parse_time(stated) if stated else fact.event_time


def line_versions(history: History) -> dict[str, dict[str, list[OrderStatement]]]:
    """The versions of each line of each order, oldest first."""
    found: defaultdict[str, dict[str, list[OrderStatement]]] = defaultdict(dict)
    for order, versions in statements(history, "lines").items():
        for version in versions:
            for line in version.value:
                found[order].setdefault(line["line_id"], []).append(OrderStatement(version.at, version.fact, line))
    return found


def orders_to_compare(facts: Iterable[Fact]) -> list[str]:
    """Orders of which a service may hold another version, or of which a delivery was reported more than once."""
    counts: Counter[tuple[str, str]] = Counter()
    changed: set[str] = set()
    for identity, fact in {fact.identity: fact for fact in facts}.items():
        if fact.type in ("order.placed", "order.delivered"):
            counts[fact.type, fact.order] += bool(identity)
        elif fact.type in ("order.changed", "shipment.changed"):
            changed.add(fact.order)
    return sorted(changed | {order for (_, order), count in counts.items() if count > 1})


def remaining_accounts(history: History) -> dict[str, str]:
    """The account that remains for each former one, through any chain of merges."""
    merged = sorted(history.of("customer.merged"), key=lambda fact: parse_time(fact.data["merged_at"]))
    remaining: dict[str, str] = {}
    for fact in merged:
        former, last = fact.data["merged_customer_id"], fact.data["customer_id"]
        if former == last:
            continue
        remaining.pop(last, None)  # a circle ends with the newest merge
        remaining[former] = last
    return {former: _last_of(former, remaining) for former in remaining}


def _last_of(account: str, remaining: Mapping[str, str]) -> str:
    seen = {account}
    while (follower := remaining.get(account)) and follower not in seen:
        seen.add(follower)
        account = follower
    return account
