"""Checks on requests of customers about orders: an outcome in time, of which they are notified (invariant 17)."""

from collections.abc import Iterator
from datetime import timedelta

from deploy.verification.evidence import Fact, History, parse_time
from deploy.verification.verdict import Violation, violation

SLACK = timedelta(days=1)
"""Time after a deadline or an outcome for a timer that is late and a notice that waits for the morning."""

OUTCOME_NOTICES = ("order_cancelled", "change_accepted", "change_declined", "change_overtaken")
SILENCE_NOTICES = ("change_pending", *OUTCOME_NOTICES)
HEARD_ON_THE_PAGE = "date"
"""Subject of a request that the page answers at once: the date is never earlier than that of the order."""


def requests_answered(history: History) -> Iterator[Violation]:
    """Each request has an outcome by its deadline, or the day of the next update; its customer is notified of both."""
    erased = {fact.data.get("customer_id") for fact in history.of("customer.erasure_requested")}
    for asked in history.of("customer.decided"):
        if not asked.data.get("answer_by") or asked.data.get("customer_id") in erased:
            continue
        yield from _answered_in_time(history, asked)
        if asked.data.get("change") != HEARD_ON_THE_PAGE:
            yield from _heard(history, asked)


def _about(history: History, asked: Fact, kind: str) -> list[Fact]:
    """Return events of this type about a request, oldest first."""
    found = [fact for fact in history.of(kind) if fact.data["choice_id"] == asked.data["choice_id"]]
    return sorted(found, key=lambda fact: fact.event_time)


def _answered_in_time(history: History, asked: Fact) -> Iterator[Violation]:
    settled = _about(history, asked, "customer.decision_settled")
    first = settled[0].event_time if settled else history.now
    deadline, last = parse_time(asked.data["answer_by"]), asked
    for overdue in _about(history, asked, "customer.decision_overdue"):
        if overdue.event_time <= deadline + SLACK:
            deadline, last = parse_time(overdue.data["answer_by"]), overdue
    if first > deadline + SLACK:
        yield violation(f"order {asked.order}: a request has no outcome by {deadline}", last, *settled[:1])


def _heard(history: History, asked: Fact) -> Iterator[Violation]:
    """The customer is notified of the first outcome, and of each deadline that passes without one."""
    outcomes = _about(history, asked, "customer.decision_settled")[:1]
    outcomes = [fact for fact in outcomes if fact.data["outcome"] != "superseded"]
    overdue = _about(history, asked, "customer.decision_overdue")
    notices = [
        fact
        for fact in history.of("notice.sent", "notice.suppressed", "notice.failed")
        if fact.order == asked.order and fact.event_time >= asked.event_time
    ]
    for kinds, facts in ((OUTCOME_NOTICES, outcomes), (SILENCE_NOTICES, overdue)):
        heard = any(fact.data["kind"] in kinds for fact in notices)
        for fact in facts:
            if not heard and fact.event_time + SLACK < history.now:
                yield violation(f"order {asked.order}: nobody was notified of {fact.type}", asked, fact)
