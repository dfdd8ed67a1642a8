"""`make faults`: injects faults by a seed for a while, then checks that nothing was lost or done twice.

    SECONDS=300 SEED=1 REPORT=faults.json python -m tests.faults

`SHORT=1` selects the smoke schedule of CI; `QUIET=1` injects no faults, so that only partners are disorderly; `RATE`
is the number of orders per second (4), `BURST` the factor by which they rise for some seconds of each minute (8). The
exit code is 0 where nothing was violated and everything recovered, 1 otherwise, and 2 where the run could not be made.
"""

import asyncio
import json
import sys
from datetime import UTC, datetime

from rich.console import Console

from deploy.local.command_line import exit_on_error
from deploy.local.process_guard import exit_on_signals
from tests.faults.asyncio_noise import silence_disconnect_errors
from tests.faults.options import FaultOptions
from tests.faults.report import as_json, show
from tests.faults.run import SPEED, FaultResult, next_monday_morning, run
from tests.faults.system import FaultInfrastructure, fault_infrastructure, fault_system


async def _run(console: Console, options: FaultOptions, infrastructure: FaultInfrastructure) -> FaultResult:
    silence_disconnect_errors()
    async with fault_system(infrastructure, next_monday_morning(datetime.now(UTC)), SPEED) as running:
        return await run(running, options, lambda text: console.print(text, highlight=False, markup=False))


def main() -> None:
    console = Console()
    with exit_on_error("faults"):
        options = FaultOptions.from_environment()
        length = "smoke schedule" if options.short else f"{options.seconds:g} seconds"
        console.print(f"seed {options.seed}, {length}; the same seed repeats the same schedule")
        with exit_on_signals(), fault_infrastructure() as infrastructure:
            result = asyncio.run(_run(console, options, infrastructure))
        show(console, result)
        if options.report:
            text = json.dumps(as_json(result), indent=2, ensure_ascii=False)
            options.report.write_text(text + "\n", encoding="utf-8")
    sys.exit(1 if any(result.violations.values()) else 0)


if __name__ == "__main__":
    main()
