"""Checks on events: none lost, none doubled, no silence (invariants 3, 4, 6)."""

from collections.abc import Iterable, Iterator
from datetime import timedelta

from deploy.verification.evidence import Fact, History
from deploy.verification.order_versions import line_versions, statements
from deploy.verification.verdict import InsufficientDataError, Violation, violation

EFFECTS = {
    "replacement.shipped": ("issue.replacement_shipped", "replacement_id"),
    "parcel.delivered": ("issue.replacement_delivered", "replacement_id"),
    "collection.booked": ("issue.collection_booked", "collection_id"),
    "collection.collected": ("issue.collected", "collection_id"),
    "item.received": ("issue.item_received", "issue_id"),
    "item.inspected": ("issue.item_inspected", "issue_id"),
    "refund.completed": ("issue.refunded", "refund_id"),
}
"""The partner event, its effect on `issues`, and the id of both."""

ENDED = ("issue.resolved", "issue.cancelled", "issue.rejected")
FIRST_ACTIONS = (
    "replacement.ordered",
    "refund.requested",
    "collection.requested",
    "issue.review_requested",
    "issue.cancelled",
)


def nothing_lost(history: History) -> Iterator[Violation]:
    """Every report answered 202 and every event of a partner has its effect; `counted_goods` is about lost papers."""
    yield from _reports_lost(history)
    for cause, (effect, name) in EFFECTS.items():
        effects = {fact.data.get(name) for fact in history.of(effect)}
        for fact in history.of(cause):
            if fact.data.get(name) and fact.data[name] not in effects and not _is_superseded(history, fact):
                yield violation(f"issue {fact.issue}: {cause} has no {effect}", fact)
    placed, addressed = line_versions(history), statements(history, "ship_to")
    for fact in history.of("issue.accepted"):
        waits_for_address = fact.order in placed and fact.order not in addressed
        if not history.about(fact.issue, *FIRST_ACTIONS) and not waits_for_address:
            yield violation(f"issue {fact.issue}: accepted without a first action", fact)
    yield from _points_lost(history)
    for service, database in history.databases.items():
        for table in ("outbox", "dead_letters"):
            if rows := database.rows(table):
                shown = tuple(str(dict(row)) for row in rows[:3])
                yield Violation(f"{service}: {len(rows)} rows left in {table}", shown)


SUPERSEDED_BY = {
    "replacement.shipped": ("issue.replacement_part_shipped",),
    "parcel.delivered": ("issue.replacement_part_shipped",),
    "collection.booked": ("issue.collected", "issue.item_received", "issue.item_inspected"),
    "collection.collected": ("issue.item_received", "issue.item_inspected"),
}
"""A late partner event may be superseded by the effect of an event on another topic."""


def _is_superseded(history: History, fact: Fact) -> bool:
    if fact.type in ("item.received", "item.inspected") and _is_kept(history, fact):
        return True
    if fact.type in ("replacement.shipped", "parcel.delivered") and _is_sent_in_spite(history, fact):
        return True
    return bool(history.about(fact.issue, "issue.cancelled", *SUPERSEDED_BY.get(fact.type, ())))


def _is_sent_in_spite(history: History, fact: Fact) -> bool:
    """Return true for a parcel of a replacement that was cancelled meanwhile: staff are asked about it."""
    cancelled = {each.data["replacement_id"] for each in history.about(fact.issue, "replacement.cancelled")}
    causes = {each.data["cause"] for each in history.about(fact.issue, "issue.review_requested")}
    return fact.data["replacement_id"] in cancelled and "moved_after_stop" in causes


def _is_kept(history: History, count: Fact) -> bool:
    """Return true for a count that names an issue without a report: it is kept and shown, as `counted_goods` checks."""
    shown = (str(fact.data.get("detail")) for fact in history.of("anomaly.detected"))
    return not history.about(count.issue, "issue.reported") and any(count.issue in detail for detail in shown)


PENDING = ("issue.details_requested", "issue.review_requested")
"""Intake's events about a report that is neither accepted nor rejected; `no_silence` checks its deadline."""


def _reports_lost(history: History) -> Iterator[Violation]:
    known = {fact.issue for fact in history.of("issue.reported")}
    settled = known & {fact.issue for fact in history.of("issue.accepted", "issue.rejected", *PENDING)}
    for entry in history.ledger:
        if entry.get("status") == 202 and str(entry["issue_id"]) not in settled:
            yield Violation(f"report {entry['key']}: answered 202, not on the topic", (str(dict(entry)),))
    references = {fact.data.get("reference") for fact in history.of("issue.reported") if fact.issue in settled}
    references |= {fact.data.get("reference") for fact in history.of("issue.rejected")}
    for fact in history.of("issue.submitted"):
        if fact.data.get("reference") not in references:
            yield violation(f"report {fact.data.get('reference')}: submitted, neither accepted nor rejected", fact)


def _points_lost(history: History) -> Iterator[Violation]:
    granted = {fact.data["cause"] for fact in history.of("points.granted", "points.withheld")}
    for fact in history.of("issue.resolved"):
        cause = f"issue:{fact.issue}:{fact.data.get('resolution', 1)}"
        taken_back = history.about(fact.issue, "issue.reopened", "issue.cancelled")
        if fact.data["fault"] in ("merchant", "carrier") and cause not in granted and not taken_back:
            yield violation(f"issue {fact.issue}: resolved, and points were neither granted nor withheld", fact)


