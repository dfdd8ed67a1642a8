"""Ingestion of metrics: one statement per batch for deliveries, one for reports and their times.

Whatever changes a daily sum appends the day's month (in UTC) to `rollup_queue`, see `monthly_rollups`.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import fields
from operator import attrgetter
from typing import Any

from libs.common.decisions.facts import Record
from libs.common.postgres.batch import columns
from libs.common.postgres.pool import Connection
from services.intake.domain.delivered_units import UnitsDelivered
from services.intake.domain.projections.metrics import IssueMetrics, LineReported, ReportWithdrawn, merge_metrics

# Deliveries are queued for detection where they can change its result: of a product with an active cluster, because the
# new buyers are warned too, and of one with a report about units of the last month, because reports may be read before
# the deliveries that show how rare they are elsewhere, and no further report may follow.
_RECORD_DELIVERIES = """
    WITH news AS (
        SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::date[], $5::text[], $6::text[], $7::int[])
            AS n (order_id, line_id, lot, day, sku, customer_id, units)
    ), buyers AS (
        INSERT INTO delivered_units AS old (order_id, line_id, lot, day, sku, customer_id, units)
        SELECT * FROM news
        ON CONFLICT (order_id, line_id, lot, day) DO UPDATE SET units = old.units + excluded.units
    ), days AS (
        INSERT INTO delivered_per_day AS old (sku, lot, day, units)
        SELECT sku, lot, day, sum(units) FROM news GROUP BY sku, lot, day ORDER BY sku, lot, day
        ON CONFLICT (sku, lot, day) DO UPDATE SET units = old.units + excluded.units
    ), months AS (
        INSERT INTO rollup_queue (month) SELECT DISTINCT date_trunc('month', day) FROM news
    )
    INSERT INTO detection_queue (sku, lot)
    SELECT DISTINCT n.sku, n.lot FROM news n
    WHERE EXISTS (SELECT FROM clusters c WHERE c.sku = n.sku AND c.lot IN (n.lot, '') AND c.status = 'acting')
       OR EXISTS (SELECT FROM reported_lines r WHERE r.sku = n.sku AND r.delivered_on >= n.day - 30)"""
_RECORD_REPORTS = """
    WITH news AS (
        SELECT * FROM unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[],
                             $8::int[], $9::date[], $10::timestamptz[])
            AS n (issue_id, line_id, order_id, customer_id, sku, lot, reason, units, delivered_on, reported_at)
    ), lines AS (
        INSERT INTO reported_lines
            (issue_id, line_id, order_id, customer_id, sku, lot, reason, units, delivered_on, reported_at)
        SELECT * FROM news ON CONFLICT (issue_id, line_id) DO NOTHING
    ), learn AS (
        INSERT INTO detection_queue (sku, lot) SELECT DISTINCT sku, lot FROM news
    ), moments AS (
        SELECT * FROM unnest($11::uuid[], $12::text[], $13::timestamptz[], $14::timestamptz[], $15::timestamptz[],
                             $16::timestamptz[], $17::timestamptz[], $18::int[], $19::int[], $20::timestamptz[])
            AS m (issue_id, reason, reported_at, answered_at, ordered_at, resolved_at, reopened_at, contacts, score,
                  rated_at)
    ), months AS (
        INSERT INTO rollup_queue (month)
        SELECT DISTINCT date_trunc('month', at AT TIME ZONE 'UTC') FROM (
            SELECT reported_at AS at FROM moments
            UNION ALL SELECT rated_at FROM moments
            UNION ALL SELECT f.rated_at FROM moments m JOIN issue_metrics f USING (issue_id)
                      WHERE m.reported_at IS NOT NULL OR m.rated_at IS NOT NULL
            UNION ALL SELECT reported_at FROM news
            UNION ALL SELECT delivered_on::timestamp AT TIME ZONE 'UTC' FROM news
        ) AS moved WHERE at IS NOT NULL
    )
    INSERT INTO issue_metrics AS old
        (issue_id, reason, reported_at, answered_at, ordered_at, resolved_at, reopened_at, contacts, score, rated_at)
    SELECT * FROM moments
    ON CONFLICT (issue_id) DO UPDATE SET
        reason = COALESCE(old.reason, excluded.reason),
        reported_at = COALESCE(old.reported_at, excluded.reported_at),
        answered_at = LEAST(old.answered_at, excluded.answered_at),
        ordered_at = LEAST(old.ordered_at, excluded.ordered_at),
        resolved_at = GREATEST(old.resolved_at, excluded.resolved_at),
        reopened_at = GREATEST(old.reopened_at, excluded.reopened_at),
        contacts = old.contacts + excluded.contacts,
        score = CASE WHEN excluded.rated_at >= COALESCE(old.rated_at, '-infinity')
                     THEN excluded.score ELSE old.score END,
        rated_at = GREATEST(old.rated_at, excluded.rated_at)"""
# `dataclasses.astuple` deep-copies each value, which would dominate the cost.
_line_row = attrgetter(*(field.name for field in fields(LineReported)))
_metrics_row = attrgetter(*(field.name for field in fields(IssueMetrics)))

_WITHDRAW = """
    WITH withdrawn AS (
        UPDATE reported_lines SET is_valid = false WHERE issue_id = ANY($1) AND is_valid
        RETURNING delivered_on, reported_at
    )
    INSERT INTO rollup_queue (month)
    SELECT DISTINCT date_trunc('month', day) FROM (
        SELECT delivered_on AS day FROM withdrawn UNION ALL SELECT (reported_at AT TIME ZONE 'UTC')::date FROM withdrawn
    ) AS moved"""


async def record_deliveries(conn: Connection, records: Sequence[Record]) -> None:
    """Add delivered units to the denominators of report rates."""
    found: Counter[tuple[Any, ...]] = Counter()
    for record in records:
        if isinstance(record, UnitsDelivered):
            line_id, sku, lot, day = record.delivery
            found[record.order_id, line_id, lot, day, sku, record.customer_id] += record.quantity
    rows = [(*key, units) for key, units in sorted(found.items()) if units]
    if rows:
        await conn.execute(_RECORD_DELIVERIES, *columns(rows, 7))


async def record_reports(conn: Connection, records: Sequence[Record]) -> None:
    """Record reports and times of issues; a report that is withdrawn in the same batch ends up withdrawn."""
    lines = [_line_row(record) for record in records if type(record) is LineReported]
    moments = [
        _metrics_row(metrics) for metrics in merge_metrics(record for record in records if type(record) is IssueMetrics)
    ]
    if lines or moments:
        await conn.execute(_RECORD_REPORTS, *columns(lines, 10), *columns(moments, 10))
    withdrawn = sorted({record.issue_id for record in records if type(record) is ReportWithdrawn})
    if withdrawn:
        await conn.execute(_WITHDRAW, withdrawn)
