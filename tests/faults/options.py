"""What the environment asks of a run."""

import os
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class FaultOptions:
    """`seconds` is how long faults and load go on; healing, draining and judging come on top.

    `short` is the form that CI runs: its own schedule and its own length.
    """

    seconds: float = 300.0
    seed: int = 1
    report: Path | None = None
    per_second: float = 4.0
    short: bool = False

    @classmethod
    def from_environment(cls, environ: Mapping[str, str] = os.environ) -> "FaultOptions":
        """Raises `ValueError` that names the variable."""
        seed = environ.get("SEED") or str(secrets.randbelow(1_000_000))
        report = environ.get("REPORT")
        return cls(
            seconds=_number("SECONDS", environ.get("SECONDS") or "300"),
            seed=int(_number("SEED", seed)),
            report=Path(report) if report else None,
            short=environ.get("SHORT", "") not in ("", "0"),
            per_second=_number("RATE", environ.get("RATE") or "4"),
        )


def _number(name: str, text: str) -> float:
    try:
        found = float(text)
    except ValueError:
        found = -1.0
    if found < 0 or (name != "SEED" and found == 0):
        raise ValueError(f"{name}: {text!r} is not a number above 0")
    return found
