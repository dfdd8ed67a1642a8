"""Named steps between read and commit at which a test can end the process, as a power cut would.

`FAILPOINT=after_commit:3` ends the process the third time it comes to that step. Unset, a step costs one comparison.
"""

import os

_NAME, _, _COUNT = os.environ.get("FAILPOINT", "").partition(":")
_left = int(_COUNT or 1)


def failpoint(name: str) -> None:
    """Exit at once, without clean-up, if this is the step that was asked for."""
    global _left  # noqa: PLW0603 - one countdown per process is the point
    if name == _NAME:
        _left -= 1
        if _left == 0:
            os._exit(137)
