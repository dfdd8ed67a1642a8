"""Hypothesis profiles: number of examples per test, in `short` a share of the number in `long` (`make test-long`).

A test with its own number writes `max_examples=examples(150)`; the others use the number of the profile.
"""

from hypothesis import settings

LONG = 100
"""Examples per test in the profile `long`, unless the test has its own number."""

SHORT = 15
"""Examples per test in the profile `short`, the default."""

MINIMUM = 3


def register() -> None:
    """Register both profiles and load `short`; `--hypothesis-profile=long` overrides it.

    Neither has a deadline: the duration of an example depends more on the load of the machine than on the code.
    """
    settings.register_profile("short", deadline=None, max_examples=SHORT)
    settings.register_profile("long", deadline=None, max_examples=LONG)
    settings.load_profile("short")


def examples(long: int) -> int:
    """Scale the number of examples of the profile `long` to the active profile; at least `MINIMUM`."""
    return min(long, max(MINIMUM, long * settings().max_examples // LONG))
