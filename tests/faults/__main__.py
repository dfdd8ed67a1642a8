"""`make faults`: break everything, for a while and by a seed, and see whether anything was lost or happened twice.

    SECONDS=300 SEED=1 REPORT=faults.json python -m tests.faults

`SHORT=1` is the half minute that CI runs; `RATE` says how many orders come a second (4). The exit code is 0 only where
nothing was violated and everything recovered.
"""

import asyncio
import json
import sys
from datetime import UTC, datetime

from rich.console import Console

from deploy.local.kafka import BrokerUnavailableError
from deploy.local.managed_process import NotReadyError
from deploy.local.process_guard import ending_on_signals
from tests.faults.asyncio_noise import expect_leftovers
from tests.faults.options import Options
from tests.faults.report import as_json, show
from tests.faults.run import SPEED, Outcome, monday_morning, run
from tests.faults.system import Ground, ground, system


async def _run(console: Console, options: Options, given: Ground) -> Outcome:
    expect_leftovers()
    async with system(given, monday_morning(datetime.now(UTC)), SPEED) as running:
        return await run(running, options, lambda text: console.print(text, highlight=False, markup=False))


def main() -> None:
    console = Console()
    try:
        options = Options.from_environment()
        length = "the short form" if options.short else f"{options.seconds:g} seconds"
        console.print(f"seed {options.seed}, {length}; the same seed repeats the same schedule")
        with ending_on_signals(), ground() as given:
            outcome = asyncio.run(_run(console, options, given))
    except (NotReadyError, BrokerUnavailableError, TimeoutError, ValueError) as error:
        console.print(f"[red]faults failed:[/red] {error}", highlight=False)
        sys.exit(2)
    except KeyboardInterrupt:
        console.print("stopped")
        sys.exit(130)
    show(console, outcome)
    if options.report:
        options.report.write_text(json.dumps(as_json(outcome), indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    sys.exit(1 if any(outcome.violations.values()) else 0)


if __name__ == "__main__":
    main()
