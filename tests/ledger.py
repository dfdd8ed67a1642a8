"""Balances equal sums: asked of the database itself after journeys and fault tests, with the auditor's own eyes."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from deploy.verification.auditor import read_database
from deploy.verification.checks_points import balances_equal_sums
from deploy.verification.evidence import History
from deploy.verification.verdict import run_check


async def assert_balances_equal_sums(loyalty_url: str) -> None:
    """Every balance and every lot is what the entries add up to; nothing is below nothing. No entries are fine."""
    read = {"loyalty": await read_database("loyalty", loyalty_url, [])}
    verdict = run_check(
        "balances equal sums", balances_equal_sums, History((), ZoneInfo("UTC"), datetime.now(UTC), read)
    )
    assert not verdict.violations, verdict.violations
