"""Checks on events: none lost, none doubled, in order, no silence, one trace (invariants 3, 4, 5, 6, 11)."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from datetime import timedelta

from deploy.verification.evidence import Fact, History, in_write_order, parse_time
from deploy.verification.order_versions import line_versions, remaining_accounts, statements
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
    return bool(history.about(fact.issue, "issue.cancelled", *SUPERSEDED_BY.get(fact.type, ())))


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


def nothing_twice(history: History) -> Iterator[Violation]:
    """One effect per cause, however often an event repeats on the wire."""
    yield from _same_id_other_content(history.facts)
    for issue, facts in history.issues():
        rounds = 1 + sum(
            fact.type in ("issue.reopened", "replacement.rejected", "replacement.cancelled") for fact in facts
        )
        for kind, name, ends in (
            ("replacement.ordered", "replacement_id", ()),
            ("collection.requested", "collection_id", ("collection.cancelled", "collection_id")),
            ("refund.requested", "refund_id", ("refund.reversed", "transaction_id")),
        ):
            orders = {fact.data[name]: fact for fact in facts if fact.type == kind}
            ended = {fact.data[ends[1]] for fact in facts if fact.type == ends[0]} if ends else set()
            if len(orders) > rounds + len(ended):
                yield violation(f"issue {issue}: {len(orders)} times {kind}", *orders.values())
        yield from _more_than_one(issue, [fact for fact in facts if fact.type == "issue.accepted"], rounds=1)
    yield from _repeated(history.of("points.granted"), "cause")
    yield from _repeated(history.of("notice.sent"), "notice_id")
    yield from _repeated(
        [fact for fact in history.of("refund.completed") if not fact.data.get("transaction_id")], "refund_id"
    )
    yield from _mailed_twice(history)


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


def _out_of_order_at_partner(facts: Iterable[Fact]) -> set[tuple[str, str]]:
    """Pairs that the partner itself published in the other order, or of which the earlier one came too late to
    count."""
    causes = {effect: fact for cause, (effect, _) in EFFECTS.items() for fact in facts if fact.type == cause}
    return {
        (earlier, later)
        for earlier, later in REQUIRED_ORDER
        if later in causes and _same_partner_topic(earlier, later) and _is_after(causes.get(earlier), causes[later])
    }


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


def one_trace(history: History) -> Iterator[Violation]:
    """From the report to its effects within ten minutes, all records carry the trace of the report.

    An event type that never carries a trace proves nothing (tracing is off at its producer). A later request about the
    issue, such as a withdrawal, begins a trace of its own.
    """
    traced = {fact.issue: _trace(fact) for fact in history.of("issue.reported") if _trace(fact)}
    if not traced:
        raise InsufficientDataError("no report carries a trace context; set OTEL_EXPORTER_OTLP_ENDPOINT")
    followers = ("issue.accepted", "replacement.ordered", "refund.requested", "notice.sent")
    silent = {kind for kind in followers if not any(map(_trace, history.of(kind)))}
    for issue, trace in traced.items():
        start = history.about(issue, "issue.reported")[0]
        for fact in history.about(issue, *(kind for kind in followers if kind not in silent)):
            soon = fact.event_time - start.event_time < timedelta(minutes=10)
            if fact.type == "issue.accepted" and fact.event_time != start.event_time:
                continue  # accepted by a later request, such as the photo that was missing; it has a trace of its own
            if not soon or _trace(fact) == trace or _follows_a_decision(history, issue, fact):
                continue
            if not _follows_a_wait(history, issue, fact):
                yield violation(f"issue {issue}: {fact.type} is not in the trace of the report", start, fact)


def _trace(fact: Fact) -> str:
    parts = fact.headers.get("traceparent", "").split("-")
    return parts[1] if len(parts) == 4 else ""


def _follows_a_decision(history: History, issue: str, fact: Fact) -> bool:
    """Return true if the fact is in the trace of a decision of staff, or of a customer who withdraws."""
    decided = history.about(issue, "issue.staff_decided", "issue.staff_decision_applied")
    earlier = [each for each in decided if each.written_at <= fact.written_at]
    return bool(_trace(fact)) and any(_trace(each) == _trace(fact) for each in earlier)


def _follows_a_wait(history: History, issue: str, fact: Fact) -> bool:
    """Return true if the fact follows from a wait, where a new trace with a link to the old one is right."""
    if history.roots is not None:
        # With collected spans the link is required; the first span may be lost with its process.
        return bool(_trace(fact)) and bool(history.roots.get(_trace(fact), {""}))
    if _ends_the_wait_for_a_date(history, issue, fact):
        return bool(_trace(fact))
    earlier = [each for each in history.about(issue) if each.written_at <= fact.written_at]
    return bool(_trace(fact)) and any(_trace(each) == _trace(fact) and each is not fact for each in earlier)


def _ends_the_wait_for_a_date(history: History, issue: str, fact: Fact) -> bool:
    """Return true for the answer to a report after the time until which it waited for the warehouse's date: a timer
    begins its trace, and the notice may be the first record in it.
    """
    ordered = history.about(issue, "issue.replacement_ordered")
    waits = [parse_time(each.data["date_expected_at"]) for each in ordered if each.data.get("date_expected_at")]
    return fact.data.get("kind") == "issue_accepted" and any(until <= fact.event_time for until in waits)
