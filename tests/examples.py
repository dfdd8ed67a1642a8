"""How many examples Hypothesis draws: a share of the full number by default, all of it in `make test-long`.

Write `max_examples=examples(150)` for a number of a test's own. A test without one has the number of the profile.
"""

from hypothesis import settings

FULL = 100
"""Examples of a test that names no number, in the profile `long`."""

SHORT = 15
"""The same in the profile `short`, which is the default."""

FEWEST = 3


def register() -> None:
    """Make both profiles known; `--hypothesis-profile=long` chooses the other one.

    No deadline: how long one example takes says more about what else the machine does than about the code.
    """
    settings.register_profile("short", deadline=None, max_examples=SHORT)
    settings.register_profile("long", deadline=None, max_examples=FULL)
    settings.load_profile("short")


def examples(full: int) -> int:
    """The share of `full` that the chosen profile draws, and never fewer than `FEWEST`."""
    return min(full, max(FEWEST, full * settings().max_examples // FULL))
