"""Check that one trace leads from a report to its effects (invariant 11)."""

from collections.abc import Iterator
from datetime import timedelta

from deploy.verification.evidence import Fact, History, parse_time
from deploy.verification.verdict import InsufficientDataError, Violation, violation

_BEGINNINGS = (
    "issue.accepted",
    "issue.staff_decided",
    "issue.staff_decision_applied",
    "customer.decided",
    "parcel.found",
)


def one_trace(history: History) -> Iterator[Violation]:
    """From the report to its effects within ten minutes, all records carry the trace of the report.

    An event type that never carries a trace proves nothing (tracing is off at its producer). A later request about the
    issue, such as a withdrawal, and an event that nobody asked for, such as a found parcel, begin traces of their own.
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
    """Return true if the fact is in the trace of what began later: a decision of staff, a customer who chooses or
    withdraws, a later request that completed the report, or a courier who found the lost parcel.
    """
    decided = history.about(issue, *_BEGINNINGS)
    # The answer to a decision is published with its effects, on another topic, so that either may be written first.
    earlier = [each for each in decided if each.written_at <= fact.written_at or each.event_time <= fact.event_time]
    return bool(_trace(fact)) and any(_trace(each) == _trace(fact) and each is not fact for each in earlier)


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
