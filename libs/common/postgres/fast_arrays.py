"""Array parameters at less cost: asyncpg asks three abstract classes about each element whether it is an array itself.

Every batch is written as column arrays, so one lifecycle has hundreds of elements. The question is answered here by
concrete types; an element of any other type is a scalar, or a value that the codec of its type refuses.
"""

from collections import deque

from asyncpg.protocol import protocol

ARRAYS: tuple[type, ...] = (list, tuple, set, frozenset, deque, type({}.keys()), type({}.values()))


def use() -> None:
    """Make asyncpg recognise arrays by `ARRAYS`, in this process. Without effect if it no longer asks by this name."""
    protocol.IterableABC = ARRAYS  # type: ignore[attr-defined]
