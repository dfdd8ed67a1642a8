"""Settings of the benchmark, from the environment."""

from dataclasses import dataclass
from pathlib import Path

from deploy.local.command_line import CommandError
from deploy.local.environment import flag, integer, output_file

ISSUES, QUICK_ISSUES = 3_000, 600
PAST, QUICK_PAST = 100_000, 10_000
CONNECTIONS = 64

PARTS = ("flood", "latency", "baseline", "tracing", "replicas", "peer", "past", "profile")
"""Parts of a run, in order; `AGAINST` adds a comparison with another revision at the end."""


@dataclass(frozen=True, slots=True)
class BenchOptions:
    """`issues` is the size of a flood, `connections` its number of concurrent HTTP calls, `past` the number of past
    issues that are loaded, `against` a git revision to compare with, `report` the file to write.
    """

    issues: int = ISSUES
    connections: int = CONNECTIONS
    past: int = PAST
    parts: tuple[str, ...] = PARTS
    against: str = ""
    report: Path | None = None

    @classmethod
    def from_environment(cls, environ: dict[str, str]) -> "BenchOptions":
        """Raises `CommandError` with the name of the wrong variable."""
        quick = flag("QUICK", environ)
        return cls(
            issues=integer("ISSUES", QUICK_ISSUES if quick else ISSUES, 100, 200_000, environ),
            connections=integer("CONNECTIONS", CONNECTIONS, 1, 1_000, environ),
            past=integer("PAST", QUICK_PAST if quick else PAST, 1_000, 10_000_000, environ),
            parts=_parts(environ.get("PARTS", "")),
            against=environ.get("AGAINST", ""),
            report=output_file("REPORT", environ),
        )

    @property
    def steady_issues(self) -> int:
        return self.issues // 2


def _parts(text: str) -> tuple[str, ...]:
    names = text.split(",") if text else list(PARTS)
    if unknown := [name for name in names if name not in PARTS]:
        raise CommandError(f"PARTS: {unknown[0]!r} is not a part; write some of {','.join(PARTS)}")
    return tuple(part for part in PARTS if part in names)
