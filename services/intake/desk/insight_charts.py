"""Charts of the insights page in one language."""

from markupsafe import Markup

from libs.common.events.values import Language
from libs.common.web.translations import Translations
from services.intake.desk.charts import Bar, bar_chart, week_heatmap
from services.intake.desk.promise_figures import AccuracyRow, ForecastRow, LatenessWarningRow
from services.intake.insights.schemas import DurationStats, NpsGroup, ProductMetrics, Summary

MAX_PRODUCTS, MAX_PARTIES, REASON_SEGMENTS = 12, 12, 3
TARGET_HOURS = {"answered": 1.0, "ordered": 4.0, "resolved": 24.0 * 14}
"""The shop's targets from the report to the first response, the replacement order and the resolution."""

_SEGMENT_CLASSES = ("bad", "mid", "bar")


class InsightCharts:
    def __init__(self, translations: Translations, language: Language) -> None:
        self._translations, self._language = translations, language

    def text(self, key: str, **values: object) -> str:
        return self._translations.text(f"insights.{key}", self._language, **values)

    def _reason(self, reason: str) -> str:
        return self._translations.label("reason", reason, self._language)

    def reasons(self, summary: Summary) -> Markup:
        rows = [Bar(self._reason(row.reason), [(row.issues, "bar")], str(row.issues)) for row in summary.reasons]
        return bar_chart(self.text("reasons"), rows)

    def products(self, products: list[ProductMetrics]) -> Markup:
        return bar_chart(self.text("products"), [_product_bar(product) for product in products[:MAX_PRODUCTS]])

    def durations(self, summary: Summary) -> Markup:
        stats = zip(TARGET_HOURS, durations_of(summary), strict=True)
        rows = [self._duration_bar(name, stat) for name, stat in stats if stat.median is not None]
        return Markup("").join(bar_chart(row.label, [row]) for row in rows)

    def _duration_bar(self, name: str, stat: DurationStats) -> Bar:
        median, p90 = stat.median or 0.0, stat.p90 or 0.0
        css_class = "bad" if p90 > TARGET_HOURS[name] else "bar"
        segments = [(median, "bar"), (max(0.0, p90 - median), css_class)]
        note = self.text("hours", median=f"{median:.1f}", p90=f"{p90:.1f}")
        return Bar(self.text(name), segments, note, target=TARGET_HOURS[name])

    def peak_hours(self, summary: Summary) -> Markup:
        counts = [[0] * 24 for _ in range(7)]
        for row in summary.peak_hours:
            counts[row.weekday - 1][row.hour] = row.issues
        return week_heatmap(self.text("hours_title"), self.text("weekdays").split(), counts)

    def survey(self, groups: list[NpsGroup]) -> Markup:
        rows = [
            Bar(self.group(group), [(group.nps.score, "bar" if group.nps.score >= 0 else "bad")],
                f"{group.nps.score:+.0f} ({answer_count(group)})", low=group.nps.low, high=group.nps.high)
            for group in groups if group.nps.score is not None
        ]  # fmt: skip
        return bar_chart(self.text("survey"), rows, minimum=-100.0)

    def promises(self, title: str, groups: list[AccuracyRow]) -> Markup:
        rows = [
            Bar(self.party(row), [(100 * row.share, "bar")], f"{row.share:.0%} ({row.kept}/{row.kept + row.missed})",
                low=100 * row.low, high=100 * row.high)
            for row in groups[:MAX_PARTIES] if row.share is not None
        ]  # fmt: skip
        return bar_chart(title, rows)

    def party(self, row: AccuracyRow | ForecastRow | LatenessWarningRow) -> str:
        return self.text("unknown_name") if row.name == "unknown" else row.name

    def group(self, group: NpsGroup) -> str:
        return self.text("all") if group.group == "all" else self._reason(group.group)


def _product_bar(product: ProductMetrics) -> Bar:
    segments = [(float(row.issues), css) for row, css in zip(product.reasons, _SEGMENT_CLASSES, strict=False)]
    others = sum(row.issues for row in product.reasons[REASON_SEGMENTS:])
    return Bar(product_name(product), [*segments, (float(others), "bar")], f"{product.rate.share or 0:.1%}")


def answer_count(group: NpsGroup) -> int:
    return group.nps.promoters + group.nps.passives + group.nps.detractors


def product_name(product: ProductMetrics) -> str:
    return f"{product.sku} / {product.lot}" if product.lot else product.sku


def durations_of(summary: Summary) -> tuple[DurationStats, DurationStats, DurationStats]:
    return summary.to_first_response, summary.to_replacement_order, summary.to_resolution
