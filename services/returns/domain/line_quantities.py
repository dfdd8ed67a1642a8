"""Pieces counted by order line: what every leg is told in."""

from typing import TypeAlias

from libs.common.events.values import LineQuantity

Counts: TypeAlias = dict[str, int]
"""Pieces by order line. Never changed in place."""


def counted(lines: tuple[LineQuantity, ...]) -> Counts:
    counts = {line.line_id: line.quantity for line in lines}
    return counts if len(counts) == len(lines) else added({}, {}, lines)


def added(counts: Counts, more: Counts, lines: tuple[LineQuantity, ...] = ()) -> Counts:
    """Both together, and the lines too."""
    if not lines and not (counts and more):
        return counts or more
    total = dict(counts)
    for line_id, count in more.items():
        total[line_id] = total.get(line_id, 0) + count
    for line in lines:
        total[line.line_id] = total.get(line.line_id, 0) + line.quantity
    return total


def missing(wanted: Counts, have: Counts) -> Counts:
    """What of `wanted` is not among `have`; lines with nothing missing are left out."""
    return {line: left for line, count in wanted.items() if (left := count - have.get(line, 0)) > 0}


def shared(left: Counts, right: Counts) -> Counts:
    """What both hold: the counted units that were also reported."""
    return {line: both for line, count in left.items() if (both := min(count, right.get(line, 0))) > 0}


def as_lines(counts: Counts) -> tuple[LineQuantity, ...]:
    return tuple(LineQuantity(line_id=line_id, quantity=count) for line_id, count in counts.items())
