"""SQL of clusters: their aggregate, the detection queue, and the lists for staff."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any
from uuid import UUID

from pydantic import TypeAdapter

from libs.common.decisions.facts import Facts, Record
from libs.common.events.registry import AnyEvent
from libs.common.events.values import LineQuantity, Reason
from libs.common.postgres.pool import Connection
from libs.common.postgres.state_table import StateTable
from services.intake.insights import cluster_decisions
from services.intake.insights.clusters import (
    Buyer,
    BuyersChanged,
    BuyerWarningSent,
    Cluster,
    ClusterCommand,
    ClusterDecided,
    ClusterFound,
    ClusterState,
)
from services.intake.insights.detection import LotHistory, ProductHistory
from services.intake.insights.schemas import ClusterView
from services.intake.insights.sequential import Counts, DailyCounts
from services.intake.policy.detection_policy import DetectionPolicy

CLUSTER = TypeAdapter(Cluster)

# Who has the units and has neither reported the product nor been warned; $2 empty means every lot.
_BUYERS = """
    SELECT a.order_id, a.customer_id, a.line_id, sum(a.units)::int AS units
    FROM delivered_units a
    WHERE a.sku = $1 AND ($2 = '' OR a.lot = $2) AND ($3::date IS NULL OR a.day >= $3)
      AND NOT EXISTS (SELECT FROM reported_lines r WHERE r.sku = $1 AND r.order_id = a.order_id)
      AND NOT EXISTS (SELECT FROM warned_buyers w WHERE w.cluster_id = $4 AND w.order_id = a.order_id)
    GROUP BY a.order_id, a.customer_id, a.line_id HAVING sum(a.units) > 0
    ORDER BY a.order_id, a.line_id"""
_WARNED = """
    INSERT INTO warned_buyers (cluster_id, order_id) SELECT * FROM unnest($1::uuid[], $2::text[])
    ON CONFLICT (cluster_id, order_id) DO NOTHING"""
_QUEUED = "SELECT id, sku FROM detection_queue ORDER BY id LIMIT $1"
_DEQUEUE = "DELETE FROM detection_queue WHERE id = ANY($1)"
_DAYS = """
    SELECT a.sku, a.lot, a.day, a.units, COALESCE(r.orders, 0) AS orders
    FROM delivered_per_day a
    LEFT JOIN (SELECT sku, lot, delivered_on, count(DISTINCT order_id) AS orders FROM reported_lines
               WHERE sku = ANY($1) AND reason = ANY($2) AND is_valid GROUP BY sku, lot, delivered_on) r
           ON r.sku = a.sku AND r.lot = a.lot AND r.delivered_on = a.day
    WHERE a.sku = ANY($1) AND a.units > 0 ORDER BY a.sku, a.lot, a.day"""
_REASONS = """
    SELECT sku, lot, reason, count(DISTINCT order_id) AS orders FROM reported_lines
    WHERE sku = ANY($1) AND reason = ANY($2) AND is_valid GROUP BY sku, lot, reason"""
_SHOP = """
    SELECT (SELECT COALESCE(sum(units), 0)::bigint FROM delivered_per_day) AS units,
           (SELECT count(*) FROM reported_lines WHERE reason = ANY($1) AND is_valid) AS orders"""
_OF_PRODUCTS = "SELECT body FROM clusters WHERE sku = ANY($1) ORDER BY key"
_LIST = """
    SELECT c.body, (SELECT count(*) FROM warned_buyers w WHERE w.cluster_id = c.key::uuid) AS warned
    FROM clusters c
    WHERE ($1::text IS NULL OR c.status = $1) AND ($2::text IS NULL OR c.sku = $2)
    ORDER BY c.body ->> 'detected_at' DESC, c.key LIMIT $3"""
_ONE = """
    SELECT c.body, (SELECT count(*) FROM warned_buyers w WHERE w.cluster_id = c.key::uuid) AS warned
    FROM clusters c WHERE c.key = $1"""


@dataclass
class ClusterStore:
    """The aggregate of clusters; the state key is the cluster's id."""

    policy: DetectionPolicy
    name: str = "clusters"
    is_read_model = False
    _table: StateTable[Cluster] = field(default_factory=lambda: StateTable("clusters", CLUSTER))

    def key_of(self, event: AnyEvent) -> str | None:
        return str(event.data.cluster_id) if isinstance(event.data, ClusterCommand) else None

    async def load(self, conn: Connection, keys: Sequence[str], events: Sequence[AnyEvent]) -> dict[str, ClusterState]:
        """Clusters, locked; and, only where they may be warned, the buyers (read under the lock)."""
        known = {
            key: ClusterState(cluster, (), version)
            for key, (version, cluster) in (await self._table.load(conn, keys)).items()
        }
        for event in events:
            match event.data:
                case ClusterFound() as found:
                    units = (found.sku, found.lot, found.since, found.cluster_id)
                case ClusterDecided() | BuyersChanged() if str(event.data.cluster_id) in known:
                    cluster = known[str(event.data.cluster_id)].cluster
                    assert cluster
                    units = (cluster.sku, cluster.lot, cluster.since, cluster.cluster_id)
                case _:
                    continue
            key = str(units[3])
            before = known.get(key, ClusterState(None))
            known[key] = ClusterState(before.cluster, await _buyers(conn, *units), before.version)
        return known

    def decide(self, state: ClusterState | None, event: AnyEvent, now: datetime) -> tuple[ClusterState | None, Facts]:
        return cluster_decisions.decide(state, event, now, self.policy)

    async def save(self, conn: Connection, changed: Mapping[str, ClusterState], records: Sequence[Record]) -> None:
        states = {key: (state.version, state.cluster) for key, state in changed.items() if state.cluster}
        await self._table.save(conn, states)
        warnings = [record for record in records if isinstance(record, BuyerWarningSent)]
        if warnings:
            clusters = [warning.cluster_id for warning in warnings]
            await conn.execute(_WARNED, clusters, [warning.order_id for warning in warnings])


