"""SQL about reports: the rows of issues, who holds which piece, photos and decisions. For a whole batch each."""

from collections.abc import Iterable, Sequence
from datetime import date
from itertools import groupby
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from pydantic import TypeAdapter

from libs.common.decisions.facts import Record
from libs.common.events.storefront import IssueSubmitted
from libs.common.events.values import Reason, Remedy, ReportedLine
from libs.common.postgres.pool import ConflictError, Connection
from services.intake.domain.issue_acceptance import IssueChanged, IssueFiled
from services.intake.domain.orders import Filed, Report, Unit
from services.intake.domain.pending_details import PhotosKept
from services.intake.domain.staff_decisions import DecisionMade
from services.intake.projections.timeline import Status, UnitsOwedAgain, UnitsReleased, UnitsRenewed

_LINES = TypeAdapter(tuple[ReportedLine, ...])

_HELD = "SELECT order_id, line_id, unit, renewal, issue_id, renewed_on FROM entitlements WHERE order_id = ANY($1)"
# What exists under these ids, whatever its order; and what these orders have, for the storefront's own numbers.
_KNOWN_ISSUES = """
    SELECT issue_id, order_id, CASE WHEN refusal_code IS NULL THEN reference END AS reference
    FROM issues WHERE order_id = ANY($1)
    UNION ALL
    SELECT issue_id, order_id, NULL FROM issues WHERE issue_id = ANY($2) AND order_id <> ALL($1)"""
_FILED = """
    SELECT issue_id, order_id, customer_id, reason, lines, requested_remedy, description, reference, noticed_on,
    refusal_code, reported_at,
           (SELECT count(*) FROM decisions d WHERE d.issue_id = i.issue_id) AS version,
           ARRAY(SELECT sha256 FROM evidence e WHERE e.issue_id = i.issue_id) AS photos
    FROM issues i WHERE issue_id = ANY($1)"""
# Whose each photo is: nobody's yet, or the customer's whose issue has it. Nobody gets another's by knowing its name.
_UPLOADED = """
    SELECT sha256, NULL AS customer_id FROM uploads WHERE sha256 = ANY($1)
    UNION SELECT e.sha256, i.customer_id FROM evidence e JOIN issues i USING (issue_id) WHERE e.sha256 = ANY($1)"""
_FILE = """
    INSERT INTO issues (
        issue_id, order_id, customer_id, reason, lines, description, reference, refusal_code, reported_at,
        requested_remedy, noticed_on, skus, missing, decide_by, head, head_at, gate, gate_at)
    SELECT issue_id, order_id, customer_id, reason, lines, description, reference, refusal_code, reported_at,
    requested_remedy,
           noticed_on, string_to_array(skus, chr(31)), string_to_array(missing, ','), decide_by, head, reported_at,
           CASE WHEN refusal_code IS NULL THEN 'accepted' ELSE 'rejected' END, reported_at
    FROM unnest(
        $1::uuid[], $2::text[], $3::text[], $4::text[], $5::jsonb[], $6::text[], $7::text[], $8::text[],
        $9::timestamptz[], $10::text[], $11::date[], $12::text[], $13::text[], $14::timestamptz[], $15::text[])
        AS t (issue_id, order_id, customer_id, reason, lines, description, reference, refusal_code, reported_at,
        requested_remedy, noticed_on, skus, missing, decide_by, head)
    ON CONFLICT (issue_id) DO NOTHING"""
_CHANGE = """
    UPDATE issues i
    SET lines = c.lines, description = c.description, requested_remedy = c.requested_remedy, refusal_code =
    c.refusal_code, missing = string_to_array(c.missing, ','), decide_by = c.decide_by,
        head = c.head, head_at = c.at, gate_at = c.at,
        gate = CASE WHEN c.refusal_code IS NULL THEN 'accepted' ELSE 'rejected' END
    FROM unnest($1::uuid[], $2::jsonb[], $3::text[], $4::text[], $5::text[], $6::text[], $7::timestamptz[], $8::text[],
                $9::timestamptz[])
        AS c (issue_id, lines, description, requested_remedy, refusal_code, missing, decide_by, head, at)
    WHERE i.issue_id = c.issue_id"""
