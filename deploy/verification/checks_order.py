"""Checks on the order of events of one issue (invariant 5)."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence

from deploy.verification.checks_events import EFFECTS
from deploy.verification.evidence import Fact, History, in_write_order
from deploy.verification.order_versions import remaining_accounts
from deploy.verification.verdict import Violation, violation

REQUIRED_ORDER = (
    ("issue.reported", "issue.accepted"),
    ("issue.accepted", "issue.replacement_ordered"),
    ("issue.replacement_ordered", "issue.replacement_promised"),
    ("issue.replacement_ordered", "issue.replacement_shipped"),
    ("issue.replacement_shipped", "issue.replacement_delivered"),
    ("issue.collection_requested", "issue.collection_booked"),
    ("issue.collection_booked", "issue.collected"),
    ("issue.item_received", "issue.item_inspected"),
    ("issue.refund_requested", "issue.refunded"),
)
"""On `issues`, an event of the right type never precedes one of the left type."""


def in_order_per_issue(history: History) -> Iterator[Violation]:
    """On `issues`, the facts of one issue are in one partition and in the order of their causes."""
    accounts = remaining_accounts(history)
    for issue, facts in history.issues():
        issue_facts = in_write_order(fact for fact in facts if fact.topic == "issues")
        exceptions = _out_of_order_at_partner(facts)
        if _is_scattered(issue_facts, accounts):
            yield violation(f"issue {issue}: its facts are in several partitions", *issue_facts)
        for earlier, later in REQUIRED_ORDER:
            if (earlier, later) not in exceptions:
                yield from _swapped(issue, issue_facts, earlier, later)
        yield from _versions(issue, issue_facts)
    yield from _timeline(history)


def _is_scattered(facts: Iterable[Fact], accounts: Mapping[str, str]) -> bool:
    """Return whether facts of one customer are in several partitions; those of merged accounts have one each."""
    places = {(str(fact.data.get("customer_id")), fact.partition) for fact in facts}
    customers = {customer for customer, _ in places}
    people = {accounts.get(customer, customer) for customer in customers}
    return len({partition for _, partition in places}) > 1 and (len(people) > 1 or len(places) > len(customers))


def _out_of_order_at_partner(facts: Sequence[Fact]) -> set[tuple[str, str]]:
    """Pairs that the partner itself published in the other order, or of which the earlier one came too late to
    count."""
    facts = [fact for fact in facts if not _answers_former_request(fact, facts)]
    causes: dict[tuple[str, str], Fact] = {}
    for fact in facts:
        if fact.type in EFFECTS:
            effect, id_field = EFFECTS[fact.type]
            causes.setdefault((effect, str(fact.data.get(id_field))), fact)
    return {
        (earlier, later)
        for earlier, later in REQUIRED_ORDER
        for (effect, name), fact in causes.items()
        if effect == later and _same_partner_topic(earlier, later) and _is_after(causes.get((earlier, name)), fact)
    }


def _answers_former_request(fact: Fact, facts: Iterable[Fact]) -> bool:
    """Return true for the booking of a collection that was requested again: it does not count.

    The request may have been written after the booking, and before the booking was read.
    """
    attempt = fact.data.get("attempt") if fact.type == "collection.booked" else None
    return bool(attempt) and any(
        each.type == "collection.requested"
        and each.data["collection_id"] == fact.data["collection_id"]
        and each.data.get("attempt", 1) > attempt
        for each in facts
    )


def _same_partner_topic(earlier: str, later: str) -> bool:
    """Return true if one partner publishes both on one topic."""
    causes = {effect: cause for cause, (effect, _) in EFFECTS.items()}
    return causes.get(earlier, "").partition(".")[0] == causes[later].partition(".")[0]


def _is_after(fact: Fact | None, other: Fact) -> bool:
    """Return true if `fact` is missing or behind the other one."""
    if fact is None:
        return True
    return (fact.topic, fact.partition) == (other.topic, other.partition) and fact.offset > other.offset


def _swapped(issue: str, facts: list[Fact], earlier: str, later: str) -> Iterator[Violation]:
    first = next((index for index, fact in enumerate(facts) if fact.type == later), None)
    if first is not None and not any(fact.type == earlier for fact in facts[:first]):
        yield violation(f"issue {issue}: {later} precedes any {earlier}", facts[first])


def _versions(issue: str, facts: list[Fact]) -> Iterator[Violation]:
    known: dict[str, int] = {}
    for fact in facts:
        if fact.type in ("issue.replacement_promised", "issue.replacement_delayed"):
            replacement, version = fact.data["replacement_id"], fact.data["version"]
            if version <= known.get(replacement, 0):
                yield violation(f"issue {issue}: promise {version} after promise {known[replacement]}", fact)
            known[replacement] = version


def _timeline(history: History) -> Iterator[Violation]:
    """Intake's timeline shows the facts of an issue in the order of their partition."""
    positions = {
        fact.identity[1]: (fact.partition, fact.offset) for fact in history.unique_facts if fact.topic == "issues"
    }
    shown: defaultdict[str, list[str]] = defaultdict(list)
    for row in history.database("intake").rows("timeline"):
        if str(row["event_id"]) in positions:
            shown[str(row["issue_id"])].append(str(row["event_id"]))
    for issue, events in shown.items():
        shown_at = [positions[event] for event in events]
        by_partition = {each: [offset for partition, offset in shown_at if partition == each] for each, _ in shown_at}
        if any(offsets != sorted(offsets) for offsets in by_partition.values()):
            yield Violation(f"issue {issue}: its timeline is out of order", tuple(events))
