"""What ops learn and decide over HTTP: figures, products, clusters; hold a lot, warn its buyers, release it again."""

from collections.abc import Callable
from dataclasses import asdict
from datetime import date, timedelta
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends, Query
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field

from libs.common.decisions.facts import Facts, Ignored
from libs.common.events.products import DecisionComment
from libs.common.events.values import Identifier
from libs.common.http.idempotency import IdempotencyKey, idempotency_key
from libs.common.http.problems import PROBLEM_RESPONSE, Answer, Problem
from libs.common.runtime.service import Service
from services.intake.insights.clusters import ClusterCommand, ClusterDecided, ClusterReleased, Status
from services.intake.insights.schemas import Asked, ClusterShown, DayFigures, NpsOf, ProductFigures, Summary
from services.intake.store.insights import clusters as cluster_store
from services.intake.store.insights import metrics
from services.intake.store.insights.clusters import Clusters

LONGEST = timedelta(days=1100)

REFUSALS = {
    "already_decided": (409, "status: this cluster was decided already; GET it to see by whom and why"),
    "nothing_to_do": (
        409,
        "hold, warn: nothing is left to do of what you approve; send true for what is not done yet",
    ),
    "not_acting": (409, "status: nothing is held or being warned of for this cluster; only such a cluster is released"),
    "unknown_cluster": (404, "cluster_id: not known; list the clusters at /v1/insights/clusters"),
}

Key = Annotated[IdempotencyKey, Depends(idempotency_key)]
Sku = Annotated[str | None, Query(min_length=1, max_length=128)]


class Body(BaseModel):
    model_config = ConfigDict(extra="forbid")


class ClusterDecision(Body):
    approve: bool = Field(description="true: do what is asked for below; false: it is chance, or known.")
    hold: bool = Field(default=True, description="Hold further shipments of the lot.")
    warn: bool = Field(default=True, description="Warn the buyers who have not reported yet.")
    staff: Identifier = Field(description="Who decides.")
    comment: DecisionComment


class ClusterRelease(Body):
    staff: Identifier
    comment: DecisionComment


class SummaryAnswer(BaseModel):
    summary: Summary
    nps: list[NpsOf]
    nps_by_product: list[NpsOf]


class ProductsAnswer(BaseModel):
    products: list[ProductFigures]


class DaysAnswer(BaseModel):
    days: list[DayFigures]


class ClustersAnswer(BaseModel):
    clusters: list[ClusterShown]


def routes(service: Service, clusters: Clusters) -> APIRouter:
    ops = Depends(service.require_caller("ops"))
    router = APIRouter(prefix="/v1/insights", tags=["insights"], dependencies=[ops], responses=PROBLEM_RESPONSE)

    def asked(
        first: Annotated[date | None, Query(description="First day, in the shop's zone; else 90 days ago.")] = None,
        last: Annotated[date | None, Query(description="Last day, included; else today.")] = None,
        sku: Sku = None,
        lot: Annotated[str | None, Query(min_length=1, max_length=128, description="Only together with `sku`.")] = None,
    ) -> Asked:
        return _period(service, first, last, sku, lot)

    @router.get("", response_model=SummaryAnswer)
    async def summary(asked: Annotated[Asked, Depends(asked)]) -> dict[str, Any]:
        """How fast and how well the shop answered, what was reported, and when; and what customers said of it."""
        async with service.pool.acquire() as conn:
            return {
                "summary": asdict(await metrics.read_summary(conn, asked)),
                "nps": [asdict(one) for one in await metrics.read_nps_by_reason(conn, asked)],
                "nps_by_product": [asdict(one) for one in await metrics.read_nps_by_product(conn, asked)],
            }

    @router.get("/products", response_model=ProductsAnswer)
    async def products(asked: Annotated[Asked, Depends(asked)]) -> dict[str, Any]:
        """Reasons per product and lot against the pieces that arrived in these days, the worst first."""
        async with service.pool.acquire() as conn:
            return {"products": [asdict(one) for one in await metrics.read_products(conn, asked)]}

    @router.get("/days", response_model=DaysAnswer)
    async def days(asked: Annotated[Asked, Depends(asked)]) -> dict[str, Any]:
        """Day by day: pieces that arrived, and orders among them that were reported since."""
        async with service.pool.acquire() as conn:
            return {"days": [asdict(one) for one in await metrics.read_days(conn, asked)]}

    @router.get("/clusters", response_model=ClustersAnswer)
    async def list_clusters(status: Status | None = None, sku: Sku = None) -> dict[str, Any]:
        """Clusters of reports, the newest first; `status=proposed` are those that wait for a human."""
        async with service.pool.acquire() as conn:
            found = await cluster_store.list_clusters(conn, status.value if status else None, sku)
        return {"clusters": [asdict(one) for one in found]}

    @router.get("/clusters/{cluster_id}", response_model=ClusterShown)
    async def show_cluster(cluster_id: UUID) -> dict[str, Any]:
        async with service.pool.acquire() as conn:
            found = await cluster_store.find_cluster(conn, cluster_id)
        if found is None:
            raise _refusal("unknown_cluster")
        return asdict(found)

    @router.post("/clusters/{cluster_id}/decision")
    async def decide(cluster_id: UUID, body: ClusterDecision, key: Key) -> JSONResponse:
        """Hold the lot and warn its buyers, or not: a human's decision, with who and why."""
        return await order(ClusterDecided(cluster_id=cluster_id, **body.model_dump()), key)

    @router.post("/clusters/{cluster_id}/release")
    async def release(cluster_id: UUID, body: ClusterRelease, key: Key) -> JSONResponse:
        """Let the lot leave again; nobody is warned any more."""
        return await order(ClusterReleased(cluster_id=cluster_id, **body.model_dump()), key)

    async def order(command: ClusterCommand, key: IdempotencyKey) -> JSONResponse:
        event = service.event(command)
        answer = await service.execute(clusters, event, idempotency=key, answer=_told(command.cluster_id))
        return answer.response()

    return router


def _period(service: Service, first: date | None, last: date | None, sku: str | None, lot: str | None) -> Asked:
    zone = service.settings.zone
    try:
        last = last or service.clock.now().astimezone(zone).date()
        first = first or last - timedelta(days=90)
        last + timedelta(days=2), first - timedelta(days=100)
    except OverflowError:
        raise Problem(422, "invalid", "first, last: choose days between the years 2 and 9998.") from None
    if not first <= last <= first + LONGEST:
        raise Problem(422, "invalid", f"first: must be before last, and within {LONGEST.days} days of it.")
    if lot and not sku:
        raise Problem(422, "invalid", "lot: send sku too; lots of two products may have the same name.")
    return Asked(first, last, zone, sku, lot)


def _told(cluster_id: UUID) -> Callable[[Facts], Answer]:
    def answer(facts: Facts) -> Answer:
        for fact in facts:
            if isinstance(fact, Ignored):
                raise _refusal(fact.reason)
        return Answer(200, {"cluster_id": str(cluster_id), "status": "done"})

    return answer


def _refusal(reason: str) -> Problem:
    status, detail = REFUSALS[reason]
    return Problem(status, reason, detail)
