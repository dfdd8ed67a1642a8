"""Verdicts of checks: violations with the records that prove them, or insufficient data."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TypeAlias

from deploy.verification.evidence import Fact, History


@dataclass(frozen=True, slots=True)
class Violation:
    """One violation of an invariant, and the records or rows that prove it."""

    description: str
    records: tuple[str, ...] = ()


class InsufficientDataError(Exception):
    """The data cannot prove or disprove this invariant; the message names the missing part."""


Check: TypeAlias = Callable[[History], Iterable[Violation]]


@dataclass(frozen=True, slots=True)
class Verdict:
    """`violations` is None where the data was insufficient; `reason` names the missing part."""

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
