"""Background loop that runs cluster detection for products with new reports or deliveries.

It runs outside of event batches, so that it delays no report. Queue rows are deleted after their commands are
committed; a process that dies in between repeats them. The cluster id is derived from product and lot, so a repeated or
concurrent run proposes no second cluster.
"""

import logging
from dataclasses import dataclass, field
from time import perf_counter

from libs.common.messaging.signal import WakeSignal
from libs.common.runtime.service import Service
from services.intake.insights.clusters import BuyersChanged, ClusterCommand
from services.intake.insights.detection import ProductHistory, detect_clusters
from services.intake.insights.sequential import Counts
from services.intake.store.insights.clusters import (
    ClusterStore,
    dequeue,
    read_detection_queue,
    read_evidence,
    read_shop,
)

log = logging.getLogger(__name__)

MIN_PAUSE_SECONDS = 0.5
"""Minimum pause between two runs, on the real clock."""

PAUSE_PER_RUN = 50
"""Pause as a multiple of the run before it: detection uses 2 % of the time at most."""

MAX_ROWS = 20_000
"""Queue rows per run."""


@dataclass
class DetectionLoop:
    service: Service
    clusters: ClusterStore
    _wake: WakeSignal = field(default_factory=WakeSignal)

    async def run(self) -> None:
        """Run until cancelled, after each pause and whenever a simulated clock is set."""
        self.service.clock.on_set(self._wake)
        while True:
            started = perf_counter()
            await self.run_once()
            await self._wake.wait(max(MIN_PAUSE_SECONDS, PAUSE_PER_RUN * (perf_counter() - started)))

    async def run_once(self) -> None:
        """Detect clusters of the queued products and execute the commands that follow."""
        policy = self.clusters.policy
        async with self.service.pool.acquire() as conn:
            rows, skus = await read_detection_queue(conn, MAX_ROWS)
            if not rows:
                return
            shop = await read_shop(conn, policy.reasons)
            products = await read_evidence(conn, skus, policy.reasons)
        for product in products:
            for command in self._commands(product, shop):
                await self.service.execute(self.clusters, self.service.event(command))
        async with self.service.pool.acquire() as conn:
            await dequeue(conn, rows)

    def _commands(self, product: ProductHistory, shop: Counts) -> list[ClusterCommand]:
        zone = self.service.settings.zone
        today = self.service.clock.now().astimezone(zone).date()
        found = detect_clusters(product, shop, self.clusters.policy, today, zone)
        for cluster in found:
            self.service.counters.add("detection", "cluster_detected")
            log.warning(
                "detected cluster sku=%s lot=%s reported_orders=%d expected_orders=%.1f",
                cluster.sku, cluster.lot or "-", cluster.orders, cluster.expected,
            )  # fmt: skip
        updates = [BuyersChanged(cluster_id=cluster.cluster_id) for cluster in product.clusters if cluster.warns_buyers]
        return [*found, *updates]
