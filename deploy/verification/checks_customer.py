"""Checks on communication with customers: notices in time, privacy (invariants 9 and 12)."""

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Set
from datetime import date, datetime, time, timedelta

from deploy.verification.evidence import Fact, History, in_write_order
from deploy.verification.verdict import InsufficientDataError, Violation, violation

DELAY_KINDS = ("order_delayed", "order_overdue", "replacement_delayed", "choice_requested", "review_started")


UNSHIPPED = "units_unshipped"
"""Cause of a date after the notice of the shipment: the parcel did not leave after all."""


def notice_before_promise_breaks(history: History) -> Iterator[Violation]:
    """Each broken promise has a notice before the end of the promised day; one per promise."""
    notices = _notices(history)
    yield from _orders_in_time(history, notices)
    yield from _replacements_in_time(history, notices)
    yield from _announced_once(history)


def _notices(history: History) -> dict[str, list[Fact]]:
    """All notices about an order, sent or suppressed."""
    notices: defaultdict[str, list[Fact]] = defaultdict(list)
    for fact in history.of("notice.sent", "notice.suppressed", "notice.failed"):
        notices[fact.order].append(fact)
    return notices


def _orders_in_time(history: History, notices: Mapping[str, list[Fact]]) -> Iterator[Violation]:
    """Compare the last promise before each day: an order unshipped on that day needs a notice by midnight."""
    shipped = {fact.order: fact.event_time for fact in history.of("order.shipped", "order.cancelled")}
    changes: defaultdict[str, list[Fact]] = defaultdict(list)
    for fact in history.of("order.promise_changed"):
        changes[fact.order].append(fact)
    customer_changes: defaultdict[str, list[Fact]] = defaultdict(list)
    for fact in history.of("customer.decided"):
        if fact.data["choice"] in ("change", "cancel") and not fact.issue:
            customer_changes[fact.order].append(fact)
    for placed in history.of("order.placed"):
        promises = [(placed.event_time, day) for day in _promised_days(placed)][:1]
        promises += [(fact.event_time, fact.data["promised_ship_date"]) for fact in changes[placed.order]]
        for number, (_, day) in enumerate(promises):
            end = _end_of(date.fromisoformat(day), history)
            replaced = promises[number + 1] if number + 1 < len(promises) else None
            if replaced and replaced[0] < end and replaced[1] <= day:
                continue  # moved to an earlier day before it passed
            if end > history.now or shipped.get(placed.order, history.now) < end:
                continue
            if any(fact.event_time <= end for fact in customer_changes[placed.order]):
                continue  # the customer chose another day or cancelled
            if not _was_notified(notices.get(placed.order, ()), placed.event_time, end, DELAY_KINDS):
                yield violation(f"order {placed.order}: {day} passed without a notice", placed, *changes[placed.order])


def _promised_days(placed: Fact) -> list[str]:
    return sorted(line["promised_ship_date"] for line in placed.data["lines"] if line.get("promised_ship_date"))


def _replacements_in_time(history: History, notices: Mapping[str, list[Fact]]) -> Iterator[Violation]:
    left = {fact.data["replacement_id"]: fact.event_time for fact in history.of("replacement.shipped")}
    for fact in history.of("issue.replacement_delayed"):
        end = _end_of(date.fromisoformat(fact.data["previous_ship_date"]), history)
        if left.get(fact.data["replacement_id"], end) < end:
            continue  # shipped on the promised day after all
        about = [each for each in notices.get(fact.order, ()) if each.issue == fact.issue]
        if end < history.now and not _was_notified(about, fact.event_time - timedelta(days=60), end, DELAY_KINDS):
            day = fact.data["previous_ship_date"]
            yield violation(f"issue {fact.issue}: {day} broke before a notice was sent", fact, *about)


def _was_notified(notices: Iterable[Fact], start: datetime, end: datetime, kinds: tuple[str, ...]) -> bool:
    return any(fact.data["kind"] in kinds and start <= fact.event_time <= end for fact in notices)


