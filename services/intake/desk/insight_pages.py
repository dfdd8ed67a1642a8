"""Route of the insights page: metrics of the last weeks as charts, with the same values as tables."""

from datetime import timedelta
from typing import Annotated, Any

from fastapi import APIRouter, Query
from fastapi.responses import Response

from libs.common.postgres.pool import Connection
from services.intake.desk.auth import DeskRoute, Viewer
from services.intake.desk.context import CurrentDesk
from services.intake.desk.insight_charts import (
    TARGET_HOURS,
    InsightCharts,
    answer_count,
    durations_of,
    product_name,
)
from services.intake.desk.promise_figures import read_promise_figures
from services.intake.insights.schemas import MetricsQuery
from services.intake.store.insights import metrics

PERIODS = (7, 30, 90, 365)

router = APIRouter(include_in_schema=False, route_class=DeskRoute)


@router.get("/desk/insights")
async def insights(desk: CurrentDesk, session: Viewer, days: Annotated[int, Query(ge=1, le=365)] = 30) -> Response:
    zone = desk.service.settings.zone
    last = desk.service.clock.now().astimezone(zone).date()
    query = MetricsQuery(last - timedelta(days=days - 1), last, zone)
    async with desk.service.pool.acquire() as conn:
        model = await _read_model(conn, query)
    promises = await read_promise_figures(desk.dead_letters, query.first, last)
    charts = InsightCharts(desk.renderer.templates.translations, session.language)
    durations = list(zip(TARGET_HOURS, durations_of(model["summary"]), TARGET_HOURS.values(), strict=True))
    return desk.renderer.page(
        "insights.html", session, active_page="insights", query=query, days=days, periods=PERIODS, charts=charts,
        durations=durations, product_name=product_name, answer_count=answer_count, promises=promises, **model,
    )  # fmt: skip


async def _read_model(conn: Connection, query: MetricsQuery) -> dict[str, Any]:
    products = await metrics.read_products(conn, query)
    return {
        "summary": await metrics.read_summary(conn, query),
        "products": [product for product in products if product.reported_units],
        "nps_groups": await metrics.read_nps_by_reason(conn, query),
        "nps_by_product": await metrics.read_nps_by_product(conn, query),
    }
