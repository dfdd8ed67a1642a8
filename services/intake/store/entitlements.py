"""SQL of entitlements: the holder of each unit, and of each component of a unit. Statements write whole batches.

A report is decided under the lock of its order, so two reports of one order are serialised. The primary key enforces
the same for any other writer: the second one fails with `ConflictError` and is decided again.
"""

from collections.abc import Sequence
from datetime import date
from itertools import groupby
from uuid import UUID
from zoneinfo import ZoneInfo

from libs.common.decisions.facts import Record
from libs.common.postgres.batch import columns, row_count
from libs.common.postgres.pool import ConflictError, Connection
from services.intake.domain.issue_acceptance import IssueRecorded, IssueUpdated
from services.intake.domain.projections.timeline import ReplacementRevoked, ResendAnswered, UnitsReleased, UnitsReplaced
from services.intake.domain.staff_decisions import StaffDecisionRecorded
from services.intake.domain.units import Unit

UnitChange = UnitsReleased | UnitsReplaced | ReplacementRevoked | ResendAnswered

_READ = """
    SELECT order_id, line_id, unit_number, generation, '' AS component, issue_id,
           CASE WHEN resent_by IS NULL THEN replaced_on END AS replaced_on
    FROM entitlements WHERE order_id = ANY($1)
    UNION ALL
    SELECT order_id, line_id, unit_number, generation, component, issue_id,
           CASE WHEN resent_by IS NULL THEN replaced_on END
    FROM part_entitlements WHERE order_id = ANY($1)"""
_INSERT = """
    INSERT INTO entitlements (order_id, line_id, unit_number, generation, issue_id)
    SELECT * FROM unnest($1::text[], $2::text[], $3::int[], $4::int[], $5::uuid[])
    ON CONFLICT (order_id, line_id, unit_number, generation) DO NOTHING"""
_INSERT_PARTS = """
    INSERT INTO part_entitlements (order_id, line_id, unit_number, generation, component, issue_id)
    SELECT * FROM unnest($1::text[], $2::text[], $3::int[], $4::int[], $5::text[], $6::uuid[])
    ON CONFLICT (order_id, line_id, unit_number, component, generation) DO NOTHING"""
# Each statement below changes units and parts alike, in one round trip.
_RELEASE = """
    WITH released AS (SELECT * FROM unnest($1::text[], $2::uuid[]) AS r (order_id, issue_id)), parts AS (
        DELETE FROM part_entitlements e USING released r
        WHERE e.order_id = r.order_id AND e.issue_id = r.issue_id AND e.replaced_on IS NULL)
    DELETE FROM entitlements e USING released r
    WHERE e.order_id = r.order_id AND e.issue_id = r.issue_id AND e.replaced_on IS NULL"""
# All but the first `quantity` units of a line, which stay with the issue.
_RELEASE_OTHERS = """
    WITH kept AS (SELECT * FROM unnest($3::uuid[], $4::text[], $5::int[]) AS k (issue_id, line_id, quantity)),
    parts AS (
        DELETE FROM part_entitlements e
        USING (SELECT order_id, line_id, unit_number, generation, component, issue_id,
                      row_number() OVER (PARTITION BY order_id, issue_id, line_id, component
                                         ORDER BY unit_number, generation) AS n
               FROM part_entitlements WHERE order_id = ANY($1) AND issue_id = ANY($2) AND replaced_on IS NULL) p
        LEFT JOIN kept k ON k.issue_id = p.issue_id AND k.line_id = p.line_id
        WHERE (e.order_id, e.line_id, e.unit_number, e.generation, e.component)
            = (p.order_id, p.line_id, p.unit_number, p.generation, p.component) AND p.n > coalesce(k.quantity, 0))
    DELETE FROM entitlements e
    USING (SELECT order_id, line_id, unit_number, generation, issue_id,
                  row_number() OVER (PARTITION BY order_id, issue_id, line_id ORDER BY unit_number, generation) AS n
           FROM entitlements WHERE order_id = ANY($1) AND issue_id = ANY($2) AND replaced_on IS NULL) p
    LEFT JOIN kept k ON k.issue_id = p.issue_id AND k.line_id = p.line_id
    WHERE (e.order_id, e.line_id, e.unit_number, e.generation) = (p.order_id, p.line_id, p.unit_number, p.generation)
      AND p.n > coalesce(k.quantity, 0)"""
