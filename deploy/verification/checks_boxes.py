"""Checks on counted boxes: every unit is counted once, for its own case, or shown to staff (invariant 15)."""

import json
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from typing import Any, TypeAlias

from deploy.verification.evidence import Fact, History, parse_time
from deploy.verification.verdict import Violation, violation

Counts: TypeAlias = defaultdict[object, list[Fact]]
"""Boxes by the time of their count, which is that of all units of a box."""


def counted_goods(history: History) -> Iterator[Violation]:
    """Every unit that a warehouse counted was counted by the case that it names, or is kept and shown to staff.

    A count for a case that waits for its address is kept with the other events of the case, until they are applied.
    """
    kept = history.database("returns").rows("kept_counts")
    taken: Counter[object] = Counter()
    for fact in history.of("issue.item_received"):
        taken[_time(fact.data.get("received_at"))] += _units(fact)
    for row in kept:
        if row.get("matched_at") is None:
            taken[_time(row.get("received_at"))] += int(row.get("units") or 0)
    for row in history.database("returns").rows("early_counts"):
        taken[_time(row.get("received_at"))] += int(row.get("units") or 0)
    counted: Counts = defaultdict(list)
    for fact in _first_counts(history).values():
        counted[_time(fact.data.get("received_at"))].append(fact)
    for at, facts in counted.items():
        if taken[at] < sum(map(_units, facts)):
            yield violation(f"issue {facts[0].issue or 'unknown'}: a counted box is in no case and not kept", *facts)
    yield from _waiting(history, counted)
    yield from _counted_for_another(history)
    yield from _reused_receipts(history)


def _waiting(history: History, counted: Counts) -> Iterator[Violation]:
    """Check that a kept box is shown to staff, unless a case was given it, and that no case of its issue is open."""
    database = history.database("returns")
    shown = {fact.data.get("thing") for fact in history.of("anomaly.detected")}
    accepted = {fact.issue for fact in history.of("issue.accepted")}
    due = {(row["key"], str(row.get("name")).removeprefix("count:")) for row in database.rows("timers")}
    for row in database.rows("kept_counts"):
        boxes = counted.get(_time(row.get("received_at")))
        if not boxes or row.get("matched_at") or row.get("settled_at"):
            continue
        name, issue = row["count_id"], row.get("issue_id")
        if f"count:{name}" not in shown and not (row.get("from_issue") and issue in accepted):
            yield violation(f"count {name}: a kept box is shown to nobody", *boxes)
        named = {issue, *(row.get("named_issues") or ())} & accepted
        if named and not any((each, name) in due for each in accepted):
            yield violation(f"issue {min(named)}: a box that names it is kept, though it has a case", *boxes)


def _counted_for_another(history: History) -> Iterator[Violation]:
    """Units whose own line names an issue, order or replacement are counted for no other one, unless staff did so."""
    orders = {fact.issue: fact.order for fact in history.of("issue.accepted")}
    decided = {fact.issue for fact in history.of("count.staff_decision_applied") if fact.data["applied"]}
    owners = {str(fact.data["replacement_id"]): fact.issue for fact in history.of("replacement.ordered")}
    boxes: Counts = defaultdict(list)
    for fact in history.of("item.received"):
        boxes[_time(fact.data.get("received_at"))].append(fact)
    taken: defaultdict[tuple[str, object], list[Fact]] = defaultdict(list)
    for fact in history.of("issue.item_received"):
        taken[fact.issue, _time(fact.data.get("received_at"))].append(fact)
    for (issue, at), effects in taken.items():
        lines = [line for box in boxes.get(at, ()) for line in box.data["lines"]]
        most = sum(int(line["quantity"]) for line in lines if _may_be_of(line, issue, orders.get(issue), owners))
        if lines and issue in orders and issue not in decided and sum(map(_units, effects)) > most:
            what = f"issue {issue}: {sum(map(_units, effects))} units counted, {most} of its own in the box"
            yield violation(what, *boxes[at], *effects)


def _may_be_of(line: Mapping[str, Any], issue: str, order: str | None, owners: Mapping[str, str]) -> bool:
    """Return whether a line names nothing else than this issue. `owners`: issues by the id of their replacement."""
    if line.get("issue_id"):
        return bool(line["issue_id"] == issue)
    if owners.get(str(line.get("replacement_id")), issue) != issue:
        return False
    return line.get("order_id") in (None, order)


def _reused_receipts(history: History) -> Iterator[Violation]:
    """A receipt id that is used again for other units is counted by the case that it names, or shown to staff."""
    shown = {fact.data["event_id"] for fact in history.of("anomaly.detected", "issue.anomaly_detected")}
    waiting = {_time(row.get("received_at")) for row in history.database("returns").rows("early_counts")}
    first = _first_counts(history)
    for fact in history.of("item.received"):
        other, at = first[_receipt(fact)], _time(fact.data.get("received_at"))
        if _units(fact) == _units(other) or fact.identity[1] in shown or at in waiting:
            continue
        in_case = history.about(fact.issue, "issue.item_received") if fact.issue != other.issue else []
        if not any(_time(each.data["received_at"]) == at for each in in_case):
            yield violation(f"receipt {fact.data.get('receipt_id')}: used again for other units, unseen", other, fact)


def _first_counts(history: History) -> dict[str, Fact]:
    """Counts by identity, each as it was published first."""
    found: dict[str, Fact] = {}
    for fact in history.of("item.received"):
        found.setdefault(_receipt(fact), fact)
    return found


def _time(text: str | None) -> object:
    return parse_time(text) if text else None


def _units(fact: Fact) -> int:
    return sum(int(line["quantity"]) for line in fact.data["lines"])


def _receipt(fact: Fact) -> str:
    """The identity of a count: its own, or equal lines at an equal time."""
    return str(
        fact.data.get("receipt_id") or json.dumps([fact.issue, fact.data["lines"], fact.data.get("received_at")])
    )
