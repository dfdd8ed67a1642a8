"""Recorded reports: the accepted reports of stored cases, with their policy versions."""

from datetime import datetime

from libs.common.events.issues import IssueAccepted
from libs.common.postgres.pool import create_pool
from services.returns.domain.policy_simulation import RecordedReport
from services.returns.domain.state.case import Case
from services.returns.store.case_queries import list_accepted_since


async def load_reports(url: str, since: datetime) -> list[RecordedReport]:
    """Return all reports accepted since then, from the database at this URL."""
    pool = await create_pool(url, size=1, application_name="simulate_policy")
    found: list[RecordedReport] = []
    try:
        async with pool.acquire() as conn:
            after = ""
            while page := await list_accepted_since(conn, since, after):
                found += [RecordedReport(_report_of(case), case.policy_version) for case in page]
                after = str(page[-1].issue_id)
    finally:
        await pool.close()
    return found


def _report_of(case: Case) -> IssueAccepted:
    """Return the report that opened a case."""
    return IssueAccepted(
        issue_id=case.issue_id,
        order_id=case.order_id,
        customer_id=case.customer_id,
        reason=case.reason,
        lines=case.lines,
        requested_remedy=case.requested_remedy,
        market=case.market,
        reported_at=case.accepted_at,
        accepted_at=case.accepted_at,
    )
