"""Faults of refused content, by field and without values: messages go to logs, headers and partners."""

from collections.abc import Collection

from pydantic import ValidationError

NO_ESTIMATES = "; write a definite day such as 2027-03-12, not an estimate such as 'late March'"

Fault = tuple[str, str]
"""Field and message."""


def faults_of(error: ValidationError, *prefix: str, hidden: Collection[str] = ()) -> list[Fault]:
    """Return all faults, each with the path of its field; parts of a path in `hidden` are left out.

    A list whose items are all faulty is also reported as empty; that is not a fault of its own.
    """
    found = error.errors(include_url=False, include_input=False)
    deeper = {each["loc"][: len(each["loc"]) - depth] for each in found for depth in range(1, len(each["loc"]))}
    return [
        (
            ".".join((*prefix, *(str(part) for part in each["loc"] if part not in hidden))) or "record",
            each["msg"] + (NO_ESTIMATES if each["type"].startswith("date_") else ""),
        )
        for each in found
        if not (each["type"] == "too_short" and each["loc"] in deeper)
    ]


def fault_texts(error: ValidationError, whole: str) -> list[str]:
    """Return all faults of an operator's file as `key: message`; `whole` names it for a fault of no single key."""
    return [
        ": ".join(filter(None, (_key(fault["loc"]) or whole, fault["msg"].removeprefix("Value error, "))))
        for fault in error.errors(include_url=False)
    ]


def _key(location: tuple[int | str, ...]) -> str:
    return ".".join(str(part) for part in location if part != "[key]")
