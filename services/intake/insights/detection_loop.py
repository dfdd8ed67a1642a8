"""Looks at every product about which something new is known, and says so where it has a cluster.

Beside the batches and not in them, so that no report waits for it. A row of `detection_queue` is deleted when all that
follows from it is committed; a process that dies in between looks again, and the cluster's id, which follows from its
product and lot, keeps it one cluster. Several processes may look at once for the same reason.
"""

import asyncio
import logging
from dataclasses import dataclass
from time import perf_counter

from libs.common.runtime.service import Service
from services.intake.insights.clusters import BuyersChanged, ClusterCommand
from services.intake.insights.detection import Product, suspects
from services.intake.insights.sequential import Counts
from services.intake.store.insights import clusters as cluster_store
from services.intake.store.insights.clusters import ClusterStore

log = logging.getLogger(__name__)

PAUSE = 0.5
"""Seconds of a real clock between two looks, at least."""

SHARE = 50
"""A look that took long is followed by a pause so many times as long: learning may cost 2 % of the time at most."""

MOST = 20_000
"""Rows taken at a time."""


@dataclass
class Learner:
    service: Service
    clusters: ClusterStore

    async def run(self) -> None:
        """Look again and again; cancelled at shutdown."""
        while True:
            began = perf_counter()
            await self.look()
            await asyncio.sleep(max(PAUSE, SHARE * (perf_counter() - began)))

    async def look(self) -> None:
        """Take what is new, and say what follows from it."""
        policy = self.clusters.policy
        async with self.service.pool.acquire() as conn:
            rows, skus = await cluster_store.read_queue(conn, MOST)
            if not rows:
                return
            shop = await cluster_store.read_shop(conn, policy.reasons)
            products = await cluster_store.read_evidence(conn, skus, policy.reasons)
        for product in products:
            for command in self._commands(product, shop):
                await self.service.execute(self.clusters, self.service.event(command))
        async with self.service.pool.acquire() as conn:
            await cluster_store.delete_from_queue(conn, rows)

    def _commands(self, product: Product, shop: Counts) -> list[ClusterCommand]:
        today = self.service.clock.now().astimezone(self.service.settings.zone).date()
        found = suspects(product, shop, self.clusters.policy, today)
        for one in found:
            self.service.counters.add("learning", "cluster_detected")
            log.warning(
                "cluster: %d orders of product %s lot %s reported, %.1f expected",
                one.orders, one.sku, one.lot or "-", one.expected,
            )  # fmt: skip
        warning = [BuyersChanged(cluster_id=one.cluster_id) for one in product.clusters if one.warning]
        return [*found, *warning]
