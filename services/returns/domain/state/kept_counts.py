"""Counts without a case: kept, matched by their papers as soon as that is possible, and shown to staff meanwhile.

A warehouse counts boxes before their report is accepted, with the number of another issue, with two returns in one box,
or without papers. Nothing it counted is dropped (invariant 15): the issue, the order, our return slip, the tracking
number, the serial number and the article are tried, and only one fitting case is a match.
"""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from libs.common.decisions.facts import Record
from libs.common.decisions.shipments import plain_number
from libs.common.events.values import CountedLine
from libs.common.events.warehouse import ItemInspected, ItemReceived
from services.returns.domain.state.case import Case
from services.returns.domain.state.count_ids import is_part_of
from services.returns.domain.state.counted_lines import is_of_another_issue
from services.returns.domain.state.line_quantities import missing
from services.returns.domain.state.return_slips import issue_of_slip
from services.returns.policy.movements import CollectOn

Count = ItemReceived | ItemInspected

_TIMER = "count:"

COUNT_WITHOUT_CASE = "count_without_case"
"""Anomaly of a kept count, until a case takes it or staff settle it."""


def count_thing(count_id: str) -> str:
    """Return the thing of that anomaly."""
    return f"count:{count_id}"


@dataclass(frozen=True, slots=True)
class CountKept(Record):
    """A count to be kept. `from_issue` is the case that it was taken out of, which gets it where nothing else fits.

    `is_named`: its lines name another issue, order or replacement, so that it waits for a case of that one instead.
    `trace` is the trace context of its event, added by the store.
    """

    count_id: str
    count: Count
    at: datetime
    from_issue: UUID | None = None
    is_named: bool = False
    trace: str | None = None


@dataclass(frozen=True, slots=True)
class CountMatched(Record):
    """A kept count was counted by a case. `receipt_id` is the warehouse's number of a box, if this was one."""

    count_id: str
    issue_id: UUID
    at: datetime
    receipt_id: str | None = None
    trace: str | None = None


@dataclass(frozen=True, slots=True)
class CountSettled(Record):
    """Staff dealt with a kept count outside any case; none takes it any more. `receipt_id`: its number as a box."""

    count_id: str
    staff: str
    comment: str
    at: datetime
    receipt_id: str | None = None
    trace: str | None = None


@dataclass(frozen=True, slots=True)
class KeptCount:
    """A kept count as a case reads it. `from_issue`: the case that handed it on; `is_last_choice`: no other case fits,
    and its lines name none; `taken_by`: the case that counted it.
    """

    count: Count
    from_issue: UUID | None = None
    is_last_choice: bool = False
    taken_by: UUID | None = None
    is_settled: bool = False

    @property
    def is_open(self) -> bool:
        return self.taken_by is None and not self.is_settled


def count_timer(count_id: str) -> str:
    """Return the name of the timer by which a kept count reaches its case."""
    return _TIMER + count_id


def count_of_timer(name: str) -> str | None:
    return name.removeprefix(_TIMER) if name.startswith(_TIMER) else None


def issues_named(count: Count) -> set[UUID]:
    """Return the issues that the papers of a count name."""
    found = {count.issue_id, *(line.issue_id for line in count.lines if isinstance(line, CountedLine))}
    if isinstance(count, ItemReceived) and count.return_slip:
        found.add(issue_of_slip(count.return_slip))
    return {issue for issue in found if issue}


def issue_of_box(count: Count) -> UUID | None:
    """Return the issue of the lines of a count that name none: that of the box, else that of its slip."""
    if count.issue_id or not isinstance(count, ItemReceived) or not count.return_slip:
        return count.issue_id
    return issue_of_slip(count.return_slip)


def orders_named(count: Count) -> set[str]:
    """Return the orders that the papers of a count name."""
    if not isinstance(count, ItemReceived):
        return set()
    found = {count.order_id, *(line.order_id for line in count.lines)}
    return {order for order in found if order}


def marks_of(count: Count) -> list[str]:
    """Return texts of which one occurs in the JSON of a fitting case: numbers of the box, and its articles.

    They are quoted as values, because a short one ("1") is a part of every document.
    """
    if not isinstance(count, ItemReceived):
        return [f'"{count.receipt_id}'] if count.receipt_id else []
    found = [_quoted(count.replacement_id)] if count.replacement_id else []
    found += [count.tracking_number] if count.tracking_number else []
    for line in count.lines:
        found += [_quoted(line.replacement_id)] if line.replacement_id else []
        found += [f'"sku":{_quoted(line.sku)}'] if line.sku else []
        found += map(_quoted, line.serials)
    return found


