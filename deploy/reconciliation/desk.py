"""Desk items for findings that no event repairs: an anomaly of the issue, shown once until staff have dealt with it."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from uuid import UUID

from deploy.reconciliation.discrepancies import Discrepancy, rebuilt
from libs.common.events.issues import IssueAnomalyDetected
from libs.common.events.registry import encode
from libs.common.messaging import outbox
from libs.common.messaging.outbox import OutboxRow
from libs.common.postgres.pool import Connection
from services.intake.store import reconciliation as intake

ANOMALY = "services_differ"
"""Code of the anomaly at the desk; the kind of the finding is its event type."""

REPORTED_BY = "/reconciliation"


async def open_desk_items(
    connections: Mapping[str, Connection], findings: Iterable[Discrepancy], now: datetime, prefix: str = ""
) -> int:
    """Publish an anomaly, as returns does, for each finding about a known issue; return how many.

    The same finding has the same event id in every run, so that the timeline keeps it once.
    """
    wanted = {each.identity: each for each in findings if each.redrive is None and each.issue_id}
    customers = await _customers(connections["intake"], {each.issue_id for each in wanted.values() if each.issue_id})
    rows = [_row(each, customers[each.issue_id], now, prefix) for each in wanted.values() if each.issue_id in customers]
    async with connections["returns"].transaction():
        await outbox.write(connections["returns"], rows)
    return len(rows)


async def _customers(conn: Connection, issue_ids: set[UUID]) -> dict[UUID | None, str]:
    return {row["issue_id"]: row["customer_id"] for row in await intake.read_issues(conn, issue_ids)}


def _row(finding: Discrepancy, customer_id: str, now: datetime, prefix: str) -> OutboxRow:
    assert finding.issue_id is not None, "callers leave out findings without an issue"
    payload = IssueAnomalyDetected(
        issue_id=finding.issue_id,
        order_id=finding.order_id,
        customer_id=customer_id,
        anomaly=ANOMALY,
        cause_id=f"{finding.kind.value}:{finding.detail}"[:400],
        reported_by=REPORTED_BY,
        event_type=finding.kind.value,
        event_id=finding.detail[:200],
        detected_at=now,
    )
    event = rebuilt("returns", finding.issue_id, payload, now, *finding.identity).event
    assert event is not None, "`rebuilt` returns an event"
    return OutboxRow(prefix + payload.TOPIC.name, payload.key, encode(event), type=payload.TYPE)
