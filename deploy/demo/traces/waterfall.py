"""Geometry of a waterfall: one row per span, indented by its depth, placed on a time axis. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass

from deploy.demo.traces.spans import Span

COLOURS = {
    "intake": "#2f6fde",
    "returns": "#d9822b",
    "delivery_notify": "#2e9d6b",
    "loyalty": "#a05bc4",
}
OTHER_COLOUR = "#7a8290"

ROW = 20
NAMES = 430
WIDTH = 1180


@dataclass(frozen=True, slots=True)
class SpanBar:
    """A bar: pixels from the left and from the top, and what it says."""

    span: Span
    depth: int
    x: float
    y: int
    width: float
    colour: str
    milliseconds: float


@dataclass(frozen=True, slots=True)
class Tick:
    x: float
    label: str


@dataclass(frozen=True, slots=True)
class Waterfall:
    rows: tuple[SpanBar, ...]
    ticks: tuple[Tick, ...]
    height: int
    milliseconds: float


def waterfall(spans: Sequence[Span]) -> Waterfall:
    """Lay out the spans of one trace. Raises `ValueError` for an empty trace."""
    if not spans:
        raise ValueError("spans: a trace has at least one span")
    begin, end = min(span.begin for span in spans), max(span.end for span in spans)
    total = max(end - begin, 1)
    scale = (WIDTH - NAMES) / total
    rows = tuple(
        SpanBar(
            span,
            depth,
            NAMES + (span.begin - begin) * scale,
            (position + 1) * ROW,
            max((span.end - span.begin) * scale, 2.0),
            COLOURS.get(span.service, OTHER_COLOUR),
            (span.end - span.begin) / 1e6,
        )
        for position, (span, depth) in enumerate(_in_tree_order(spans))
    )
    ticks = tuple(Tick(NAMES + (WIDTH - NAMES) * n / 5, f"{total * n / 5 / 1e6:,.0f} ms") for n in range(5))
    return Waterfall(rows, ticks, (len(rows) + 2) * ROW, total / 1e6)


def _in_tree_order(spans: Sequence[Span]) -> list[tuple[Span, int]]:
    """Parents before their children, children by their begin; a span whose parent is missing is a root."""
    known = {span.span_id for span in spans}
    children: dict[str, list[Span]] = {}
    for span in sorted(spans, key=lambda span: span.begin):
        children.setdefault(span.parent_id if span.parent_id in known else "", []).append(span)
    ordered: list[tuple[Span, int]] = []
    pending = [(span, 0) for span in reversed(children.get("", ()))]
    while pending:
        span, depth = pending.pop()
        ordered.append((span, depth))
        pending += [(child, depth + 1) for child in reversed(children.get(span.span_id, ()))]
    return ordered
