"""HTTP API of insights: metrics, and clusters with their decisions and releases."""

from collections.abc import Callable
from dataclasses import asdict
from datetime import date, timedelta
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends, Query
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field

from libs.common.decisions.facts import Facts, refusal_of
from libs.common.events.products import DecisionComment
from libs.common.events.values import Identifier
from libs.common.http.api_keys import require_caller
from libs.common.http.idempotency import IdempotencyKey, idempotency_key
from libs.common.http.problems import PROBLEM_RESPONSE, Answer, Problem
from libs.common.runtime.dependencies import CurrentService
from libs.common.runtime.service import Service
from services.intake.insights.clusters import ClusterCommand, ClusterDecided, ClusterReleased, ClusterStatus
from services.intake.insights.schemas import ClusterView, DailyMetrics, MetricsQuery, NpsGroup, ProductMetrics, Summary
from services.intake.store.insights import metrics
from services.intake.store.insights.clusters import find_cluster, list_clusters

MAX_PERIOD = timedelta(days=1100)
DEFAULT_PERIOD = timedelta(days=90)

REFUSALS = {
    "already_decided": (409, "status: this cluster was decided already; GET it to see by whom and why"),
    "nothing_to_do": (409, "hold, warn: both are done or false; send true for one that is not done yet"),
    "not_acting": (409, "status: neither held nor warning its buyers; only such a cluster can be released"),
    "unknown_cluster": (404, "cluster_id: unknown; list the clusters at /v1/insights/clusters"),
}

Key = Annotated[IdempotencyKey, Depends(idempotency_key)]
Sku = Annotated[str | None, Query(min_length=1, max_length=128)]


class RequestBody(BaseModel):
    model_config = ConfigDict(extra="forbid")


class ClusterDecisionRequest(RequestBody):
    approve: bool = Field(description="true: do what is requested below; false: the reports are chance, or known.")
    hold: bool = Field(default=True, description="Hold further shipments of the lot.")
    warn: bool = Field(default=True, description="Warn the buyers who have not reported yet.")
    staff: Identifier = Field(description="Name of the member of staff.")
    comment: DecisionComment


class ClusterReleaseRequest(RequestBody):
    staff: Identifier
    comment: DecisionComment


class SummaryResponse(BaseModel):
    summary: Summary
    nps: list[NpsGroup]
    nps_by_product: list[NpsGroup]


class ProductsResponse(BaseModel):
    products: list[ProductMetrics]


class DaysResponse(BaseModel):
    days: list[DailyMetrics]


class ClustersResponse(BaseModel):
    clusters: list[ClusterView]


router = APIRouter(
    prefix="/v1/insights", tags=["insights"], dependencies=[Depends(require_caller("ops"))], responses=PROBLEM_RESPONSE
)


def metrics_query(
    service: CurrentService,
    first: Annotated[date | None, Query(description="First day, in the shop's zone; else 90 days ago.")] = None,
    last: Annotated[date | None, Query(description="Last day, included; else today.")] = None,
    sku: Sku = None,
    lot: Annotated[str | None, Query(min_length=1, max_length=128, description="Only together with `sku`.")] = None,
) -> MetricsQuery:
    """Dependency: the period and filter of a metrics route. Raises `Problem` 422."""
    zone = service.settings.zone
    try:
        last = last or service.clock.now().astimezone(zone).date()
        first = first or last - DEFAULT_PERIOD
        last + timedelta(days=2), first - timedelta(days=100)
    except OverflowError:
        raise Problem(422, "invalid", "first, last: out of range; choose days between the years 2 and 9998.") from None
    if not first <= last <= first + MAX_PERIOD:
        raise Problem(422, "invalid", f"first: out of range; must be before last, within {MAX_PERIOD.days} days of it.")
    if lot and not sku:
        raise Problem(422, "invalid", "lot: sku is missing; lots of two products may have the same name.")
    return MetricsQuery(first, last, zone, sku, lot)


CurrentQuery = Annotated[MetricsQuery, Depends(metrics_query)]


@router.get("", response_model=SummaryResponse)
async def summary(service: CurrentService, query: CurrentQuery) -> dict[str, Any]:
    """Response times, reasons and peak hours of reports, and the net promoter scores."""
    async with service.pool.acquire() as conn:
        return {
            "summary": asdict(await metrics.read_summary(conn, query)),
            "nps": [asdict(group) for group in await metrics.read_nps_by_reason(conn, query)],
            "nps_by_product": [asdict(group) for group in await metrics.read_nps_by_product(conn, query)],
        }


@router.get("/products", response_model=ProductsResponse)
async def products(service: CurrentService, query: CurrentQuery) -> dict[str, Any]:
    """Reports per product and lot relative to the units delivered in these days, highest rate first."""
    async with service.pool.acquire() as conn:
        return {"products": [asdict(product) for product in await metrics.read_products(conn, query)]}


@router.get("/days", response_model=DaysResponse)
async def days(service: CurrentService, query: CurrentQuery) -> dict[str, Any]:
    """Units delivered per day, and reported orders among them."""
    async with service.pool.acquire() as conn:
        return {"days": [asdict(day) for day in await metrics.read_days(conn, query)]}


@router.get("/clusters", response_model=ClustersResponse)
async def get_clusters(service: CurrentService, status: ClusterStatus | None = None, sku: Sku = None) -> dict[str, Any]:
    """Clusters of reports, newest first; `status=proposed` are those awaiting a decision."""
    async with service.pool.acquire() as conn:
        found = await list_clusters(conn, status.value if status else None, sku)
    return {"clusters": [asdict(cluster) for cluster in found]}


@router.get("/clusters/{cluster_id}", response_model=ClusterView)
async def get_cluster(service: CurrentService, cluster_id: UUID) -> dict[str, Any]:
    async with service.pool.acquire() as conn:
        found = await find_cluster(conn, cluster_id)
    if found is None:
        raise _refusal("unknown_cluster")
    return asdict(found)


@router.post("/clusters/{cluster_id}/decision")
async def decide(service: CurrentService, cluster_id: UUID, body: ClusterDecisionRequest, key: Key) -> JSONResponse:
    """Approve or refuse holding the lot and warning its buyers, with name and comment."""
    return await _execute(service, ClusterDecided(cluster_id=cluster_id, **body.model_dump()), key)


@router.post("/clusters/{cluster_id}/release")
async def release(service: CurrentService, cluster_id: UUID, body: ClusterReleaseRequest, key: Key) -> JSONResponse:
    """Release a held lot and stop warning its buyers."""
    return await _execute(service, ClusterReleased(cluster_id=cluster_id, **body.model_dump()), key)


async def _execute(service: Service, command: ClusterCommand, key: IdempotencyKey) -> JSONResponse:
    respond = _respond_with(command.cluster_id)
    event = service.event(command)
    answer = await service.execute(service.aggregates["clusters"], event, idempotency=key, answer=respond)
    return answer.response()


def _respond_with(cluster_id: UUID) -> Callable[[Facts], Answer]:
    def respond(facts: Facts) -> Answer:
        if refused := refusal_of(facts):
            raise _refusal(refused)
        return Answer(200, {"cluster_id": str(cluster_id), "status": "done"})

    return respond


def _refusal(reason: str) -> Problem:
    status, detail = REFUSALS[reason]
    return Problem(status, reason, detail)