_ENTITLE = """
    INSERT INTO entitlements (order_id, line_id, unit, renewal, issue_id)
    SELECT * FROM unnest($1::text[], $2::text[], $3::int[], $4::int[], $5::uuid[])
    ON CONFLICT (order_id, line_id, unit, renewal) DO NOTHING"""
_RELEASE = """
    DELETE FROM entitlements e USING unnest($1::text[], $2::uuid[]) AS r (order_id, issue_id)
    WHERE e.order_id = r.order_id AND e.issue_id = r.issue_id AND e.renewed_on IS NULL"""
# So many pieces of the issue, in the order of their numbers; a line or a quantity that is null stands for all.
_RENEW = """
    UPDATE entitlements e SET renewed_on = a.day
    FROM (SELECT order_id, line_id, unit, renewal, issue_id,
                 row_number() OVER (PARTITION BY order_id, issue_id, line_id ORDER BY unit, renewal) AS n
          FROM entitlements WHERE order_id = ANY($1) AND issue_id = ANY($2)) p
    JOIN unnest($1::text[], $2::uuid[], $3::text[], $4::int[], $5::date[])
         AS a (order_id, issue_id, line_id, quantity, day)
      ON p.order_id = a.order_id AND p.issue_id = a.issue_id
         AND p.line_id = coalesce(a.line_id, p.line_id) AND p.n <= coalesce(a.quantity, p.n)
    WHERE (e.order_id, e.line_id, e.unit, e.renewal) = (p.order_id, p.line_id, p.unit, p.renewal)
      AND e.renewed_on IS NULL"""
_OWE_AGAIN = """
    UPDATE entitlements e SET renewed_on = NULL
    FROM unnest($1::text[], $2::uuid[]) AS r (order_id, issue_id)
    WHERE e.order_id = r.order_id AND e.issue_id = r.issue_id AND NOT EXISTS (
        SELECT FROM entitlements n
        WHERE (n.order_id, n.line_id, n.unit, n.renewal) = (e.order_id, e.line_id, e.unit, e.renewal + 1))"""
_ADD_PHOTOS = """
    INSERT INTO evidence (issue_id, sha256, media_type, size_bytes, width, height, stored_at)
    SELECT *, $7 FROM unnest($1::uuid[], $2::text[], $3::text[], $4::int[], $5::int[], $6::int[])
    ON CONFLICT (issue_id, sha256) DO NOTHING"""
# A photo that came before its report belongs to it from now on.
_ATTACH = """
    WITH given AS (DELETE FROM uploads WHERE sha256 = ANY($2))
    INSERT INTO evidence (issue_id, sha256, media_type, size_bytes, width, height, stored_at)
    SELECT DISTINCT ON (n.issue_id, n.sha256) n.issue_id, n.sha256, u.media_type, u.size_bytes, u.width, u.height, $3
    FROM unnest($1::uuid[], $2::text[]) AS n (issue_id, sha256)
    JOIN (SELECT sha256, media_type, size_bytes, width, height FROM uploads WHERE sha256 = ANY($2)
          UNION ALL
          SELECT sha256, media_type, size_bytes, width, height FROM evidence WHERE sha256 = ANY($2)) u USING (sha256)
    ON CONFLICT (issue_id, sha256) DO NOTHING"""
_DECIDE = """
    INSERT INTO decisions (issue_id, version, decision_id, action, review, remedy, staff, comment, decided_at)
    SELECT * FROM unnest($1::uuid[], $2::int[], $3::uuid[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[],
                         $9::timestamptz[])
    ON CONFLICT DO NOTHING"""


async def held(
    conn: Connection, order_ids: Sequence[str]
) -> tuple[dict[str, dict[Unit, UUID]], dict[str, dict[Unit, date]]]:
    """Who holds which piece of these orders, and of which of them the replacement arrived when."""
    holders: dict[str, dict[Unit, UUID]] = {}
    renewed: dict[str, dict[Unit, date]] = {}
    for row in await conn.fetch(_HELD, order_ids):
        unit = Unit(row["line_id"], row["unit"], row["renewal"])
        holders.setdefault(row["order_id"], {})[unit] = row["issue_id"]
        if row["renewed_on"]:
            renewed.setdefault(row["order_id"], {})[unit] = row["renewed_on"]
    return holders, renewed


