"""SVG charts: bar charts with stacked segments, and a heatmap of a week; pure.

No chart library: pygal and matplotlib embed styles (and pygal a script), which the page's Content-Security-Policy
forbids, and an external image follows neither the dark nor the light theme. Colours come from the page's style sheet.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from markupsafe import Markup

_WIDTH, _LABEL, _ROW, _BAR = 420, 142, 30, 16
_WEEK = 460


@dataclass(frozen=True, slots=True)
class Bar:
    """One row of a chart: label, segments (value and CSS class), and a note behind the bar.

    `low` and `high` are an interval around the value, `target` a mark; all in the unit of the values.
    """

    label: str
    segments: Sequence[tuple[float, str]]
    note: str = ""
    low: float | None = None
    high: float | None = None
    target: float | None = None


def bar_chart(title: str, rows: Sequence[Bar], *, minimum: float = 0.0) -> Markup:
    """Return horizontal bars on a common scale that begins at `minimum`."""
    maximum = (
        max((max(sum(v for v, _ in row.segments), row.high or 0, row.target or 0) for row in rows), default=0) or 1
    )
    width = _WIDTH - _LABEL - 96
    span = maximum - minimum

    def x(value: float) -> float:
        return round(_LABEL + width * (value - minimum) / span, 1)

    body = Markup("").join(_row(row, index, x) for index, row in enumerate(rows))
    height = _ROW * len(rows) + 8
    zero = Markup('<line class="axis" x1="{0}" y1="2" x2="{0}" y2="{1}"/>').format(x(max(0.0, minimum)), height - 4)
    return Markup('<svg class="chart" viewBox="0 0 {} {}" role="img" aria-label="{}">{}{}</svg>').format(
        _WIDTH, height, title, zero, body
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
    top, start = index * _ROW + 6, 0.0
    middle = top + _BAR / 2
    out = [_NAME.format(_LABEL - 10, middle + 4, _truncate(row.label))]
    for value, colour in row.segments:
        left, right = sorted((x(start), x(start + value)))
        out.append(_RECT.format(colour, left, top, round(right - left, 1), _BAR))
        start += value
    ends = [x(0.0), x(start)]
    if row.low is not None and row.high is not None:
        out.append(_LINE.format("range", x(row.low), middle, x(row.high), middle))
        ends.append(x(row.high))
    if row.target is not None:
        out.append(_LINE.format("target", x(row.target), top - 4, x(row.target), top + _BAR + 4))
        ends.append(x(row.target))
    return Markup("").join([*out, _NOTE.format(max(ends) + 8, middle + 4, row.note)])


def _truncate(label: str) -> str:
    """Truncate a label to the space beside its bar; the table next to the chart has the full text."""
    limit = 20 if label.isascii() else 10
    return label if len(label) <= limit else label[: limit - 1] + "…"


def week_heatmap(title: str, days: Sequence[str], counts: Sequence[Sequence[int]]) -> Markup:
    """Return a week by hours. `counts` has seven rows of 24; the opacity of a cell grows with its count."""
    maximum = max((count for row in counts for count in row), default=0) or 1
    out = [_HOUR.format(42 + hour * 17, hour) for hour in range(0, 24, 3)]
    for number, (name, row) in enumerate(zip(days, counts, strict=True)):
        top = number * 23 + 20
        out.append(_NAME.format(34, top + 15, name))
        for hour, count in enumerate(row):
            opacity = round(0.12 + 0.88 * count / maximum, 2) if count else 0.06
            out.append(_CELL.format(42 + hour * 17, top, opacity, f"{name} {hour}: {count}"))
    return Markup('<svg class="chart" viewBox="0 0 {} 192" role="img" aria-label="{}">{}</svg>').format(
        _WEEK, title, Markup("").join(out)
    )
