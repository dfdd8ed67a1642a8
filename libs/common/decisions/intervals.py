"""Confidence interval of a share, 95 % by default: E. B. Wilson, "Probable inference, the law of succession, and
statistical inference", JASA 22 (1927), 209-212. Chosen over the normal interval, which degenerates to a point if all
answers are equal.
"""

from dataclasses import dataclass
from math import sqrt

Z_95 = 1.959963984540054
"""The two-sided 95 % point of the normal distribution."""


@dataclass(frozen=True, slots=True)
class Share:
    """`part` of `whole` with its interval. For an empty whole the share is None and the interval is [0, 1]."""

    part: int
    whole: int
    share: float | None
    low: float
    high: float


def share(part: int, whole: int, z: float = Z_95) -> Share:
    """Return the share with its Wilson interval. Raises `ValueError` if part is not between 0 and whole."""
    if not 0 <= part <= whole:
        raise ValueError(f"part: {part} is not between 0 and {whole}")
    if not whole:
        return Share(0, 0, None, 0.0, 1.0)
    proportion, weight = part / whole, z * z / whole
    center = (proportion + weight / 2) / (1 + weight)
    spread = z / (1 + weight) * sqrt(proportion * (1 - proportion) / whole + weight / (4 * whole))
    return Share(
        part, whole, proportion, max(0.0, min(center - spread, proportion)), min(1.0, max(center + spread, proportion))
    )