async def known_issues(
    conn: Connection, order_ids: Iterable[str], issue_ids: Iterable[UUID]
) -> tuple[dict[UUID, str], dict[str, dict[str, UUID]]]:
    """The order of each issue; and, by order, which issue has which of the storefront's numbers."""
    issues: dict[UUID, str] = {}
    references: dict[str, dict[str, UUID]] = {}
    for row in await conn.fetch(_KNOWN_ISSUES, list(order_ids), list(issue_ids)):
        issues[row["issue_id"]] = row["order_id"]
        if row["reference"]:
            references.setdefault(row["order_id"], {})[row["reference"]] = row["issue_id"]
    return issues, references


async def filed(conn: Connection, issue_ids: Iterable[UUID]) -> dict[UUID, Filed]:
    """Whole reports, as their rows have them."""
    return {row["issue_id"]: _filed(row) for row in await conn.fetch(_FILED, list(issue_ids))}


def _filed(row: Any) -> Filed:
    said = IssueSubmitted.model_construct(
        order_id=row["order_id"],
        customer_id=row["customer_id"],
        reason=Reason(row["reason"]),
        lines=_LINES.validate_json(row["lines"]),
        requested_remedy=Remedy(row["requested_remedy"]) if row["requested_remedy"] else None,
        description=row["description"],
        reference=row["reference"],
        noticed_on=row["noticed_on"],
        photos=(),
        issue_id=row["issue_id"],
    )
    report = Report(row["issue_id"], said, row["reported_at"])
    return Filed(report, row["refusal_code"], row["version"], frozenset(row["photos"]))


async def uploaded(conn: Connection, photos: Iterable[str]) -> dict[str, set[str | None]]:
    """Whose these photos are, as far as they are there; None stands for nobody yet."""
    found: dict[str, set[str | None]] = {}
    for row in await conn.fetch(_UPLOADED, list(photos)):
        found.setdefault(row["sha256"], set()).add(row["customer_id"])
    return found


async def save(conn: Connection, records: Sequence[Record]) -> None:
    """Write what was decided about reports. Raises `ConflictError` where another transaction was first."""
    new = [record for record in records if isinstance(record, IssueFiled)]
    changed = {record.report.issue_id: record for record in records if isinstance(record, IssueChanged)}
    if new:
        await _file(conn, new)
    if changed:
        await _change(conn, [changed[issue_id] for issue_id in sorted(changed)])
    await _entitle(conn, records)
    kept = [record for record in records if isinstance(record, PhotosKept)]
    if kept:
        await _keep(conn, kept)
    decided = [record for record in records if isinstance(record, DecisionMade)]
    if decided:
        await _decide(conn, decided)


async def _file(conn: Connection, filed: Sequence[IssueFiled]) -> None:
    rows = sorted(filed, key=lambda record: record.report.issue_id)
    if len({record.report.issue_id for record in rows}) != len(rows):
        raise ValueError("issue_id: given to two reports of one batch; taken one by one, the first one has it")
    said = [record.report.said for record in rows]
    status = await conn.execute(
        _FILE,
        [record.report.issue_id for record in rows],
        [one.order_id for one in said],
        [one.customer_id for one in said],
        [one.reason.value for one in said],
        [_LINES.dump_json(one.lines, exclude_none=True).decode() for one in said],
        [one.description for one in said],
        [one.reference for one in said],
        [record.refusal.code if record.refusal else None for record in rows],
        [record.report.reported_at for record in rows],
        [one.requested_remedy for one in said],
        [one.noticed_on for one in said],
        ["\x1f".join(record.skus) for record in rows],
        [",".join(record.missing) for record in rows],
        [record.decide_by for record in rows],
        [_head(record.refusal is not None, bool(record.missing)) for record in rows],
    )
    _expect(status, len(rows), "issues")
    named = [(record.report.issue_id, photo) for record in rows for photo in record.report.said.photos]
    if named:
        at = max(record.report.reported_at for record in rows)
        await conn.execute(_ATTACH, [issue_id for issue_id, _ in named], [photo for _, photo in named], at)


def _head(refused: bool, lacks_something: bool) -> str:
    return Status.REJECTED if refused else Status.WAITING_FOR_CUSTOMER if lacks_something else Status.ACCEPTED


