"""Rows as column arrays, the parameters of a statement with `unnest`."""

from collections.abc import Sequence
from typing import Any


def columns(rows: Sequence[tuple[Any, ...]], width: int = 0) -> Sequence[Sequence[Any]]:
    """Return the columns of these rows; `width` empty ones without rows."""
    return list(zip(*rows, strict=True)) if rows else [()] * width
