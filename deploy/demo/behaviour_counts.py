"""Counts of what customers, staff and couriers did in a run, from the topics and the storefront's ledger.

Shares no code with the services.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator

from deploy.verification.evidence import Fact, History


def count_behaviour(history: History) -> dict[str, int]:
    """Counts by name, sorted; zero counts are left out."""
    return dict(sorted(Counter(_all(history)).items()))


def _all(history: History) -> Iterator[str]:
    yield from _reports(history)
    yield from _choices(history.of("customer.decided"))
    yield from _visits(history)
    for fact in history.of("parcel.found"):
        yield "lost parcel found " + ("at the customer's" if fact.data["with_customer"] else "on its way back")
    for fact in history.of("issue.staff_decided"):
        yield f"staff: {fact.data['action']}"
    yield from _scores(history.of("issue.rated"))


def _reports(history: History) -> Iterator[str]:
    for _ in history.of("issue.details_requested"):
        yield "report waiting for details"
    for _ in history.of("issue.details_provided"):
        yield "missing details provided"
    for entry in history.ledger:
        if entry.get("variant") == "defective_replacement":
            yield "replacement reported defective"
        elif entry.get("variant") == "other_line":
            yield "another line of the order reported"


def _choices(decided: Iterable[Fact]) -> Iterator[str]:
    """The same choice means different things about an order and about an issue; defaults are counted separately."""
    for fact in decided:
        about, data = "issue" if fact.data.get("issue_id") else "order", fact.data
        suffix = ", by default" if data.get("by_default") else ""
        choice = data["choice"]
        if choice == "change":
            choice = "another " + ("item" if about == "issue" else {"date": "day"}.get(data["change"], data["change"]))
        yield f"choice about an {about}: {choice}{suffix}"


def _visits(history: History) -> Iterator[str]:
    for _ in history.of("issue.collection_window_chosen"):
        yield "collection window changed"
    issues_by_visit: defaultdict[str, set[str]] = defaultdict(set)
    for fact in history.of("collection.requested"):
        if visit := fact.data.get("visit_id"):
            issues_by_visit[visit].add(fact.issue)
    for issues in issues_by_visit.values():
        if len(issues) > 1:
            yield "one visit for several issues"
    for fact in history.of("collection.requested"):
        if fact.data.get("swap_with") and fact.data.get("attempt", 1) == 1:
            yield "swap at the door"


def _scores(rated: Iterable[Fact]) -> Iterator[str]:
    for fact in rated:
        score = fact.data["score"]
        yield f"survey answered {'9 or 10' if score >= 9 else '7 or 8' if score >= 7 else '0 to 6'}"
