"""Promise integrity: every date that a customer was given, and what became of it, from the topics alone.

A date counts for its own day. It is `kept` if the thing was done by the end of that day, `announced_before` if a later
date or the lack of one was announced by then, `silent` if the day passed without either (target 0), and `released` if
it ended or moved earlier first, by the customer's choice or a cancellation. Until the end of its day it is `open`. A
date that no customer was given is no promise. Part of the auditor: it shares no code with the services.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from enum import StrEnum

from deploy.verification.dates_after_checkout import dates_after_checkout
from deploy.verification.evidence import Fact, History
from deploy.verification.given_dates import GivenDate, Subject, given_dates, lines_of, ordered_replacements, time_of


class Outcome(StrEnum):
    KEPT = "kept"
    ANNOUNCED_BEFORE = "announced_before"
    SILENT = "silent"
    RELEASED = "released"
    OPEN = "open"


@dataclass(frozen=True, slots=True)
class JudgedPromise:
    """A given date, with the outcome and the record that gave it; `done_at` is when its thing was done, if it was."""

    given: GivenDate
    day: date
    outcome: Outcome
    done_at: datetime | None = None


@dataclass
class _Ends:
    """Times at which each subject was done, or ended without being done."""

    done: dict[Subject, datetime] = field(default_factory=dict)
    ended: defaultdict[Subject, list[datetime]] = field(default_factory=lambda: defaultdict(list))


def judge_promises(history: History) -> list[JudgedPromise]:
    """Return every given date with its outcome, by day and subject."""
    ends = _ends(history)
    given = _by_subject(history, ends)
    judged = [found for subject, dates in given.items() for found in _judge(history, subject, dates, ends)]
    return sorted(judged, key=lambda each: (each.day, each.given.subject))


def _by_subject(history: History, ends: _Ends) -> Mapping[Subject, Sequence[GivenDate]]:
    """A date that the shop states after the checkout counts where its subject had none before and was not done yet."""
    given: defaultdict[Subject, list[GivenDate]] = defaultdict(list)
    for each in given_dates(history):
        given[each.subject].append(each)
    for each in dates_after_checkout(history):
        done = ends.done.get(each.subject)
        if not (done and done <= each.at) and all(other.at > each.at for other in given[each.subject]):
            given[each.subject].append(each)
    return given


def count_by_day(promises: Iterable[JudgedPromise]) -> dict[date, dict[Outcome, int]]:
    """Return the number of promises of each day, by outcome."""
    days: dict[date, dict[Outcome, int]] = {}
    for each in promises:
        counts = days.setdefault(each.day, dict.fromkeys(Outcome, 0))
        counts[each.outcome] += 1
    return days


def _judge(history: History, subject: Subject, dates: Sequence[GivenDate], ends: _Ends) -> Iterator[JudgedPromise]:
    dates = sorted(dates, key=lambda each: each.at)
    done = ends.done.get(subject)
    for number, each in enumerate(dates):
        if each.day is None:
            continue
        later = [other for other in dates[number + 1 :] if other.day != each.day]
        yield JudgedPromise(each, each.day, _outcome(history, each, later, done, ends.ended[subject]), done)


def _outcome(
    history: History, given: GivenDate, later: Sequence[GivenDate], done: datetime | None, ended: Sequence[datetime]
) -> Outcome:
    assert given.day is not None
    end = datetime.combine(given.day + timedelta(days=1), time(), history.zone)
    following = next((each for each in later if each.at < end), None)
    if following and not (done and done <= following.at):
        is_earlier = following.day is not None and following.day < given.day
        return (
            Outcome.RELEASED if is_earlier or following.source.type == "customer.decided" else Outcome.ANNOUNCED_BEFORE
        )
    if done and done < end:
        return Outcome.KEPT
    if any(given.at <= at < end for at in ended):
        return Outcome.RELEASED
    return Outcome.OPEN if end > history.now else Outcome.SILENT


def _ends(history: History) -> _Ends:
    ends = _Ends()
    quantities = _quantities(history)
    for (order, line_id), quantity in quantities.items():
        delivered = _complete_at(history, "order.delivered", order, line_id, quantity)
        shipped = _complete_at(history, "order.shipped", order, line_id, quantity) or delivered
        for kind, at in (("line", shipped), ("delivery", delivered)):
            if at:
                ends.done[order, kind, line_id] = at
    for fact in history.of("replacement.shipped"):
        subject = (_order_of(history, fact), "replacement", str(fact.data.get("replacement_id")))
        ends.done.setdefault(subject, time_of(fact, "shipped_at"))
    _add_replacement_dates(history, ends)
    _add_cancellations(history, ends, quantities)
    return ends


def _add_replacement_dates(history: History, ends: _Ends) -> None:
    """The day by which a ship date was to be given is kept by a notice of the date, by a choice, or by the shipment."""
    replacements = ordered_replacements(history)
    for fact in history.of("notice.sent"):
        given = [str(ref["subject_id"]) for ref in fact.data.get("announces") or () if ref["subject"] == "replacement"]
        if fact.data.get("kind") == "choice_requested" and fact.issue in replacements:
            given.append(replacements[fact.issue])
        for replacement in given:
            _first(ends.done, (fact.order, "replacement_date", replacement), time_of(fact, "sent_at"))
    for fact in history.of("replacement.shipped"):
        subject = (_order_of(history, fact), "replacement_date", str(fact.data.get("replacement_id")))
        _first(ends.done, subject, time_of(fact, "shipped_at"))


def _first(times: dict[Subject, datetime], subject: Subject, at: datetime) -> None:
    times[subject] = min(at, times.get(subject, at))


def _quantities(history: History) -> dict[tuple[str, str], int]:
    """The newest quantity of each order line."""
    found: dict[tuple[str, str], int] = {}
    stated = history.of("order.placed", "order.changed")
    for fact in sorted(stated, key=lambda each: each.event_time):
        for line in lines_of(fact):
            quantity = line.get("quantity", 1)
            found[fact.order, str(line["line_id"])] = quantity if isinstance(quantity, int) else 1
    return found


def _complete_at(history: History, type_: str, order: str, line_id: str, quantity: int) -> datetime | None:
    """Return when all units of the line had been shipped, or delivered; a shipment counts once."""
    counted = 0
    for at, units in _movements(history, type_).get((order, line_id), ()):
        counted += units
        if counted >= quantity:
            return at
    return None


def _movements(history: History, type_: str) -> Mapping[tuple[str, str], Sequence[tuple[datetime, int]]]:
    """Shipments, or deliveries, of each order line in the order of their times."""
    cache: dict[str, dict[tuple[str, str], list[tuple[datetime, int]]]] = history.__dict__.setdefault("_movements", {})
    if type_ not in cache:
        seen: set[tuple[str, str]] = set()
        lines: defaultdict[tuple[str, str], list[tuple[datetime, int]]] = defaultdict(list)
        for fact in history.of(type_):
            shipment = fact.data.get("shipment_id")
            if shipment and (fact.order, str(shipment)) in seen:
                continue
            seen.add((fact.order, str(shipment)))
            at = time_of(fact, "shipped_at" if type_ == "order.shipped" else "delivered_at")
            for line in lines_of(fact):
                lines[fact.order, str(line["line_id"])].append((at, int(line.get("quantity", 1))))
        cache[type_] = {key: sorted(each) for key, each in lines.items()}
    return cache[type_]


def _add_cancellations(history: History, ends: _Ends, quantities: Mapping[tuple[str, str], int]) -> None:
    lines_of: defaultdict[str, list[str]] = defaultdict(list)
    for order, line_id in quantities:
        lines_of[order].append(line_id)
    for fact in history.of("order.cancelled", "customer.decided"):
        if fact.type == "customer.decided" and (fact.issue or fact.data.get("choice") not in ("cancel", "change")):
            continue
        for line_id in fact.data.get("line_ids") or lines_of[fact.order]:
            for kind in ("line", "delivery"):
                ends.ended[fact.order, kind, str(line_id)].append(fact.event_time)
    _add_removed_lines(history, ends)
    replacements = ordered_replacements(history)
    for fact in history.of("replacement.cancelled", "issue.cancelled"):
        replacement = str(fact.data.get("replacement_id") or replacements.get(fact.issue))
        for kind in ("replacement", "replacement_date"):
            ends.ended[_order_of(history, fact), kind, replacement].append(fact.event_time)


def _add_removed_lines(history: History, ends: _Ends) -> None:
    for fact in history.of("order.changed"):
        for line in lines_of(fact):
            if line.get("quantity") == 0:
                for kind in ("line", "delivery"):
                    ends.ended[fact.order, kind, str(line["line_id"])].append(time_of(fact, "changed_at"))


def _order_of(history: History, fact: Fact) -> str:
    """The order of an event; partners name the issue alone."""
    if fact.order or not fact.issue:
        return fact.order
    return next((each.order for each in history.about(fact.issue) if each.order), "")
