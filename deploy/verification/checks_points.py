"""Checks on points: once per cause, reversed where they are not due, and a balanced ledger (invariant 10)."""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any

from deploy.verification.evidence import Fact, History, Row
from deploy.verification.order_versions import line_versions, remaining_accounts
from deploy.verification.verdict import InsufficientDataError, Violation, violation

ACCOUNTS = ("issued", "pending", "available", "reserved", "spent", "expired", "debt")
ENTRY_EVENTS = {
    "grant": "points.granted",
    "vest": "points.vested",
    "reverse": "points.reversed",
    "reserve": "points.reserved",
    "release": "points.released",
    "return": "points.released",
    "redeem": "points.redeemed",
    "expire": "points.expired",
}
"""The event that is published for each kind of entry."""

Sums = Mapping[str, Mapping[str, int]]


def points_once(history: History) -> Iterator[Violation]:
    """One grant per cause, after resolution, in the ledger, reversed when reopened or refunded."""
    grants = history.of("points.granted")
    for cause, number in Counter(fact.data["cause"] for fact in grants).items():
        if number > 1:
            yield violation(f"{cause}: granted {number} times", *(g for g in grants if g.data["cause"] == cause))
    yield from _too_early(history, grants)
    yield from _kept_after_reopening(history, grants)
    yield from _kept_after_refund(history)
    booked = {row["cause"] for row in history.database("loyalty").rows("entries") if row["kind"] == "grant"}
    for grant in grants:
        if booked and grant.data["cause"] not in booked:
            yield violation(f"{grant.data['cause']}: published, but not in the ledger", grant)


def _too_early(history: History, grants: Sequence[Fact]) -> Iterator[Violation]:
    resolved = {f"issue:{fact.issue}:{fact.data.get('resolution', 1)}": fact for fact in history.of("issue.resolved")}
    delivered = {fact.order for fact in history.of("order.delivered")}
    for grant in grants:
        cause = grant.data["cause"]
        if cause.startswith("issue:") and (cause not in resolved or resolved[cause].written_at > grant.written_at):
            yield violation(f"{cause}: granted before the resolution", grant)
        if cause.startswith("order:") and grant.order not in delivered:
            yield violation(f"{cause}: granted without a delivery", grant)


def _kept_after_reopening(history: History, grants: Sequence[Fact]) -> Iterator[Violation]:
    taken_back = {fact.data["reverses"] for fact in history.of("points.reversed")}
    by_cause = {grant.data["cause"]: grant for grant in grants}
    for reopened in history.of("issue.reopened"):
        grant = by_cause.get(f"issue:{reopened.issue}:{reopened.data.get('resolution', 1)}")
        if grant and grant.data["entry_id"] not in taken_back:
            yield violation(f"{grant.data['cause']}: reopened, and the points were not reversed", reopened, grant)


def _kept_after_refund(history: History) -> Iterator[Violation]:
    """A fully refunded purchase keeps no points."""
    prices = {
        order: sum((_price(versions[-1].value) for versions in lines.values()), Decimal(0))
        for order, lines in line_versions(history).items()
    }
    back: defaultdict[str, Decimal] = defaultdict(Decimal)
    shown: defaultdict[str, list[Fact]] = defaultdict(list)
    for fact in history.of("issue.refunded"):
        back[fact.order] += Decimal(fact.data["amount"]["amount"])
        shown[fact.order].append(fact)
    for fact in history.of("issue.refund_reversed"):
        back[fact.order] -= Decimal(fact.data["amount"]["amount"])
        shown[fact.order].append(fact)
    kept: Counter[str] = Counter()
    for fact in history.of("points.granted", "points.reversed"):
        if fact.data["cause"].startswith("order:"):
            kept[fact.order] += fact.data["points"] * (1 if fact.type == "points.granted" else -1)
            shown[fact.order].append(fact)
    for order, amount in back.items():
        if order in prices and amount >= prices[order] and kept[order]:
            yield violation(f"order {order}: fully refunded, with {kept[order]} points left", *shown[order])


def _price(line: Mapping[str, Any]) -> Decimal:
    return Decimal(line["unit_price"]["amount"]) * int(line["quantity"])


def balances_equal_sums(history: History) -> Iterator[Violation]:
    """Every balance and every lot equals the sum of its ledger entries, and the published events add up to it."""
    database = history.database("loyalty")
    entries, balances = database.rows("entries"), database.rows("balances")
    if not entries and not balances:
        raise InsufficientDataError("the ledger of loyalty was not read")
    yield from _differences("customer", _added_up(entries, "customer_id"), _by(balances, "customer_id"))
    yield from _differences("lot", _added_up(entries, "lot_id"), _by(database.rows("lots"), "lot_id"))
    for row in balances:
        negative = [account for account in ACCOUNTS[1:-1] if row[account] < 0]
        if (
            negative
            or row["debt"] > 0
            or (row["debt"] and row["available"])
            or sum(row[account] for account in ACCOUNTS)
        ):
            yield Violation(f"customer {row['customer_id']}: impossible balance", (str(dict(row)),))
    if not database.rows("outbox") and history.facts:
        yield from _events_differ(history, entries)


def _added_up(entries: Sequence[Row], key: str) -> dict[str, dict[str, int]]:
    sums: defaultdict[str, dict[str, int]] = defaultdict(lambda: dict.fromkeys(ACCOUNTS, 0))
    for row in entries:
        sums[str(row[key])][row["from_account"]] -= row["points"]
        sums[str(row[key])][row["to_account"]] += row["points"]
    return dict(sums)


def _by(rows: Sequence[Row], key: str) -> dict[str, dict[str, int]]:
    return {str(row[key]): {account: row[account] for account in ACCOUNTS} for row in rows}


def _differences(what: str, ledger: Sums, balances: Sums) -> Iterator[Violation]:
    nothing = dict.fromkeys(ACCOUNTS, 0)
    for name in sorted(ledger.keys() | balances.keys()):
        summed, stored = ledger.get(name, nothing), balances.get(name, nothing)
        if summed != stored:
            shown = (f"ledger {summed}", f"balance {stored}")
            yield Violation(f"{what} {name}: the ledger does not sum to the balance", shown)


def _events_differ(history: History, entries: Sequence[Row]) -> Iterator[Violation]:
    """Compare published points with booked points, per customer and type; a merged account is the one that remains."""
    account = remaining_accounts(history)
    booked: Counter[tuple[str, str]] = Counter()
    published: Counter[tuple[str, str]] = Counter()
    shown: defaultdict[tuple[str, str], list[str]] = defaultdict(list)
    for row in entries:
        if row["kind"] in ENTRY_EVENTS:
            customer = str(row["customer_id"])
            name = account.get(customer, customer), ENTRY_EVENTS[row["kind"]]
            booked[name] += row["points"]
            shown[name].append(f"entry {row['kind']} {row['points']} {row['cause']}")
    for fact in history.of(*sorted(set(ENTRY_EVENTS.values()))):
        customer = str(fact.data["customer_id"])
        name = account.get(customer, customer), fact.type
        published[name] += fact.data["points"]
        shown[name].append(str(fact))
    for name in sorted(booked.keys() | published.keys()):
        if booked[name] != published[name]:
            customer, kind = name
            what = f"customer {customer}: {kind} publishes {published[name]} points, the ledger has {booked[name]}"
            yield Violation(what, tuple(shown[name]))