def _quoted(value: object) -> str:
    return json.dumps(str(value), ensure_ascii=False)


def match_count(count: Count, cases: Iterable[Case], beside: UUID | None = None) -> Case | None:
    """Return the only case that a count fits, by the strongest of its marks; None where none or several fit.

    `beside` is the case that handed the count on; only cases that take one of its lines are asked then. A count that
    names an issue without a case waits for it: weaker marks may be those of another customer.
    """
    others = [case for case in cases if case.issue_id != beside and not (beside and _claims_nothing(case, count))]
    issues = issues_named(count) - {beside}
    named = [case for case in others if case.issue_id in issues]
    if len(named) == 1:
        return named[0]
    if issues and not named:
        return None
    if not isinstance(count, ItemReceived):
        return _case_of_box(count, others)
    if stated := _first_stated(count, named):
        return stated
    numbered = [case for case in named or others if _has_number(case, count)]
    if len(numbered) == 1:
        return numbered[0]
    orders = orders_named(count)
    of_order = [case for case in numbered or named or others if not orders or case.order_id in orders]
    fitting = [case for case in of_order if all(_fits(case, line) for line in count.lines)]
    expecting = [case for case in fitting if _is_expecting(case)]
    return _only(expecting) or _only(fitting)


def _first_stated(count: ItemReceived, cases: Iterable[Case]) -> Case | None:
    """Return the case that the first line of a box with units of several names; it hands the other lines on."""
    by_issue = {case.issue_id: case for case in cases}
    return next((by_issue[line.issue_id] for line in count.lines if line.issue_id in by_issue), None)


def _case_of_box(count: ItemInspected, cases: Iterable[Case]) -> Case | None:
    """Return the case of the box of an inspection; of a box for several cases, the only one with all its lines."""
    if not count.receipt_id:
        return None
    box, lines = count.receipt_id, {line.line_id for line in count.lines}
    of_box = [case for case in cases if any(is_part_of(each, box) for each in case.inbound.receipt_ids)]
    return _only(of_box) or _only([case for case in of_box if lines <= {*case.reported_units, *case.inbound.received}])


def is_of_case(case: Case, count: Count) -> bool:
    """Return whether a number of the count is one of the case, or a counted line may be one of its lines.

    A line that names neither an article nor an order line may be any.
    """
    if isinstance(count, ItemInspected):
        return any(line.line_id in case.reported_units for line in count.lines)
    return _has_number(case, count) or any(
        _fits(case, line) or (line.sku is None and line.line_id is None) for line in count.lines
    )


def _claims_nothing(case: Case, count: Count) -> bool:
    """Return whether a case would hand on every line: what was handed on once must not come back to its sender."""
    return isinstance(count, ItemReceived) and all(is_of_another_issue(case, line) for line in count.lines)


def _only(cases: Sequence[Case]) -> Case | None:
    return cases[0] if len(cases) == 1 else None


def _has_number(case: Case, count: ItemReceived) -> bool:
    """Return whether a replacement, a tracking number or a serial number of the count is one of the case."""
    wanted = {count.replacement_id, *(line.replacement_id for line in count.lines)} - {None}
    serials = {serial for line in count.lines for serial in line.serials}
    tracking = plain_number(count.tracking_number)
    for leg in case.replacements:
        if leg.replacement_id in wanted:
            return True
        for parcel in leg.parcels:
            if serials.intersection(parcel.serials) or (tracking and plain_number(parcel.tracking_number) == tracking):
                return True
    return False


def _fits(case: Case, line: CountedLine) -> bool:
    """Return whether a counted line is one that the case is about."""
    for reported in case.lines:
        instead = {reported.received_instead.sku} if reported.received_instead else set()
        is_line = line.line_id in (None, reported.line_id)
        if is_line and (line.sku in {reported.sku, *instead} or (line.sku is None and line.line_id is not None)):
            return True
    return False


def _is_expecting(case: Case) -> bool:
    is_planned = case.plan.collect_on is not CollectOn.NEVER and not case.is_closed
    return is_planned and bool(missing(case.returnable_units, case.inbound.received))
