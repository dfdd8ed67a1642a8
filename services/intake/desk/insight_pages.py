"""Insights at the desk: what the figures of the last weeks say, as charts with the same figures as tables."""

from datetime import timedelta
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query
from fastapi.responses import Response
from markupsafe import Markup

from libs.common.events.values import Language
from libs.common.postgres.pool import Connection
from libs.common.runtime.service import Service
from services.intake.cli.staff import StaffRole
from services.intake.desk.auth import DeskRoute, Guard
from services.intake.desk.charts import Bar, bars, week
from services.intake.desk.rendering import Face
from services.intake.desk.sessions import Session
from services.intake.insights.schemas import Asked, Hours, NpsOf, ProductFigures, Summary
from services.intake.store.insights import metrics as figures
from services.intake.web.translations import Words

PERIODS = (7, 30, 90, 365)
PRODUCTS_SHOWN, REASONS_SHOWN = 12, 3
TARGET_HOURS = {"answered": 1.0, "ordered": 4.0, "resolved": 24.0 * 14}
"""What the shop aims at, from the report: a first word, the replacement ordered, everything done."""

_COLOURS = ("bad", "mid", "bar")


class Charts:
    """Draws what the figures say, in one language."""

    def __init__(self, words: Words, language: Language) -> None:
        self._words, self._language = words, language

    def say(self, key: str, **values: object) -> str:
        return self._words.say(f"insights.{key}", self._language, **values)

    def reasons(self, summary: Summary) -> Markup:
        rows = [
            Bar(self._words.name("reason", one.reason, self._language), [(one.issues, "bar")], str(one.issues))
            for one in summary.reasons
        ]
        return bars(self.say("reasons"), rows)

    def products(self, products: list[ProductFigures]) -> Markup:
        rows = []
        for one in products[:PRODUCTS_SHOWN]:
            parts = [(float(reason.issues), colour) for reason, colour in zip(one.reasons, _COLOURS, strict=False)]
            more = sum(reason.issues for reason in one.reasons[REASONS_SHOWN:])
            rows.append(Bar(_name(one), [*parts, (float(more), "bar")], f"{one.rate.share or 0:.1%}"))
        return bars(self.say("products"), rows)

    def times(self, summary: Summary) -> Markup:
        rows = [
            self._time(name, hours)
            for name, hours in zip(TARGET_HOURS, _hours_of(summary), strict=True)
            if hours.median is not None
        ]
        return Markup("").join(bars(row.label, [row]) for row in rows)

    def _time(self, name: str, hours: Hours) -> Bar:
        median, p90 = hours.median or 0.0, hours.p90 or 0.0
        late = "bad" if p90 > TARGET_HOURS[name] else "bar"
        note = self.say("hours", median=f"{median:.1f}", p90=f"{p90:.1f}")
        return Bar(self.say(name), [(median, "bar"), (max(0.0, p90 - median), late)], note, target=TARGET_HOURS[name])

    def hours(self, summary: Summary) -> Markup:
        counts = [[0] * 24 for _ in range(7)]
        for one in summary.peak_hours:
            counts[one.weekday - 1][one.hour] = one.issues
        return week(self.say("hours_title"), self.say("weekdays").split(), counts)

    def survey(self, scores: list[NpsOf]) -> Markup:
        rows = [
            Bar(self.group(one), [(one.nps.score, "bar" if one.nps.score >= 0 else "bad")],
                f"{one.nps.score:+.0f} ({_answers(one)})", low=one.nps.low, high=one.nps.high)
            for one in scores if one.nps.score is not None
        ]  # fmt: skip
        return bars(self.say("survey"), rows, least=-100.0)

    def group(self, one: NpsOf) -> str:
        return self.say("all") if one.group == "all" else self._words.name("reason", one.group, self._language)


def _answers(one: NpsOf) -> int:
    return one.nps.promoters + one.nps.passives + one.nps.detractors


def _name(one: ProductFigures) -> str:
    return f"{one.sku} / {one.lot}" if one.lot else one.sku


def _hours_of(summary: Summary) -> tuple[Hours, Hours, Hours]:
    return summary.to_first_response, summary.to_replacement_order, summary.to_resolution


async def read(conn: Connection, asked: Asked) -> dict[str, Any]:
    products = [one for one in await figures.read_products(conn, asked) if one.reported_pieces]
    return {
        "summary": await figures.read_summary(conn, asked),
        "products": products,
        "scores": await figures.read_nps_by_reason(conn, asked),
        "product_scores": await figures.read_nps_by_product(conn, asked),
    }


def insight_routes(service: Service, face: Face, guard: Guard) -> APIRouter:
    router = APIRouter(include_in_schema=False, route_class=DeskRoute)
    Anybody = Annotated[Session, Depends(guard.least(StaffRole.VIEWER))]  # noqa: N806 - a type

    @router.get("/desk/insights")
    async def insights(session: Anybody, days: Annotated[int, Query(ge=1, le=365)] = 30) -> Response:
        zone = service.settings.zone
        last = service.clock.now().astimezone(zone).date()
        asked = Asked(last - timedelta(days=days - 1), last, zone)
        async with service.pool.acquire() as conn:
            shown = await read(conn, asked)
        charts = Charts(face.pages.words, session.language)
        times = list(zip(TARGET_HOURS, _hours_of(shown["summary"]), TARGET_HOURS.values(), strict=True))
        return face.show(
            "insights.html", session, here="insights", asked=asked, days=days, periods=PERIODS, charts=charts,
            times=times, product_name=_name, answers=_answers, **shown,
        )  # fmt: skip

    return router