async def _buyers(conn: Connection, sku: str, lot: str, since: date | None, cluster_id: UUID) -> tuple[Buyer, ...]:
    found: dict[tuple[str, str], list[LineQuantity]] = {}
    for row in await conn.fetch(_BUYERS, sku, lot, since, cluster_id):
        line = LineQuantity(line_id=row["line_id"], quantity=row["units"])
        found.setdefault((row["order_id"], row["customer_id"]), []).append(line)
    return tuple(Buyer(order_id, customer_id, tuple(lines)) for (order_id, customer_id), lines in found.items())


async def read_detection_queue(conn: Connection, limit: int) -> tuple[list[int], list[str]]:
    """Return the ids of queued rows and their products."""
    rows = await conn.fetch(_QUEUED, limit)
    return [row["id"] for row in rows], sorted({row["sku"] for row in rows})


async def dequeue(conn: Connection, rows: Sequence[int]) -> None:
    await conn.execute(_DEQUEUE, rows)


async def read_shop(conn: Connection, reasons: Iterable[Reason]) -> Counts:
    """All units that arrived, and all reports about them."""
    row = await conn.fetchrow(_SHOP, [reason.value for reason in reasons])
    assert row
    return Counts(row["units"], row["orders"])


async def read_evidence(conn: Connection, skus: Sequence[str], reasons: Iterable[Reason]) -> list[ProductHistory]:
    """Return the counts of these products per day and per lot."""
    codes = [reason.value for reason in reasons]
    days: dict[str, dict[str, list[DailyCounts]]] = {sku: {} for sku in skus}
    for row in await conn.fetch(_DAYS, skus, codes):
        day = DailyCounts(row["day"], Counts(row["units"], row["orders"]))
        days[row["sku"]].setdefault(row["lot"], []).append(day)
    counts: dict[tuple[str, str], dict[Reason, int]] = {}
    for row in await conn.fetch(_REASONS, skus, codes):
        counts.setdefault((row["sku"], row["lot"]), {})[Reason(row["reason"])] = row["orders"]
    known: dict[str, list[Cluster]] = {sku: [] for sku in skus}
    for row in await conn.fetch(_OF_PRODUCTS, skus):
        cluster = CLUSTER.validate_json(row["body"])
        known[cluster.sku].append(cluster)
    return [
        ProductHistory(
            sku,
            tuple(LotHistory(lot, tuple(by_day), counts.get((sku, lot), {})) for lot, by_day in days[sku].items()),
            tuple(known[sku]),
        )
        for sku in skus
    ]


async def list_clusters(
    conn: Connection, status: str | None = None, sku: str | None = None, limit: int = 100
) -> list[ClusterView]:
    """Clusters, the newest first."""
    return [_view(row) for row in await conn.fetch(_LIST, status, sku, limit)]


async def find_cluster(conn: Connection, cluster_id: UUID) -> ClusterView | None:
    row = await conn.fetchrow(_ONE, str(cluster_id))
    return _view(row) if row else None


def _view(row: Any) -> ClusterView:
    cluster = CLUSTER.validate_json(row["body"])
    return ClusterView(
        cluster_id=cluster.cluster_id,
        sku=cluster.sku,
        lot=cluster.lot or None,
        status=cluster.status.value,
        reasons=tuple(reason.value for reason in cluster.reasons),
        reported_orders=cluster.orders,
        delivered_units=cluster.units,
        expected_orders=round(cluster.expected, 2),
        since=cluster.since,
        detected_at=cluster.detected_at,
        held=cluster.is_held,
        warning=cluster.warns_buyers,
        warned=row["warned"],
        staff=cluster.decision.staff if cluster.decision else None,
        comment=cluster.decision.comment if cluster.decision else None,
        decided_at=cluster.decision.decided_at if cluster.decision else None,
        released_at=cluster.release.decided_at if cluster.release else None,
    )
