"""Settings of the benchmark, from the environment."""

from dataclasses import dataclass
from pathlib import Path

from deploy.local.environment import integer, output_file

ISSUES = 6_000
"""The default: about a minute and a half on two free cores."""

CONNECTIONS = 64


@dataclass(frozen=True, slots=True)
class BenchOptions:
    """`issues` is the size of the flood; half as many follow at a steady rate, and as many pass the baseline.

    `connections` is the number of concurrent HTTP calls of the flood; `report` is the file to write.
    """

    issues: int = ISSUES
    connections: int = CONNECTIONS
    report: Path | None = None

    @classmethod
    def from_environment(cls) -> "BenchOptions":
        """Raises `CommandError` with the name of the wrong variable."""
        return cls(
            issues=integer("ISSUES", ISSUES, 100, 200_000),
            connections=integer("CONNECTIONS", CONNECTIONS, 1, 1_000),
            report=output_file("REPORT"),
        )

    @property
    def steady_issues(self) -> int:
        return self.issues // 2
