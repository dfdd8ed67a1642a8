"""Metrics that are sums over days: one statement per kind, over ranges of days. `monthly_rollups` combines them."""

from datetime import timedelta
from enum import StrEnum

REPEAT_WITHIN = timedelta(days=90)
"""A second report of the same customer about the same product within this time is a repeat."""


class RollupKind(StrEnum):
    """Kinds of sums; in brackets the dimensions and the values."""

    REPORTS = "reports"
    """[reason, hour of the week; reports]: hour 24 is the first of Monday, in the shop's zone."""
    REPEATS = "repeats"
    """[; lines, repeats among them]"""
    LINES = "lines"
    """[sku, lot, reason; units, orders]: by delivery day; an order counts once per delivery day."""
    DELIVERED = "delivered"
    """[sku, lot; units]"""
    SCORES = "scores"
    """[reason; promoters, passives, detractors]: by the day of the rating; an unknown reason is empty."""
    PRODUCT_SCORES = "product_scores"
    """[sku; promoters, passives, detractors]: an issue about two products counts for both."""


_MOMENTS = "unnest($1::timestamptz[], $2::timestamptz[], $5::date[]) AS r (first, until, month)"
_DAYS = "unnest($1::date[], $2::date[], $5::date[]) AS r (first, last, month)"
_OF_PRODUCT = """($3::text IS NULL OR f.issue_id IN (
        SELECT issue_id FROM reported_lines WHERE sku = $3 AND ($4::text IS NULL OR lot = $4)))"""
_OF_LINE = "($3::text IS NULL OR l.sku = $3) AND ($4::text IS NULL OR l.lot = $4)"
_SCORES = """
    count(*) FILTER (WHERE score >= 9), count(*) FILTER (WHERE score BETWEEN 7 AND 8),
    count(*) FILTER (WHERE score <= 6)"""
# The columns of each statement are, in this order: month, dimension_1 to 3, value_1 to 3.
# $1 and $2 bound the ranges, $5 is the month of each; $3 sku, $4 lot; $6 the zone, where days are split.
QUERIES = {
    RollupKind.REPORTS: f"""
        SELECT month, reason, (24 * date_part('isodow', at) + date_part('hour', at))::int::text AS hour, '',
               count(*), 0, 0
        FROM (SELECT r.month, f.reason, f.reported_at AT TIME ZONE $6 AS at
              FROM {_MOMENTS} JOIN issue_metrics f ON f.reported_at >= r.first AND f.reported_at < r.until
              WHERE f.reason IS NOT NULL AND {_OF_PRODUCT}) AS s
        GROUP BY 1, 2, 3""",  # noqa: S608 - no value is part of the text
    RollupKind.REPEATS: f"""
        WITH lines AS MATERIALIZED (
            SELECT r.month, l.issue_id, l.line_id, l.customer_id, l.sku, l.reported_at
            FROM {_MOMENTS} JOIN reported_lines l ON l.reported_at >= r.first AND l.reported_at < r.until
            WHERE l.is_valid AND {_OF_LINE}
        ), repeats AS (
            SELECT DISTINCT l.month, l.issue_id, l.line_id
            FROM lines l JOIN reported_lines e ON e.customer_id = l.customer_id AND e.sku = l.sku
            WHERE e.is_valid AND e.issue_id <> l.issue_id AND ($4::text IS NULL OR e.lot = $4)
                  AND e.reported_at >= (SELECT min(reported_at) FROM lines) - interval '{REPEAT_WITHIN.days} days'
                  AND (e.reported_at, e.issue_id) < (l.reported_at, l.issue_id)
                  AND e.reported_at >= l.reported_at - interval '{REPEAT_WITHIN.days} days'
        )
        SELECT month, '', '', '', sum(line), sum(repeat), 0
        FROM (SELECT month, 1 AS line, 0 AS repeat FROM lines UNION ALL SELECT month, 0, 1 FROM repeats) AS s
        GROUP BY month""",  # noqa: S608 - no value is part of the text
    RollupKind.LINES: f"""
        SELECT month, sku, lot, reason, sum(units), count(*), 0
        FROM (SELECT r.month, l.sku, l.lot, l.reason, sum(l.units) AS units
              FROM {_DAYS} JOIN reported_lines l ON l.delivered_on >= r.first AND l.delivered_on <= r.last
              WHERE l.is_valid AND {_OF_LINE}
              GROUP BY r.month, l.sku, l.lot, l.reason, l.order_id, l.delivered_on) AS s
        GROUP BY 1, 2, 3, 4""",  # noqa: S608 - no value is part of the text
    RollupKind.DELIVERED: f"""
        SELECT r.month, l.sku, l.lot, '', sum(l.units), 0, 0
        FROM {_DAYS} JOIN delivered_per_day l ON l.day >= r.first AND l.day <= r.last
        WHERE {_OF_LINE} GROUP BY 1, 2, 3""",  # noqa: S608 - no value is part of the text
    RollupKind.SCORES: f"""
        SELECT r.month, COALESCE(f.reason, ''), '', '', {_SCORES}
        FROM {_MOMENTS} JOIN issue_metrics f ON f.rated_at >= r.first AND f.rated_at < r.until
        WHERE {_OF_PRODUCT} GROUP BY 1, 2""",  # noqa: S608 - no value is part of the text
    RollupKind.PRODUCT_SCORES: f"""
        SELECT month, sku, '', '', {_SCORES}
        FROM (SELECT DISTINCT r.month, f.issue_id, f.score, l.sku
              FROM {_MOMENTS} JOIN issue_metrics f ON f.rated_at >= r.first AND f.rated_at < r.until
              JOIN reported_lines l USING (issue_id) WHERE {_OF_LINE}) AS s
        GROUP BY 1, 2""",  # noqa: S608 - no value is part of the text
}
BY_DAY = {RollupKind.LINES, RollupKind.DELIVERED}
