"""Accuracy of promises from the topics alone: the share of first dates kept, per warehouse, carrier and product group.

The first date of a subject is the first one that a customer was given, as delivery_notify counts it. It is kept if the
thing was done by the end of its day, also if a later date was announced meanwhile; a date that was released or is open
does not count. Part of the auditor: it shares no code with the services.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from deploy.verification.evidence import History
from deploy.verification.given_dates import Subject
from deploy.verification.promise_integrity import JudgedPromise, Outcome, judge_promises
from libs.common.decisions.intervals import Share, share

UNKNOWN = "unknown"
_DIMENSIONS = {
    "line": ("warehouse", "product_group"),
    "replacement": ("warehouse", "product_group"),
    "delivery": ("carrier", "product_group"),
}
"""Dimensions by which the dates of each kind are counted: a warehouse ships, a carrier delivers."""


@dataclass(frozen=True, slots=True)
class AccuracyOfGroup:
    """First dates of one group: those kept among those kept or missed."""

    dimension: str
    kind: str
    name: str
    kept: Share


@dataclass
class _Names:
    """Names of each order line, and the lines that each issue reported."""

    of_line: dict[tuple[str, str], dict[str, str]] = field(default_factory=dict)
    reported: dict[str, set[tuple[str, str]]] = field(default_factory=dict)


def measure_accuracy(history: History) -> list[AccuracyOfGroup]:
    """Return the accuracy per dimension, kind of promise and name, in this order."""
    names = _names(history)
    counts: dict[tuple[str, str, str], list[int]] = {}
    for each in _first_dates(judge_promises(history)):
        kept = _is_kept(history, each)
        if kept is None:
            continue
        for dimension in _DIMENSIONS.get(each.given.subject[1], ()):
            count = counts.setdefault((dimension, each.given.subject[1], _name(names, each, dimension)), [0, 0])
            count[0] += kept
            count[1] += 1
    return [AccuracyOfGroup(*key, share(kept, whole)) for key, (kept, whole) in sorted(counts.items())]


def _first_dates(promises: Iterable[JudgedPromise]) -> Iterator[JudgedPromise]:
    first: dict[Subject, JudgedPromise] = {}
    for each in promises:
        known = first.get(each.given.subject)
        if known is None or each.given.at < known.given.at:
            first[each.given.subject] = each
    yield from first.values()


def _is_kept(history: History, promise: JudgedPromise) -> bool | None:
    """Return None for a date that was released, or that may still be kept."""
    if promise.done_at is not None and promise.done_at.astimezone(history.zone).date() <= promise.day:
        return True
    if promise.outcome == Outcome.RELEASED:
        return None
    is_to_come = promise.day >= history.now.astimezone(history.zone).date()
    return None if promise.done_at is None and is_to_come else False


def _name(names: _Names, promise: JudgedPromise, dimension: str) -> str:
    order, kind, subject_id = promise.given.subject
    lines: Iterable[tuple[str, str]] = [(order, subject_id)]
    if kind == "replacement":
        lines = names.reported.get(promise.given.source.issue, set())
    found: set[str | None] = {names.of_line.get(line, {}).get(dimension) for line in lines}
    return (next(iter(found)) if len(found) == 1 else None) or UNKNOWN


def _names(history: History) -> _Names:
    names = _Names()
    for fact in sorted(history.of("order.changed", "order.placed"), key=lambda each: each.event_time):
        for line in _lines(fact.data):
            known = names.of_line.setdefault((fact.order, str(line["line_id"])), {})
            for name in ("warehouse", "product_group"):
                if line.get(name):
                    known.setdefault(name, str(line[name]))
    for fact in sorted(history.of("order.shipped"), key=lambda each: each.event_time):
        for line in _lines(fact.data):
            if fact.data.get("carrier"):
                names.of_line.setdefault((fact.order, str(line["line_id"])), {})["carrier"] = str(fact.data["carrier"])
    for fact in history.of("issue.accepted"):
        names.reported[fact.issue] = {(fact.order, str(line["line_id"])) for line in _lines(fact.data)}
    return names


def _lines(data: Mapping[str, object]) -> list[Mapping[str, object]]:
    lines = data.get("lines")
    return [line for line in lines if isinstance(line, dict) and "line_id" in line] if isinstance(lines, list) else []
