"""Settings of a fault run, from the environment."""

import os
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from deploy.local.environment import flag, integer, output_file, positive_number

MAX_SECONDS, MAX_RATE, MAX_BURST = 86_400, 1_000, 100


@dataclass(frozen=True, slots=True)
class FaultOptions:
    """`seconds` is the length of load and faults; healing, draining and the audit are added to it.

    Of the orders there are `burst` times as many for some seconds of each minute, so that batches are large.
    `short` selects the smoke schedule of CI, which has its own length. `quiet` injects no faults: partners are as
    disorderly as ever, which tells a fault of the rules from one of the plumbing.
    """

    seconds: float = 300.0
    seed: int = 1
    report: Path | None = None
    per_second: float = 4.0
    burst: float = 8.0
    short: bool = False
    quiet: bool = False

    @classmethod
    def from_environment(cls, environ: Mapping[str, str] = os.environ) -> "FaultOptions":
        """Raises `CommandError` with the name of the wrong variable."""
        return cls(
            seconds=positive_number("SECONDS", 300, MAX_SECONDS, environ),
            seed=integer("SEED", secrets.randbelow(1_000_000), environ=environ),
            report=output_file("REPORT", environ),
            short=flag("SHORT", environ),
            quiet=flag("QUIET", environ),
            burst=positive_number("BURST", 8, MAX_BURST, environ),
            per_second=positive_number("RATE", 4, MAX_RATE, environ),
        )