def _announced_once(history: History) -> Iterator[Violation]:
    """No date is announced twice, and no shipping news follows the parcel."""
    gone = {fact.issue: fact for fact in history.of("notice.sent") if fact.data["kind"] == "replacement_shipped"}
    delays = in_write_order(history.of("issue.replacement_delayed"))
    unshipped = {fact.issue: fact.written_at for fact in reversed(delays) if fact.data.get("cause") == UNSHIPPED}
    seen: dict[tuple[str, ...], Fact] = {}
    for fact in history.of("notice.sent"):
        kind, day = fact.data["kind"], fact.data.get("promised_date")
        if kind in ("order_delayed", "replacement_delayed") and day:
            name = (fact.order, fact.issue, kind, day)
            if name in seen:
                yield violation(f"order {fact.order}: {day} was announced twice", seen[name], fact)
            seen[name] = fact
        left = gone.get(fact.issue) if fact.issue else None
        is_new = fact.issue in unshipped and unshipped[fact.issue] <= fact.written_at
        is_late = left and left.written_at < fact.written_at and not is_new
        if left and is_late and kind in ("replacement_delayed", "replacement_promised"):
            yield violation(f"issue {fact.issue}: announced something older than known", left, fact)


def _end_of(day: date, history: History) -> datetime:
    return datetime.combine(day + timedelta(days=1), time(), history.zone)


ALLOWED_TOPICS = ("storefront.orders", "warehouse.orders", "carrier.orders", "messages")
TABLES_PER_SERVICE = {"intake": 1, "returns": 1, "delivery_notify": 1, "loyalty": 0}
TRANSIENT_TABLES = ("outbox", "dead_letters")
_MAIL = re.compile(r"[\w.+-]+@example\.(?:jp|com)")
LOG_SAMPLE = 400


def personal_data(history: History) -> Iterator[Violation]:
    """Names, addresses and contacts occur in four topics and one table per service that needs them, and in no log."""
    people: defaultdict[str, frozenset[str]] = defaultdict(frozenset)
    for fact in history.of("order.placed", "order.changed"):
        people[fact.order] |= personal_words(fact)
    if not people:
        raise InsufficientDataError("no order names a person")
    orders = {fact.issue: fact.order for fact in history.of("issue.reported")}
    for fact in history.facts:
        if fact.topic in ALLOWED_TOPICS:
            continue
        text = fact.value.decode("utf-8", "replace")
        words = people.get(fact.order or orders.get(fact.issue, ""), frozenset())
        if matches := [word for word in words if word in text] or _MAIL.findall(text):
            yield violation(f"{fact.topic}: {len(matches)} personal words in a record", fact)
    yield from _in_tables(history)
    yield from _in_logs(history, frozenset().union(*list(people.values())[:LOG_SAMPLE]))


def personal_words(placed: Fact) -> frozenset[str]:
    """The words of an order that identify a person; short words are left out, since they occur anywhere."""
    contact, ship_to = placed.data.get("contact") or {}, placed.data.get("ship_to") or {}
    words = [contact.get("name"), contact.get("email"), contact.get("phone")]
    words += [ship_to.get("name"), ship_to.get("street"), ship_to.get("phone")]
    return frozenset(word for word in words if word and len(word) > 4)


def _in_tables(history: History) -> Iterator[Violation]:
    for service, database in history.databases.items():
        tables = [name for name, rows in database.personal.items() if rows and name not in TRANSIENT_TABLES]
        if len(tables) > TABLES_PER_SERVICE.get(service, 0):
            yield Violation(f"{service}: personal words in {len(tables)} tables", tuple(tables))


def _in_logs(history: History, words: Set[str]) -> Iterator[Violation]:
    for name, text in history.logs.items():
        matches = set(_MAIL.findall(text)) | {word for word in words if word in text}
        if matches:
            yield Violation(f"log {name}: contains personal words", (f"{len(matches)} personal words",))
