"""Commands of a runbook page, run as they stand there."""

import asyncio
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from deploy.local.paths import ROOT

PAGES = ROOT / "docs" / "how-to"
_BLOCK = re.compile(r"^ *```(\w*)\n(.*?)^ *```$", re.MULTILINE | re.DOTALL)
_SHELL = 'sakidashi() { "$PYTHON" -m deploy.cli "$@"; }; psql() { "$PROGRAMS/psql" "$@"; }; '


def commands_of(page: str) -> list[str]:
    """Return the lines of all code blocks of a page, in order."""
    return [line.strip() for block in blocks_of(page) for line in block.splitlines()]


def blocks_of(page: str) -> list[str]:
    """Return the code blocks of a page, in order; those with a language are examples."""
    found = _BLOCK.findall((PAGES / page).read_text(encoding="utf-8"))
    return [block for language, block in found if not language]


@dataclass(frozen=True)
class Operator:
    """Runs commands in a shell, with the variables that an operator has set.

    `programs` is the folder of those of Postgres, `variables` are set besides.
    """

    kafka: str
    prefix: str
    urls: Mapping[str, str]
    python: str
    programs: Path = Path()
    variables: Mapping[str, str] = field(default_factory=dict)

    async def run(self, command: str) -> tuple[int, str]:
        """Return exit code and output of a line or a block of a page."""
        environment = {
            "PYTHON": self.python,
            "KAFKA_BOOTSTRAP_SERVERS": self.kafka,
            "KAFKA_TOPIC_PREFIX": self.prefix,
            "KAFKA_PARTITIONS": "6",
            "DATABASE_URLS": " ".join(f"{name}={url}" for name, url in self.urls.items()),
            "RECONCILE_GRACE_MINUTES": "0",
            "RECONCILE_SECOND_LOOK_SECONDS": "0",
            "PROGRAMS": str(self.programs),
            **self.variables,
        }
        process = await asyncio.create_subprocess_exec(
            "bash",
            "-euc",
            _SHELL + command,
            cwd=ROOT,
            env={**os.environ, **environment},
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        output, _ = await process.communicate()
        return process.returncode or 0, output.decode()
