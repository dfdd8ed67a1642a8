"""Rows as columns: what a statement for a whole batch takes, one array per column."""

from collections.abc import Sequence
from typing import Any


def columns(rows: Sequence[tuple[Any, ...]], width: int) -> Sequence[Sequence[Any]]:
    """The columns of these rows; `width` empty ones where there are none."""
    return list(zip(*rows, strict=True)) if rows else [()] * width
