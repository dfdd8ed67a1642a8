"""SQL of staff decisions."""

from collections.abc import Sequence

from libs.common.postgres.pool import Connection
from services.intake.domain.staff_decisions import StaffDecisionRecorded
from services.intake.store.entitlements import expect_rows

_INSERT = """
    INSERT INTO staff_decisions (issue_id, version, decision_id, action, review, remedy, staff, comment, decided_at)
    SELECT * FROM unnest($1::uuid[], $2::int[], $3::uuid[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[],
                         $9::timestamptz[])
    ON CONFLICT DO NOTHING"""


async def insert_decisions(conn: Connection, recorded: Sequence[StaffDecisionRecorded]) -> None:
    """Insert rows. Raises `ConflictError` where another transaction was first."""
    decisions = [record.decision for record in recorded]
    status = await conn.execute(
        _INSERT,
        [decision.issue_id for decision in decisions],
        [record.version for record in recorded],
        [decision.decision_id for decision in decisions],
        [decision.action for decision in decisions],
        [decision.review for decision in decisions],
        [decision.remedy for decision in decisions],
        [decision.staff for decision in decisions],
        [decision.comment for decision in decisions],
        [record.decided_at for record in recorded],
    )
    expect_rows(status, len(recorded), "staff_decisions")
