"""Failpoints: named steps at which a test can kill the process, as a power cut would.

`FAILPOINT=after_commit:3` exits at the third pass of that step. Unset, a step costs one comparison.
"""

import os

STEPS = (
    "after_fetch",
    "after_inbox",
    "before_commit",
    "after_commit",
    "before_offsets",
    "relay_selected",
    "relay_sent",
    "relay_deleted",
    "command_before_commit",
    "command_after_commit",
    "timer_before_commit",
    "timer_after_commit",
)
"""All failpoints, in the order in which an event, an outbox row, a command or a timer passes them."""

_NAME, _, _COUNT = os.environ.get("FAILPOINT", "").partition(":")
_left = int(_COUNT or 1)


def failpoint(name: str) -> None:
    """Exit at once, without clean-up, if this is the configured step."""
    global _left  # noqa: PLW0603 - one countdown per process is the point
    if name == _NAME:
        _left -= 1
        if _left == 0:
            os._exit(137)
