"""Counts of what customers, staff and couriers did in a run, from the topics and the storefront's ledger.

Shares no code with the services.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator

from deploy.verification.checks_money import distinct_deliveries
from deploy.verification.evidence import Fact, History


def count_behaviour(history: History) -> dict[str, int]:
    """Counts by name, sorted; zero counts are left out."""
    return dict(sorted(Counter(_all(history)).items()))


def _all(history: History) -> Iterator[str]:
    yield from _reports(history)
    yield from _choices(history.of("customer.decided"))
    yield from _answers(history)
    yield from _visits(history)
    for fact in history.of("issue.customer_wrote"):
        yield "mail of a customer read" + (", with a photo" if fact.data["photos"] else "")
    for fact in history.of("parcel.found"):
        yield "lost parcel found " + ("at the customer's" if fact.data["with_customer"] else "on its way back")
    for fact in history.of("issue.staff_decided"):
        yield f"staff: {fact.data['action']}"
    yield from _scores(history.of("issue.rated"))
    yield from _corrections(history)
    yield from _money(history)
    yield from _boxes(history)


def _reports(history: History) -> Iterator[str]:
    for _ in history.of("issue.details_requested"):
        yield "report waiting for details"
    for _ in history.of("issue.details_provided"):
        yield "missing details provided"
    shipped = {fact.data.get("replacement_id") for fact in history.of("replacement.shipped")}
    orders = [fact for fact in history.of("replacement.ordered") if fact.data.get("parts")]
    for ordered in {fact.data["replacement_id"]: fact for fact in orders}.values():
        if any(part.get("sku") for part in ordered.data["parts"]):
            yield "part of a kit " + ("shipped" if ordered.data["replacement_id"] in shipped else "ordered")
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


def _answers(history: History) -> Iterator[str]:
    """Answers of the shop, the warehouse and the courier to what was asked of them, and their silence."""
    for fact in history.of("customer.decision_settled"):
        yield (
            f"request {fact.data['outcome']} by the shop"
            if fact.data["outcome"] in _BY_SHOP
            else (f"request {fact.data['outcome']}")
        )
    for fact in history.of("issue.collection_window_declined"):
        yield f"collection window not kept: {fact.data['cause'].replace('_', ' ')}"
    for fact in history.of("issue.review_requested"):
        if fact.data.get("cause") == "warehouse_silent":
            yield "warehouse silent: a review for staff"


_BY_SHOP = ("accepted", "declined")


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


def _corrections(history: History) -> Iterator[str]:
    """Corrections by the shop and its customers."""
    for fact in history.of("order.changed"):
        for part in ("lines", "ship_to", "contact"):
            if fact.data.get(part):
                yield f"order corrected: {'address' if part == 'ship_to' else part}"
    for fact in history.of("shipment.changed"):
        yield "shipment corrected: " + ("called off" if fact.data.get("called_off") else "tracking number")
    deliveries = {order: len(facts) for order, facts in distinct_deliveries(history).items()}
    for order, published in Counter(fact.order for fact in history.of("order.delivered")).items():
        if published > deliveries[order]:
            yield "delivery published twice"
    for _ in history.of("customer.merged"):
        yield "accounts merged"
    for _ in history.of("replacement.readdressed"):
        yield "replacement readdressed"
    for fact in history.of("issue.staff_decided"):
        if fact.data["staff"] == "customer":
            yield "report taken back by the customer"


def _money(history: History) -> Iterator[str]:
    """Money that moved in another way than asked for."""
    for _ in history.of("order.refunded"):
        yield "refund by the shop itself"
    payments = Counter(fact.data["refund_id"] for fact in history.of("refund.completed"))
    for count in payments.values():
        if count > 1:
            yield "refund in several payments"
    for _ in history.of("refund.reversed"):
        yield "refund that came back"
    for _ in history.of("payment.charged_back"):
        yield "chargeback"
    for _ in history.of("payment.chargeback_reversed"):
        yield "chargeback won by the shop"


def _boxes(history: History) -> Iterator[str]:
    for fact in history.of("item.received"):
        if not fact.issue:
            yield "box without papers counted"
