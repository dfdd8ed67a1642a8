"""Background job that keeps the monthly rollups up to date, outside of event batches so that it delays no report."""

import asyncio
from dataclasses import dataclass
from time import perf_counter

from libs.common.runtime.service import Service
from services.intake.store.insights.monthly_rollups import update_rollups

MIN_PAUSE_SECONDS = 60.0
"""Minimum pause between two runs, on the real clock."""

PAUSE_PER_RUN = 50
"""Pause as a multiple of the run before it: the job uses 2 % of the time at most."""


@dataclass
class RollupJob:
    service: Service

    async def run(self) -> None:
        while True:
            started = perf_counter()
            await self.run_once()
            await asyncio.sleep(max(MIN_PAUSE_SECONDS, PAUSE_PER_RUN * (perf_counter() - started)))

    async def run_once(self) -> None:
        zone = self.service.settings.zone
        async with self.service.pool.acquire() as conn:
            await update_rollups(conn, self.service.clock.now().astimezone(zone).date(), zone)