# The first `quantity` units of the issue, in the order of their numbers; a null line or quantity means all.
_REPLACE = """
    WITH arrived AS (SELECT * FROM unnest($1::text[], $2::uuid[], $3::text[], $4::int[], $5::date[])
                     AS a (order_id, issue_id, line_id, quantity, day)), parts AS (
        UPDATE part_entitlements e SET replaced_on = a.day
        FROM (SELECT order_id, line_id, unit_number, generation, component, issue_id,
                     row_number() OVER (PARTITION BY order_id, issue_id, line_id, component
                                        ORDER BY unit_number, generation) AS n
              FROM part_entitlements WHERE order_id = ANY($1) AND issue_id = ANY($2)) p
        JOIN arrived a ON p.order_id = a.order_id AND p.issue_id = a.issue_id
             AND p.line_id = coalesce(a.line_id, p.line_id) AND p.n <= coalesce(a.quantity, p.n)
        WHERE (e.order_id, e.line_id, e.unit_number, e.generation, e.component)
            = (p.order_id, p.line_id, p.unit_number, p.generation, p.component) AND e.replaced_on IS NULL)
    UPDATE entitlements e SET replaced_on = a.day
    FROM (SELECT order_id, line_id, unit_number, generation, issue_id,
                 row_number() OVER (PARTITION BY order_id, issue_id, line_id ORDER BY unit_number, generation) AS n
          FROM entitlements WHERE order_id = ANY($1) AND issue_id = ANY($2)) p
    JOIN arrived a ON p.order_id = a.order_id AND p.issue_id = a.issue_id
         AND p.line_id = coalesce(a.line_id, p.line_id) AND p.n <= coalesce(a.quantity, p.n)
    WHERE (e.order_id, e.line_id, e.unit_number, e.generation)
        = (p.order_id, p.line_id, p.unit_number, p.generation) AND e.replaced_on IS NULL"""
_REVOKE_REPLACEMENT = """
    WITH revoked AS (SELECT * FROM unnest($1::text[], $2::uuid[]) AS r (order_id, issue_id)), parts AS (
        UPDATE part_entitlements e SET replaced_on = NULL FROM revoked r
        WHERE e.order_id = r.order_id AND e.issue_id = r.issue_id AND NOT EXISTS (
            SELECT FROM part_entitlements n
            WHERE (n.order_id, n.line_id, n.unit_number, n.component, n.generation)
                = (e.order_id, e.line_id, e.unit_number, e.component, e.generation + 1)))
    UPDATE entitlements e SET replaced_on = NULL FROM revoked r
    WHERE e.order_id = r.order_id AND e.issue_id = r.issue_id AND NOT EXISTS (
        SELECT FROM entitlements n
        WHERE (n.order_id, n.line_id, n.unit_number, n.generation)
            = (e.order_id, e.line_id, e.unit_number, e.generation + 1))"""


_MARK_RESENT = """
    WITH decided AS (SELECT * FROM unnest($1::text[], $2::uuid[], $3::uuid[]) AS d (order_id, issue_id, decision_id)),
    parts AS (
        UPDATE part_entitlements e SET resent_by = d.decision_id FROM decided d
        WHERE e.order_id = d.order_id AND e.issue_id = d.issue_id)
    UPDATE entitlements e SET resent_by = d.decision_id FROM decided d
    WHERE e.order_id = d.order_id AND e.issue_id = d.issue_id"""
# The mark of a later decision stays until that one is answered.
_ANSWER_RESEND = """
    WITH answered AS (SELECT * FROM unnest($1::text[], $2::uuid[], $3::uuid[], $4::bool[])
                      AS a (order_id, issue_id, decision_id, applied)), parts AS (
        UPDATE part_entitlements e
        SET resent_by = NULL, replaced_on = CASE WHEN NOT a.applied THEN e.replaced_on END FROM answered a
        WHERE e.order_id = a.order_id AND e.issue_id = a.issue_id AND e.resent_by = a.decision_id)
    UPDATE entitlements e SET resent_by = NULL, replaced_on = CASE WHEN NOT a.applied THEN e.replaced_on END
    FROM answered a WHERE e.order_id = a.order_id AND e.issue_id = a.issue_id AND e.resent_by = a.decision_id"""


