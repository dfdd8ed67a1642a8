"""Random histories of orders, reports and their issues on a real Postgres, with every fact that intake reads."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from libs.common.events.storefront import IssueSubmitted, IssueWithdrawn
from libs.common.events.values import Reason, ReportedLine
from libs.common.postgres.pool import Connection
from services.intake.app import create_app
from services.intake.domain.projections import anomalies, change_requests, timeline
from services.intake.settings import IntakeSettings
from tests.conftest import MakeDatabase
from tests.drawn_facts import CUSTOMERS, DELIVERED_ORDER, ISSUES, ONE_ORDER, ORDER_OF, SHOP, Facts, any_fact, any_facts
from tests.examples import examples
from tests.running import Live, running
from tests.service_histories import Step, history_of, steps


def submitted(number: int, reason: Reason, lines: dict[str, int], reference: str | None) -> IssueSubmitted:
    """Return a report by its own id; the same number is the same issue, whatever it is about."""
    issue_id = ISSUES[number % 3]
    order_id = ORDER_OF[issue_id]
    return IssueSubmitted(
        order_id=order_id,
        customer_id=CUSTOMERS[order_id],
        reason=reason,
        lines=tuple(ReportedLine(line_id=each, quantity=count, part="lid") for each, count in lines.items()),
        reference=reference,
        description="it hums",
        issue_id=issue_id,
    )


ORDERS: Facts = {each: SHOP[each] for each in SHOP if each.TYPE != "order.refunded.v1"}
OF_ONE: Facts = {each: ONE_ORDER[each] for each in ONE_ORDER if each in ORDERS}
REPORTS: Facts = {
    IssueSubmitted: st.builds(
        submitted,
        st.integers(0, 2),
        st.sampled_from(Reason),
        st.dictionaries(st.sampled_from("1123"), st.integers(1, 2), min_size=1, max_size=2),
        st.none() | st.sampled_from(["R-1", "R-2"]),
    ),
    IssueWithdrawn: any_fact(IssueWithdrawn),
}
EVENTS = any_facts([*timeline.SUBSCRIBES, *change_requests.SUBSCRIBES, *anomalies.SUBSCRIBES])
FACTS: Facts = {**ORDERS, **REPORTS, **EVENTS}
CHECKS = ("one_entitlement_per_unit", "delivery_counts_once", "corrections_count")

_PER_DAY = """
    SELECT sku, lot, day FROM (
        SELECT sku, lot, day, units FROM delivered_per_day
        UNION ALL SELECT sku, lot, day, -units FROM delivered_units) AS counts
    GROUP BY sku, lot, day HAVING sum(units) <> 0"""

_PER_LINE = """
    WITH bought AS (SELECT key AS order_id, l ->> 'line_id' AS line_id, (l ->> 'quantity')::int AS quantity
                    FROM orders, jsonb_path_query(body, '$.purchase.lines[*]') l),
    arrived AS (SELECT key AS order_id, l ->> 'line_id' AS line_id, sum((l ->> 'quantity')::int) AS quantity
                FROM orders, jsonb_path_query(body, '$.deliveries[*].lines[*]') l GROUP BY 1, 2),
    counted AS (SELECT order_id, line_id, sum(units) AS quantity FROM delivered_units GROUP BY 1, 2)
    SELECT order_id, line_id, bought.quantity AS bought, arrived.quantity AS arrived, counted.quantity AS counted
    FROM bought JOIN arrived USING (order_id, line_id) LEFT JOIN counted USING (order_id, line_id)
    WHERE coalesce(counted.quantity, 0) <> least(bought.quantity, arrived.quantity)"""


@pytest.fixture
async def live(database: MakeDatabase, evidence_dir: Path) -> AsyncIterator[Live]:
    url = await database("intake")
    async with running(create_app, IntakeSettings, database=url, evidence_dir=evidence_dir) as live:
        yield live


async def rates_that_differ(conn: Connection) -> list[object]:
    """Return products and days for which the denominator of report rates is not the number of delivered units, and
    lines of which not every unit that was bought and delivered counts.
    """
    return [dict(row) for query in (_PER_DAY, _PER_LINE) for row in await conn.fetch(query)]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow], max_examples=examples(60))
@given(
    beginning=DELIVERED_ORDER,
    history=st.lists(steps(ORDERS, OF_ONE, REPORTS, EVENTS), min_size=10, max_size=40),
)
async def test_the_auditor_finds_nothing_in_any_history(live: Live, beginning: list[Step], history: list[Step]) -> None:
    async with history_of(live.service) as played:
        for step in (*beginning, *history):
            await played.play(step)
        assert await played.violations(CHECKS) == [], str(played)
        assert await rates_that_differ(played.conn) == [], str(played)
        assert await played.rows_of_former_accounts() == [], str(played)
