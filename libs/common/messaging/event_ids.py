"""Ids of published events: UUID version 7 (RFC 9562), unique and unpredictable.

An id that can be predicted (a run name and a counter were used before) lets anyone who reads one topic publish the next
id elsewhere first. The leading time keeps the inbox keys of one producer adjacent, as a counter did. `uuid.uuid7` needs
Python 3.14 and costs twice as much.
"""

from secrets import token_hex
from time import time_ns


def new_event_id() -> str:
    """Return a new id."""
    time, random = f"{time_ns() // 1_000_000:012x}", token_hex(10)
    variant = "89ab"[int(random[0], 16) & 3]
    return f"{time[:8]}-{time[8:]}-7{random[1:4]}-{variant}{random[4:7]}-{random[7:19]}"
