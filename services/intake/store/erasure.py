"""Erasure of a customer in intake: contacts of orders, free text, photos, and comments of staff about issues.

Issues, their timelines and entitlements stay, under their ids. Files are part of no transaction: the rows of photos are
deleted with the erasure, the files after it (`evidence.photo_cleanup`).
"""

from collections.abc import Sequence
from dataclasses import replace
from uuid import UUID

from pydantic import TypeAdapter

from libs.common.postgres.pool import Connection
from libs.common.privacy.erasure import Erasure, erase_dead_letters
from services.intake.domain.orders import Order, PendingReport, Report
from services.intake.store.customer_messages import erase_messages, erase_unmatched
from services.intake.store.order_contacts import addresses_of_customer

_ORDER: TypeAdapter[Order] = TypeAdapter(Order)

# Orders have no index by customer, so this scans the table: rare, and it locks the customer's own rows only. A report
# that waits for its order holds its own customer id.
_ORDERS = """
    SELECT key, body FROM orders
    WHERE body #>> '{purchase,customer_id}' = $1
       OR jsonb_path_exists(body, '$.awaiting_order[*].submission.customer_id ? (@ == $customer_id)',
                            jsonb_build_object('customer_id', $1::text))
    ORDER BY key FOR UPDATE"""
_REWRITE = "UPDATE orders SET body = $2, version = version + 1 WHERE key = $1"
_ISSUES = "SELECT issue_id FROM issues WHERE customer_id = $1 AND reported_at <= $2"
_DESCRIPTIONS = "UPDATE issues SET description = NULL WHERE issue_id = ANY($1) AND description IS NOT NULL"
_RATINGS = "UPDATE ratings SET comment = NULL WHERE issue_id = ANY($1) AND rated_at <= $2 AND comment IS NOT NULL"
_STAFF = "SELECT erase_free_text($1)"
_CONTACTS = "DELETE FROM order_contacts WHERE customer_id = $1 AND coalesce(placed_at, '-infinity') <= $2"
_ANOMALIES = """
    UPDATE anomalies SET comment = ''
    WHERE (issue_id = ANY($1) OR order_id = ANY($2) OR thing = ANY($4)) AND settled_at <= $3"""
_PHOTOS = """
    WITH attached AS (
        DELETE FROM evidence WHERE issue_id = ANY($1) AND stored_at <= $3 RETURNING sha256, media_type),
    uploaded AS (DELETE FROM photo_uploads WHERE sha256 = ANY($2) RETURNING sha256, media_type)
    INSERT INTO photo_deletion_queue (sha256, media_type) SELECT * FROM attached UNION SELECT * FROM uploaded
    ON CONFLICT DO NOTHING"""


async def erase(conn: Connection, erasure: Erasure) -> None:
    orders, uploaded = await _redact_reports(conn, erasure)
    rows = await conn.fetch(_ISSUES, erasure.customer_id, erasure.until)
    issues: list[UUID] = [row["issue_id"] for row in rows]
    await erase_dead_letters(conn, erasure, [*orders, *map(str, issues)])
    # Mails that name no order are found by the addresses of their sender, which the contacts hold.
    unmatched = await erase_unmatched(conn, await addresses_of_customer(conn, erasure.customer_id), erasure.until)
    await conn.execute(_CONTACTS, erasure.customer_id, erasure.until)
    await conn.execute(_DESCRIPTIONS, issues)
    await conn.execute(_RATINGS, issues, erasure.until)
    await erase_messages(conn, issues, orders, erasure.customer_id, erasure.until)
    await conn.execute(_STAFF, issues)
    await conn.execute(_ANOMALIES, issues, orders, erasure.until, [f"message:{each}" for each in unmatched])
    await conn.execute(_PHOTOS, issues, uploaded, erasure.until)


async def _redact_reports(conn: Connection, erasure: Erasure) -> tuple[list[str], list[str]]:
    """Redact reports that wait in an order; returns their order ids, and the photos that they name."""
    photos: set[str] = set()
    rows = await conn.fetch(_ORDERS, erasure.customer_id, timeout=300)
    for row in rows:
        order = _ORDER.validate_json(row["body"])
        redacted = [report for report in _reports(order) if _is_theirs(report, erasure)]
        photos.update(photo for report in redacted for photo in report.submission.photos)
        after = replace(
            order,
            awaiting_order=tuple(_redact(report, erasure) for report in order.awaiting_order),
            awaiting_details=tuple(_redact_pending(pending, erasure) for pending in order.awaiting_details),
        )
        if after != order:
            await conn.execute(_REWRITE, row["key"], _ORDER.dump_json(after).decode())
    return [row["key"] for row in rows], sorted(photos)


def _reports(order: Order) -> Sequence[Report]:
    return (*order.awaiting_order, *(pending.report for pending in order.awaiting_details))


def _is_theirs(report: Report, erasure: Erasure) -> bool:
    return report.submission.customer_id == erasure.customer_id and report.reported_at <= erasure.until


def _redact(report: Report, erasure: Erasure) -> Report:
    if not _is_theirs(report, erasure):
        return report
    return replace(report, submission=report.submission.model_copy(update={"description": None, "photos": ()}))


def _redact_pending(pending: PendingReport, erasure: Erasure) -> PendingReport:
    return replace(pending, report=_redact(pending.report, erasure))
