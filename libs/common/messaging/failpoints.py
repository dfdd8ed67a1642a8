"""Named steps between read and commit at which a test can end the process, as a power cut would.

`FAILPOINT=after_commit:3` ends the process the third time it comes to that step. Unset, a step costs one comparison.
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
"""Every named step, in the order in which an event, a row of the outbox, a command or a timer comes to them."""

_NAME, _, _COUNT = os.environ.get("FAILPOINT", "").partition(":")
_left = int(_COUNT or 1)


def failpoint(name: str) -> None:
    """Exit at once, without clean-up, if this is the step that was asked for."""
    global _left  # noqa: PLW0603 - one countdown per process is the point
    if name == _NAME:
        _left -= 1
        if _left == 0:
            os._exit(137)
