"""What the environment asks of the bench."""

import os
from dataclasses import dataclass
from pathlib import Path

ISSUES = 6_000
"""With this many the bench takes about a minute and a half on two free cores."""

CONNECTIONS = 64


@dataclass(frozen=True, slots=True)
class BenchOptions:
    """`issues` are flooded, half as many more are reported at a steady rate, as many go through the bare loop.

    `connections` is how many HTTP calls are under way at a time during the flood; `report` is the file to write.
    """

    issues: int = ISSUES
    connections: int = CONNECTIONS
    report: Path | None = None

    @classmethod
    def from_environment(cls) -> "BenchOptions":
        """Raises `ValueError` that names the wrong variable."""
        report = os.environ.get("REPORT")
        return cls(
            issues=whole_number("ISSUES", ISSUES, 100, 200_000),
            connections=whole_number("CONNECTIONS", CONNECTIONS, 1, 1_000),
            report=Path(report) if report else None,
        )

    @property
    def steady_issues(self) -> int:
        return self.issues // 2


def whole_number(name: str, default: int, least: int, most: int) -> int:
    """What the environment says. Raises `ValueError` that names the variable and what would be right."""
    text = os.environ.get(name, "") or str(default)
    if not text.isdecimal() or not least <= int(text) <= most:
        raise ValueError(f"{name}: {text!r} should be a whole number from {least:,} to {most:,}")
    return int(text)