async def _change(conn: Connection, rows: Sequence[IssueChanged]) -> None:
    said = [record.report.said for record in rows]
    await conn.execute(
        _CHANGE,
        [record.report.issue_id for record in rows],
        [_LINES.dump_json(one.lines, exclude_none=True).decode() for one in said],
        [one.description for one in said],
        [one.requested_remedy for one in said],
        [record.refusal_code for record in rows],
        [",".join(record.missing) for record in rows],
        [record.decide_by for record in rows],
        [_head(record.refusal_code is not None, bool(record.missing)) for record in rows],
        [record.at for record in rows],
    )


async def _entitle(conn: Connection, records: Sequence[Record]) -> None:
    """Pieces that become free and pieces that are taken, as they are after the whole batch."""
    taken: dict[tuple[str, str, int, int], UUID] = {}
    freed: set[tuple[str, UUID]] = set()
    for record in records:
        match record:
            case IssueFiled(report=report, units=units) | IssueChanged(report=report, takes=units, frees=False):
                taken |= {(report.said.order_id, *unit): report.issue_id for unit in units}
            case IssueChanged(report=report):
                taken = {unit: issue_id for unit, issue_id in taken.items() if issue_id != report.issue_id}
                freed.add((report.said.order_id, report.issue_id))
    if freed:
        await conn.execute(_RELEASE, *map(list, zip(*sorted(freed), strict=True)))
    if taken:
        rows = sorted((*unit, issue_id) for unit, issue_id in taken.items())
        status = await conn.execute(_ENTITLE, *map(list, zip(*rows, strict=True)))
        _expect(status, len(rows), "entitlements")


async def move_units(conn: Connection, records: Sequence[Record], zone: ZoneInfo) -> None:
    """What the topics told about pieces: given back, sent anew, or owed again; in the order in which it was told."""
    told = [one for one in records if isinstance(one, UnitsReleased | UnitsRenewed | UnitsOwedAgain)]
    for kind, several in groupby(told, type):
        some = list(several)
        if kind is UnitsRenewed:
            await _renew(conn, [one for one in some if isinstance(one, UnitsRenewed)], zone)
        else:
            named = sorted({(one.order_id, one.issue_id) for one in some})
            statement = _RELEASE if kind is UnitsReleased else _OWE_AGAIN
            await conn.execute(statement, [order_id for order_id, _ in named], [issue_id for _, issue_id in named])


async def _renew(conn: Connection, arrived: Sequence[UnitsRenewed], zone: ZoneInfo) -> None:
    rows: list[tuple[str, UUID, str | None, int | None, date]] = []
    for one in arrived:
        ids, day = (one.order_id, one.issue_id), one.at.astimezone(zone).date()
        rows += (
            [(*ids, line.line_id, line.quantity, day) for line in one.lines] if one.lines else [(*ids, None, None, day)]
        )
    await conn.execute(_RENEW, *map(list, zip(*rows, strict=True)))


async def _keep(conn: Connection, kept: Sequence[PhotosKept]) -> None:
    rows = [(record.issue_id, photo) for record in kept for photo in record.photos]
    await conn.execute(
        _ADD_PHOTOS,
        [issue_id for issue_id, _ in rows],
        [photo.sha256 for _, photo in rows],
        [photo.media_type for _, photo in rows],
        [photo.size_bytes for _, photo in rows],
        [photo.width for _, photo in rows],
        [photo.height for _, photo in rows],
        kept[-1].kept_at,
    )


async def _decide(conn: Connection, made: Sequence[DecisionMade]) -> None:
    status = await conn.execute(
        _DECIDE,
        [record.decision.issue_id for record in made],
        [record.version for record in made],
        [record.decision.decision_id for record in made],
        [record.decision.action for record in made],
        [record.decision.review for record in made],
        [record.decision.remedy for record in made],
        [record.decision.staff for record in made],
        [record.decision.comment for record in made],
        [record.decided_at for record in made],
    )
    _expect(status, len(made), "decisions")


def _expect(status: str, count: int, table: str) -> None:
    if int(status.rsplit(" ", 1)[1]) != count:
        raise ConflictError(f"{table}: a row was made by another transaction at the same time")
