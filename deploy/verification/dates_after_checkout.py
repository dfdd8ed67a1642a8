"""Dates that the shop itself stated to a customer after the checkout, from the topics alone.

They are the dates of a line that was added to the order, and the first delivery date of a line that had none: stated
with its shipment, or with a delay once it had shipped. Later delivery dates reach the customer by notice.
"""

from collections.abc import Iterator, Mapping
from datetime import datetime

from deploy.verification.evidence import Fact, History
from deploy.verification.given_dates import GivenDate, day_of, lines_of, time_of

_LineKey = tuple[str, str]
"""Order and line."""


def dates_after_checkout(history: History) -> list[GivenDate]:
    """Return these dates by their time. One counts only if its subject had none before."""
    lines = _shippable_lines(history)
    cancelled = _cancellations(history)
    found = [
        each
        for each in (*_with_shipments(history), *_with_delays(history))
        if _line_of(each) in lines and not _is_cancelled(each, cancelled) and _is_to_come(history, each)
    ]
    return sorted((*_of_added_lines(history), *found), key=lambda each: each.at)


def _of_added_lines(history: History) -> Iterator[GivenDate]:
    known: dict[str, set[str]] = {}
    for fact in history.of("order.placed"):
        known.setdefault(fact.order, {str(line["line_id"]) for line in lines_of(fact)})
    for fact in sorted(history.of("order.placed", "order.changed"), key=lambda each: each.event_time):
        at = time_of(fact, "placed_at" if fact.type == "order.placed" else "changed_at")
        for line in lines_of(fact):
            line_id = str(line["line_id"])
            if fact.order not in known or line_id in known[fact.order]:
                continue
            known[fact.order].add(line_id)
            for kind, name in (("line", "promised_ship_date"), ("delivery", "promised_delivery_date")):
                if line.get(name) and line.get("requires_shipping", True):
                    yield GivenDate((fact.order, kind, line_id), day_of(line[name]), at, fact)


def _with_shipments(history: History) -> Iterator[GivenDate]:
    held: dict[tuple[str, str], set[str]] = {}
    for fact in history.of("order.shipped"):
        line_ids = {str(line["line_id"]) for line in lines_of(fact)}
        held.setdefault((fact.order, str(fact.data.get("shipment_id"))), set()).update(line_ids)
        yield from _delivery_dates(fact, "expected_delivery_date", line_ids, time_of(fact, "shipped_at"))
    for fact in history.of("shipment.changed"):
        if not fact.data.get("called_off"):
            line_ids = held.get((fact.order, str(fact.data.get("shipment_id"))), set())
            yield from _delivery_dates(fact, "expected_delivery_date", line_ids, time_of(fact, "changed_at"))


def _with_delays(history: History) -> Iterator[GivenDate]:
    """A delay with a ship date reaches the customer by notice."""
    shipped: dict[str, dict[str, datetime]] = {}
    for fact in history.of("order.shipped"):
        for line in lines_of(fact):
            shipped.setdefault(fact.order, {}).setdefault(str(line["line_id"]), time_of(fact, "shipped_at"))
    for fact in history.of("order.delayed"):
        at, named = time_of(fact, "delayed_at"), {str(each) for each in fact.data.get("line_ids") or ()}
        if not fact.data.get("promised_ship_date"):
            left = {line_id for line_id, left_at in shipped.get(fact.order, {}).items() if left_at <= at}
            yield from _delivery_dates(fact, "promised_delivery_date", left & named if named else left, at)


def _delivery_dates(fact: Fact, name: str, line_ids: set[str], at: datetime) -> Iterator[GivenDate]:
    if fact.data.get(name):
        for line_id in sorted(line_ids):
            yield GivenDate((fact.order, "delivery", line_id), day_of(fact.data[name]), at, fact)


def _shippable_lines(history: History) -> set[_LineKey]:
    return {
        (fact.order, str(line["line_id"]))
        for fact in history.of("order.placed", "order.changed")
        for line in lines_of(fact)
        if line.get("requires_shipping", True)
    }


def _cancellations(history: History) -> dict[_LineKey, datetime]:
    """The first cancellation of each line; of a whole order with an empty line id."""
    found: dict[_LineKey, datetime] = {}
    for fact in history.of("order.cancelled"):
        for line_id in fact.data.get("line_ids") or ("",):
            key = (fact.order, str(line_id))
            found[key] = min(fact.event_time, found.get(key, fact.event_time))
    return found


def _line_of(given: GivenDate) -> _LineKey:
    return given.subject[0], given.subject[2]


def _is_cancelled(given: GivenDate, cancelled: Mapping[_LineKey, datetime]) -> bool:
    order, line_id = _line_of(given)
    return any(at <= given.at for key in ((order, line_id), (order, "")) if (at := cancelled.get(key)))


def _is_to_come(history: History, given: GivenDate) -> bool:
    """A day that is over when it becomes known is no promise."""
    known_at = max(given.at, given.source.event_time)
    return given.day is not None and given.day >= known_at.astimezone(history.zone).date()
