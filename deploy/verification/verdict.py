"""What a check says: violations with the events that show them, or honestly that it could not judge."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TypeAlias

from deploy.verification.evidence import Fact, History


@dataclass(frozen=True, slots=True)
class Violation:
    """One thing that should never have happened; `shown_by` are the records or rows that show it."""

    description: str
    records: tuple[str, ...] = ()


class InsufficientDataError(Exception):
    """The data says nothing about this invariant; the message says what was missing."""


Check: TypeAlias = Callable[[History], Iterable[Violation]]


@dataclass(frozen=True, slots=True)
class Verdict:
    """`violations` is None where the check could not judge; `reason` then says why."""

    name: str
    violations: tuple[Violation, ...] | None
    reason: str = ""


def violation(description: str, *facts: Fact) -> Violation:
    return Violation(description, tuple(map(str, facts)))


def run_check(name: str, check: Check, history: History) -> Verdict:
    try:
        return Verdict(name, tuple(check(history)))
    except InsufficientDataError as error:
        return Verdict(name, None, str(error))
