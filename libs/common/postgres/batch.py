"""Rows of a batch: column arrays as the parameters of a statement with `unnest`, and the count of changed rows."""

from collections.abc import Sequence
from typing import Any


def columns(rows: Sequence[tuple[Any, ...]], width: int = 0) -> Sequence[Sequence[Any]]:
    """Return the columns of these rows; `width` empty ones without rows."""
    return list(zip(*rows, strict=True)) if rows else [()] * width


def row_count(status: str) -> int:
    """Return the number of rows that a statement changed, from its status such as `UPDATE 3`."""
    return int(status.rsplit(" ", 1)[1])
