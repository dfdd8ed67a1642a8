"""Identities of counts: within a case, among the kept ones, and of their content.

A warehouse uses a receipt id for one box, but it can name several issues for it, one event each; and a gate that
starts over can use an id again. Within a case an id is counted once. Among the kept counts, boxes for several issues
and boxes with other content or papers are different counts: none may take the place of another one (invariant 15).
"""

import re

from libs.common.decisions.ids import derived_id
from libs.common.events.warehouse import ItemInspected, ItemReceived

Count = ItemReceived | ItemInspected

MAX_GIVEN = 100
"""Characters of a receipt id that the id of a part of it begins with; the hash behind them tells parts apart."""

_PART = re.compile(r"/[0-9a-f]{8}$")


def count_id(event: Count) -> str:
    """Return the warehouse's id of a count, else one from time and lines: two counts may share a second."""
    return _given(event) or str(derived_id("count", _moment(event), *_lines(event)))


def kept_id(event: Count) -> str:
    """Return the id of a count among the kept ones: that of the warehouse and its content, else one from all papers."""
    given = _given(event)
    if given:
        return f"{given}/{derived_id('content', event.issue_id, *_lines(event), *_papers(event)).hex[:8]}"
    papers = (event.order_id, event.replacement_id, event.return_slip) if isinstance(event, ItemReceived) else ()
    tracking = event.tracking_number if isinstance(event, ItemReceived) else event.receipt_id
    return str(derived_id("count", event.issue_id, *papers, tracking, _moment(event), *_lines(event)))


def former_kept_id(event: Count) -> str | None:
    """Return the id under which releases kept this count that hashed its issue and lines alone; None if it is equal."""
    given = _given(event)
    if not given or not _papers(event):
        return None
    return f"{given}/{derived_id('content', event.issue_id, *_lines(event)).hex[:8]}"


def part_id(receipt_id: str, issue_id: object, *named: object) -> str:
    """Return the receipt id of the units that the case of an issue handed on, by the issue or order that they name.

    It has at most 128 characters.
    """
    return f"{receipt_id[:MAX_GIVEN]}/{derived_id('part', receipt_id, issue_id, *named).hex[:8]}"


def boxes_of(receipt_id: str) -> set[str]:
    """Return the receipt ids of which this one may be a part, itself included; each cut to `MAX_GIVEN` characters."""
    found = {receipt_id[:MAX_GIVEN]}
    while part := _PART.search(receipt_id):
        receipt_id = receipt_id[: part.start()]
        found.add(receipt_id[:MAX_GIVEN])
    return found


def is_part_of(receipt_id: str, box: str) -> bool:
    """Return whether a receipt id is that of a box, or of units of it that a case handed on."""
    return box[:MAX_GIVEN] in boxes_of(receipt_id)


def content_mark(event: Count) -> str:
    """Return a short mark of the counted units, by which an id that is used again for other units is noticed."""
    return derived_id("content", *_lines(event)).hex[:8]


def _given(event: Count) -> str | None:
    return event.receipt_id if isinstance(event, ItemReceived) else event.inspection_id


def _papers(event: Count) -> list[str]:
    """Return the papers of a count besides its issue: boxes that differ in one of them are different boxes."""
    names = ("order_id", "replacement_id", "return_slip", "tracking_number")
    papers = {name: getattr(event, name) for name in (names if isinstance(event, ItemReceived) else ("receipt_id",))}
    return [f"{name}={value}" for name, value in papers.items() if value]


def _moment(event: Count) -> str:
    return (event.received_at if isinstance(event, ItemReceived) else event.inspected_at).isoformat()


def _lines(event: Count) -> list[str]:
    return sorted(line.model_dump_json() for line in event.lines)
