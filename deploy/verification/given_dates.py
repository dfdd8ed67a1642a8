"""Dates that customers were given at checkout, in notices and by their choice, from the topics alone.

Part of the auditor: it shares no code with the services.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from deploy.verification.evidence import Fact, History, parse_time

Subject = tuple[str, str, str]
"""Order, kind of promise (`line`, `delivery`, `replacement`, `replacement_date`), and id of the line or replacement."""


@dataclass(frozen=True, slots=True)
class GivenDate:
    """A date for one subject as a customer was given it; None: a notice that the day before no longer holds."""

    subject: Subject
    day: date | None
    at: datetime
    source: Fact


def given_dates(history: History) -> Iterator[GivenDate]:
    """Return the dates of checkouts, notices and choices, in no order."""
    yield from _at_checkout(history)
    yield from _in_notices(history)
    yield from _by_choice(history)


def _at_checkout(history: History) -> Iterator[GivenDate]:
    """Dates that the shop stated with the order: the customer has them from its checkout."""
    first: dict[str, Fact] = {}
    for fact in history.of("order.placed"):
        first.setdefault(fact.order, fact)
    for order, fact in first.items():
        for line in lines_of(fact):
            for kind, name in (("line", "promised_ship_date"), ("delivery", "promised_delivery_date")):
                if line.get(name) and line.get("requires_shipping", True):
                    yield GivenDate(
                        (order, kind, str(line["line_id"])), day_of(line[name]), time_of(fact, "placed_at"), fact
                    )


def _in_notices(history: History) -> Iterator[GivenDate]:
    replacements = ordered_replacements(history)
    for fact in history.of("notice.sent"):
        at, announced = time_of(fact, "sent_at"), set()
        for ref in fact.data.get("announces") or ():
            subject = (fact.order, str(ref["subject"]), str(ref["subject_id"]))
            announced.add(subject)
            yield GivenDate(subject, day_of(ref["day"]), at, fact)
        for ref in fact.data.get("supersedes") or ():
            subject = (fact.order, str(ref["subject"]), str(ref["subject_id"]))
            if subject not in announced:
                yield GivenDate(subject, None, at, fact)
        if fact.data.get("kind") == "choice_requested" and fact.issue in replacements:
            yield GivenDate((fact.order, "replacement", replacements[fact.issue]), None, at, fact)


def _by_choice(history: History) -> Iterator[GivenDate]:
    """Dates that a customer chose: the choice page confirms them."""
    for fact in history.of("customer.decided"):
        if fact.data.get("requested_date") and not fact.issue:
            for line_id in fact.data.get("line_ids") or ():
                subject = (fact.order, "line", str(line_id))
                yield GivenDate(subject, day_of(fact.data["requested_date"]), time_of(fact, "decided_at"), fact)


def ordered_replacements(history: History) -> dict[str, str]:
    """Return the last replacement of each issue."""
    return {fact.issue: str(fact.data.get("replacement_id")) for fact in history.of("replacement.ordered")}


def lines_of(fact: Fact) -> list[Mapping[str, Any]]:
    """Return the lines that an event states."""
    lines = fact.data.get("lines")
    return [line for line in lines if isinstance(line, dict) and "line_id" in line] if isinstance(lines, list) else []


def day_of(text: Any) -> date:
    """Return the day of a date or time in ISO 8601."""
    return date.fromisoformat(str(text)[:10])


def time_of(fact: Fact, name: str) -> datetime:
    """Return the time in this field of an event, or the time of the event without one."""
    text = fact.data.get(name)
    return parse_time(text) if isinstance(text, str) else fact.event_time