async def read_entitlements(
    conn: Connection, order_ids: Sequence[str]
) -> tuple[dict[str, dict[Unit, UUID]], dict[str, dict[Unit, date]]]:
    """Return, by order, the holder of each unit and the day on which its replacement was delivered."""
    holders: dict[str, dict[Unit, UUID]] = {}
    replaced: dict[str, dict[Unit, date]] = {}
    for row in await conn.fetch(_READ, order_ids):
        unit = Unit(row["line_id"], row["unit_number"], row["generation"], row["component"])
        holders.setdefault(row["order_id"], {})[unit] = row["issue_id"]
        if row["replaced_on"]:
            replaced.setdefault(row["order_id"], {})[unit] = row["replaced_on"]
    return holders, replaced


async def save_entitlements(conn: Connection, records: Sequence[Record]) -> None:
    """Write released and claimed units as they are after the whole batch."""
    claimed: dict[tuple[str, Unit], UUID] = {}
    released: set[tuple[str, UUID]] = set()
    for record in records:
        match record:
            case (
                IssueRecorded(report=report, units=units)
                | IssueUpdated(report=report, claimed_units=units, releases_units=False)
            ):
                claimed |= {(report.submission.order_id, unit): report.issue_id for unit in units}
            case IssueUpdated(report=report):
                claimed = {unit: issue_id for unit, issue_id in claimed.items() if issue_id != report.issue_id}
                released.add((report.submission.order_id, report.issue_id))
    if released:
        await conn.execute(_RELEASE, *columns(sorted(released)))
    rows = sorted((order_id, *unit[:3], issue) for (order_id, unit), issue in claimed.items() if not unit.component)
    if rows:
        expect_rows(await conn.execute(_INSERT, *columns(rows)), len(rows), "entitlements")
    parts = sorted((order_id, *unit, issue) for (order_id, unit), issue in claimed.items() if unit.component)
    if parts:
        expect_rows(await conn.execute(_INSERT_PARTS, *columns(parts)), len(parts), "part_entitlements")


async def mark_resent(conn: Connection, recorded: Sequence[StaffDecisionRecorded]) -> None:
    """Mark the units that these decisions may send again; the last decision of an issue counts."""
    last = {one.decision.issue_id: one.decision for one in recorded if one.may_resend}
    if last:
        rows = [(one.order_id, one.issue_id, one.decision_id) for one in last.values()]
        await conn.execute(_MARK_RESENT, *columns(rows))


async def apply_unit_changes(conn: Connection, records: Sequence[Record], zone: ZoneInfo) -> None:
    """Release, replace or revoke units, in the order of the events."""
    changes = [one for one in records if isinstance(one, UnitChange)]
    for kind, group in groupby(changes, type):
        same_kind = list(group)
        if kind is UnitsReplaced:
            await _replace(conn, [one for one in same_kind if isinstance(one, UnitsReplaced)], zone)
        elif kind is ResendAnswered:
            answers = [one for one in same_kind if isinstance(one, ResendAnswered)]
            rows = [(one.order_id, one.issue_id, one.decision_id, one.applied) for one in answers]
            await conn.execute(_ANSWER_RESEND, *columns(rows))
        else:
            keeping = [one for one in same_kind if isinstance(one, UnitsReleased) and one.kept_lines]
            await _release_others(conn, keeping)
            keys = sorted({(one.order_id, one.issue_id) for one in same_kind if one not in keeping})
            statement = _RELEASE if kind is UnitsReleased else _REVOKE_REPLACEMENT
            await conn.execute(statement, [order_id for order_id, _ in keys], [issue_id for _, issue_id in keys])


async def _release_others(conn: Connection, released: Sequence[UnitsReleased]) -> None:
    """Release the units that do not stay with their issue."""
    if released:
        kept = [(one.issue_id, line.line_id, line.quantity) for one in released for line in one.kept_lines]
        orders, issues = [one.order_id for one in released], [one.issue_id for one in released]
        await conn.execute(_RELEASE_OTHERS, orders, issues, *columns(kept))


async def _replace(conn: Connection, replaced: Sequence[UnitsReplaced], zone: ZoneInfo) -> None:
    rows: list[tuple[str, UUID, str | None, int | None, date]] = []
    for one in replaced:
        ids, day = (one.order_id, one.issue_id), one.replaced_at.astimezone(zone).date()
        if one.lines:
            rows += [(*ids, line.line_id, line.quantity, day) for line in one.lines]
        else:
            rows.append((*ids, None, None, day))
    await conn.execute(_REPLACE, *columns(rows))


def expect_rows(status: str, count: int, table: str) -> None:
    """Raise `ConflictError` where a statement inserted fewer rows than it was given."""
    if row_count(status) != count:
        raise ConflictError(f"{table}: a row was inserted by another transaction at the same time")
