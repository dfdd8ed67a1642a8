"""Ledger check after journeys and fault tests, by the auditor's own query."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from deploy.verification.auditor import read_database
from deploy.verification.checks_points import balances_equal_sums
from deploy.verification.evidence import History
from deploy.verification.verdict import judge


async def assert_balances_equal_sums(loyalty_url: str) -> None:
    """Assert that balances and lots equal the sums of entries, and none is negative. No entries are fine."""
    read = {"loyalty": await read_database("loyalty", loyalty_url, [])}
    verdict = judge("balances equal sums", balances_equal_sums, History((), ZoneInfo("UTC"), datetime.now(UTC), read))
    assert not verdict.violations, verdict.violations