ONCE_PER_ROUND = (
    ("replacement.ordered", "replacement_id", ()),
    (
        "collection.requested",
        "collection_id",
        ("collection.cancelled", "item.return_ordered", "replacement.shipment_changed"),
    ),
    ("refund.requested", "refund_id", ("refund.reversed",)),
)
"""Orders to partners, one in each round of an issue, and what makes room for one more: cancelled, something else sent
back, a replacement that did not leave after all, money that came back. Units that come back singly are paid back so.
"""


def nothing_twice(history: History) -> Iterator[Violation]:
    """One effect per cause, however often an event repeats on the wire."""
    yield from _same_id_other_content(history.facts)
    for issue, facts in history.issues():
        rounds = 1 + sum(
            fact.type in ("issue.reopened", "replacement.rejected", "replacement.cancelled") for fact in facts
        )
        for kind, id_field, ends in ONCE_PER_ROUND:
            orders = {fact.data[id_field]: fact for fact in facts if fact.type == kind}
            receipts = sum(fact.type == "issue.item_received" for fact in facts) if kind == "refund.requested" else 0
            ended = {_end_of_round(fact) for fact in facts if fact.type in ends and fact.data.get("called_off", True)}
            if len(orders) > max(rounds, receipts) + len(ended):
                yield violation(f"issue {issue}: {len(orders)} times {kind}", *orders.values())
        yield from _more_than_one(issue, [fact for fact in facts if fact.type == "issue.accepted"], rounds=1)
    yield from _repeated(history.of("points.granted"), "cause")
    yield from _repeated(history.of("notice.sent"), "notice_id")
    yield from _repeated(
        [fact for fact in history.of("refund.completed") if not fact.data.get("transaction_id")], "refund_id"
    )
    yield from _mailed_twice(history)


def _end_of_round(fact: Fact) -> tuple[str, str]:
    names = ("return_id", "transaction_id", "collection_id", "shipment_id")
    return fact.type, next((str(fact.data[name]) for name in names if fact.data.get(name)), "")


def _same_id_other_content(facts: Iterable[Fact]) -> Iterator[Violation]:
    seen: dict[tuple[str, str], Fact] = {}
    for fact in facts:
        other = seen.setdefault(fact.identity, fact)
        if other.body != fact.body:
            yield violation("two different events carry the same id", other, fact)


def _more_than_one(issue: str, facts: list[Fact], rounds: int) -> Iterator[Violation]:
    if len(facts) > rounds:
        yield violation(f"issue {issue}: {len(facts)} times {facts[0].type}", *facts)


def _repeated(facts: Iterable[Fact], name: str) -> Iterator[Violation]:
    seen: dict[str, Fact] = {}
    for fact in facts:
        other = seen.setdefault(fact.data[name], fact)
        if other is not fact:
            yield violation(f"{fact.type} twice for {name} {fact.data[name]}", other, fact)


def _mailed_twice(history: History) -> Iterator[Violation]:
    seen: set[str] = set()
    for mail in history.mails or ():
        if mail["message_id"] in seen:
            yield Violation("the same notice was mailed twice", (str(dict(mail)),))
        seen.add(mail["message_id"])


def no_silence(history: History) -> Iterator[Violation]:
    """Every open issue, promise and notice has a next deadline in the database, and none is long past."""
    if not history.databases:
        raise InsufficientDataError("deadlines are in the databases, and none was read")
    waiting = {service: {row["key"] for row in db.rows("timers")} for service, db in history.databases.items()}
    for issue in open_issues(history):
        if issue not in waiting.get("returns", ()):
            yield violation(f"issue {issue}: open without a timer", *history.about(issue)[-2:])
    named = {str(row.get("name")).rpartition(":")[2] for row in history.database("intake").rows("timers")}
    for issue in _pending_issues(history):
        if issue not in named:
            yield violation(f"issue {issue}: pending without a timer", *history.about(issue)[-2:])
    for order, fact in _unshipped(history).items():
        if order not in waiting.get("delivery_notify", ()):
            yield violation(f"order {order}: promised, not shipped, without a timer", fact)
    for service, database in history.databases.items():
        for row in database.rows("timers"):
            if row["due_at"] < history.now - timedelta(days=1):
                yield Violation(f"{service}: a timer is overdue by a day", (str(dict(row)),))
    for row in history.database("delivery_notify").rows("notices"):
        if row["status"] == "pending" and row["due_at"] < history.now - timedelta(days=1):
            yield Violation("a notice is overdue by a day", (str(dict(row)),))


def open_issues(history: History) -> list[str]:
    """Accepted issues whose last event on `issues` is neither a resolution nor a cancellation."""
    issues = []
    for issue, facts in history.issues():
        types = [fact.type for fact in facts if fact.topic == "issues"]
        last = next((kind for kind in reversed(types) if kind in (*ENDED, "issue.reopened")), None)
        if "issue.accepted" in types and last not in ENDED:
            issues.append(issue)
    return issues


def _pending_issues(history: History) -> list[str]:
    """Reports that wait for details or for staff, neither accepted nor rejected."""
    ended = {fact.issue for fact in history.of("issue.accepted", "issue.rejected", "issue.cancelled")}
    return sorted({fact.issue for fact in history.of(*PENDING)} - ended)


def _unshipped(history: History) -> dict[str, Fact]:
    """Orders that still owe the customer a shipment."""
    called_off = {fact.data["shipment_id"] for fact in history.of("shipment.changed") if fact.data.get("called_off")}
    gone = {
        fact.order
        for fact in history.of("order.shipped", "order.cancelled", "order.delivered")
        if fact.data.get("shipment_id") not in called_off
    }
    left = {fact.order for fact in history.of("customer.decided") if fact.data["choice"] == "cancel"}
    return {fact.order: fact for fact in history.of("order.placed") if fact.order not in gone | left}
