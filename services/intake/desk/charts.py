"""Charts as SVG, drawn on the server: bars, stacked bars, a week by hours. Each page shows the same figures as a table.

Plain SVG and not a library: pygal and matplotlib write their styles (and pygal its script) into the picture, which the
page's policy forbids; as an image of its own it could follow neither dark nor light. What is drawn here is rectangles
and lines, coloured by the page's style sheet. Numbers in, text out; nothing is looked up.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from markupsafe import Markup

_WIDTH, _LABEL, _ROW, _BAR = 420, 142, 30, 16
_WEEK = 460


@dataclass(frozen=True, slots=True)
class Bar:
    """One row: its label, the parts of its bar (value and colour class), and what is written behind it.

    `low` and `high` are an interval around the value, `target` a mark; all in the unit of the values.
    """

    label: str
    parts: Sequence[tuple[float, str]]
    note: str = ""
    low: float | None = None
    high: float | None = None
    target: float | None = None


def bars(title: str, rows: Sequence[Bar], *, least: float = 0.0) -> Markup:
    """Horizontal bars on a common scale; `least` is where the scale begins (below 0 for scores that may be)."""
    most = max((max(sum(v for v, _ in row.parts), row.high or 0, row.target or 0) for row in rows), default=0) or 1
    room = _WIDTH - _LABEL - 96
    span = most - least

    def x(value: float) -> float:
        return round(_LABEL + room * (value - least) / span, 1)

    drawn = Markup("").join(_row(row, index, x) for index, row in enumerate(rows))
    height = _ROW * len(rows) + 8
    zero = Markup('<line class="axis" x1="{0}" y1="2" x2="{0}" y2="{1}"/>').format(x(max(0.0, least)), height - 4)
    return Markup('<svg class="chart" viewBox="0 0 {} {}" role="img" aria-label="{}">{}{}</svg>').format(
        _WIDTH, height, title, zero, drawn
    )


_NAME = Markup('<text class="label" x="{}" y="{}" text-anchor="end">{}</text>')
_RECT = Markup('<rect class="{}" x="{}" y="{}" width="{}" height="{}" rx="2"/>')
_LINE = Markup('<line class="{}" x1="{}" y1="{}" x2="{}" y2="{}"/>')
_HOUR = Markup('<text class="label" x="{}" y="14">{}</text>')
_NOTE = Markup('<text x="{}" y="{}">{}</text>')
_CELL = Markup(
    '<rect class="bar" x="{}" y="{}" width="15" height="20" rx="2" fill-opacity="{}"><title>{}</title></rect>'
)


def _row(row: Bar, index: int, x: Callable[[float], float]) -> Markup:
    top, at = index * _ROW + 6, 0.0
    middle = top + _BAR / 2
    out = [_NAME.format(_LABEL - 10, middle + 4, _short(row.label))]
    for value, colour in row.parts:
        left, right = sorted((x(at), x(at + value)))
        out.append(_RECT.format(colour, left, top, round(right - left, 1), _BAR))
        at += value
    ends = [x(0.0), x(at)]
    if row.low is not None and row.high is not None:
        out.append(_LINE.format("range", x(row.low), middle, x(row.high), middle))
        ends.append(x(row.high))
    if row.target is not None:
        out.append(_LINE.format("target", x(row.target), top - 4, x(row.target), top + _BAR + 4))
        ends.append(x(row.target))
    return Markup("").join([*out, _NOTE.format(max(ends) + 8, middle + 4, row.note)])


def _short(label: str) -> str:
    """Cut where there is no room; the table beside the chart has it whole."""
    room = 20 if label.isascii() else 10
    return label if len(label) <= room else label[: room - 1] + "…"


def week(title: str, days: Sequence[str], counts: Sequence[Sequence[int]]) -> Markup:
    """A week by hours: `counts` has seven rows of 24; the fuller a cell, the more there was."""
    most = max((count for row in counts for count in row), default=0) or 1
    out = [_HOUR.format(42 + hour * 17, hour) for hour in range(0, 24, 3)]
    for number, (name, row) in enumerate(zip(days, counts, strict=True)):
        top = number * 23 + 20
        out.append(_NAME.format(34, top + 15, name))
        for hour, count in enumerate(row):
            opacity = round(0.12 + 0.88 * count / most, 2) if count else 0.06
            out.append(_CELL.format(42 + hour * 17, top, opacity, f"{name} {hour}: {count}"))
    return Markup('<svg class="chart" viewBox="0 0 {} 192" role="img" aria-label="{}">{}</svg>').format(
        _WEEK, title, Markup("").join(out)
    )
