"""Unit counts by order line, the quantity type of every leg."""

from typing import TypeAlias

from libs.common.events.values import LineQuantity

UnitCounts: TypeAlias = dict[str, int]
"""Units by order line. Never changed in place."""


def to_counts(lines: tuple[LineQuantity, ...]) -> UnitCounts:
    counts = {line.line_id: line.quantity for line in lines}
    return counts if len(counts) == len(lines) else add_counts({}, {}, lines)


def add_counts(counts: UnitCounts, more: UnitCounts, lines: tuple[LineQuantity, ...] = ()) -> UnitCounts:
    """Return the sum of both counts and the lines."""
    if not lines and not (counts and more):
        return counts or more
    total = dict(counts)
    for line_id, count in more.items():
        total[line_id] = total.get(line_id, 0) + count
    for line in lines:
        total[line.line_id] = total.get(line.line_id, 0) + line.quantity
    return total


def missing(wanted: UnitCounts, have: UnitCounts) -> UnitCounts:
    """Return `wanted` less `have`, without lines of which nothing is missing."""
    return {line: left for line, count in wanted.items() if (left := count - have.get(line, 0)) > 0}


def common_counts(left: UnitCounts, right: UnitCounts) -> UnitCounts:
    """Return the units that both counts contain."""
    return {line: both for line, count in left.items() if (both := min(count, right.get(line, 0))) > 0}


def to_lines(counts: UnitCounts) -> tuple[LineQuantity, ...]:
    return tuple(LineQuantity(line_id=line_id, quantity=count) for line_id, count in counts.items())
