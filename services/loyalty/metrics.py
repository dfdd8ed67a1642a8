"""Metrics of the points ledger."""

from libs.common.events.loyalty import PointsGranted, PointsRedeemed, PointsReversed
from libs.common.runtime.service_metrics import ServiceMetrics
from libs.common.telemetry.metrics import Kind, Metric

GRANTED = Metric("sakidashi.points.granted", Kind.COUNTER, "{point}", "Granted points, by cause.", ("kind",))
REVERSED = Metric("sakidashi.points.reversed", Kind.COUNTER, "{point}", "Points whose grant was reversed.")
REDEEMED = Metric("sakidashi.points.redeemed", Kind.COUNTER, "{point}", "Spent points.")


def add_metrics(metrics: ServiceMetrics) -> None:
    granted, reversed_, redeemed = (metrics.counter(each) for each in (GRANTED, REVERSED, REDEEMED))
    metrics.on(PointsGranted, lambda event: granted.add(event.kind or "other", amount=event.points))
    metrics.on(PointsReversed, lambda event: reversed_.add(amount=event.points))
    metrics.on(PointsRedeemed, lambda event: redeemed.add(amount=event.points))
