"""Accuracy of promises: the share of first dates that were kept, per warehouse, carrier or product group.

The first date is the first one that the customer was given. It is kept if the thing was done by the end of its day,
also if a later date was announced meanwhile, and missed if the day ended without it. A date that the customer gave up
in time, by a cancellation or by the choice of a later day, is released and does not count.
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from libs.common.decisions.intervals import Share, share
from libs.common.events.notices import PromiseSubject

UNKNOWN = "unknown"
"""Name of a warehouse, carrier or product group that is not known."""

OTHER = "other"
"""Name of all groups beyond the largest ones."""


class Dimension(StrEnum):
    WAREHOUSE = "warehouse"
    CARRIER = "carrier"
    PRODUCT_GROUP = "product_group"


SUBJECTS = {
    Dimension.WAREHOUSE: (PromiseSubject.LINE, PromiseSubject.REPLACEMENT),
    Dimension.CARRIER: (PromiseSubject.DELIVERY,),
    Dimension.PRODUCT_GROUP: (PromiseSubject.LINE, PromiseSubject.DELIVERY, PromiseSubject.REPLACEMENT),
}
"""Promises that each dimension is about: a warehouse ships, a carrier delivers."""


class FirstDateOutcome(StrEnum):
    KEPT = "kept"
    MISSED = "missed"
    RELEASED = "released"
    OPEN = "open"
    UNKNOWN = "unknown"
    """Nothing is known of the thing: its order was erased from the conversations, or is older than the outcomes."""


@dataclass(frozen=True, slots=True)
class OutcomeCount:
    """Number of first dates of one subject and name with one outcome."""

    subject: str
    name: str
    outcome: FirstDateOutcome
    dates: int


@dataclass(frozen=True, slots=True)
class Accuracy:
    """First dates of one subject and name. `kept` is the share of kept dates among those kept or missed."""

    subject: str
    name: str
    kept: Share
    missed: int
    released: int
    open: int
    unknown: int

    @property
    def dates(self) -> int:
        return self.kept.whole + self.released + self.open + self.unknown


def accuracies(counts: Iterable[OutcomeCount]) -> list[Accuracy]:
    """Return the accuracy of each subject and name, the largest group of each subject first."""
    groups: dict[tuple[str, str], Counter[FirstDateOutcome]] = {}
    for each in counts:
        groups.setdefault((each.subject, each.name), Counter())[each.outcome] += each.dates
    found = [_accuracy(subject, name, counted) for (subject, name), counted in groups.items()]
    return sorted(found, key=lambda each: (each.subject, -each.dates, each.name))


def _accuracy(subject: str, name: str, counted: Counter[FirstDateOutcome]) -> Accuracy:
    kept, missed = counted[FirstDateOutcome.KEPT], counted[FirstDateOutcome.MISSED]
    return Accuracy(
        subject,
        name,
        share(kept, kept + missed),
        missed,
        counted[FirstDateOutcome.RELEASED],
        counted[FirstDateOutcome.OPEN],
        counted[FirstDateOutcome.UNKNOWN],
    )


def limit_names(counts: Iterable[OutcomeCount], limit: int) -> list[OutcomeCount]:
    """Return the counts with the names of at most `limit` groups; all others are counted as `OTHER`."""
    counts = list(counts)
    sizes: Counter[str] = Counter()
    for each in counts:
        sizes[each.name] += each.dates
    largest = {name for name, _ in sorted(sizes.items(), key=lambda each: (-each[1], each[0]))[:limit]}
    merged: Counter[tuple[str, str, FirstDateOutcome]] = Counter()
    for each in counts:
        merged[each.subject, each.name if each.name in largest else OTHER, each.outcome] += each.dates
    return [OutcomeCount(*key, dates) for key, dates in sorted(merged.items())]
