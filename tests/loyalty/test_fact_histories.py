"""Random histories of orders, accounts and merges on a real Postgres, with every fact that loyalty reads."""

from collections.abc import AsyncIterator

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from libs.common.events.issues import IssueCancelled, IssueRefunded, IssueRefundReversed, IssueReopened, IssueResolved
from services.loyalty.app import create_app
from services.loyalty.settings import LoyaltySettings
from services.loyalty.store import queries
from tests.conftest import MakeDatabase
from tests.drawn_facts import SHOP, Facts, any_facts
from tests.examples import examples
from tests.running import Live, running
from tests.service_histories import Step, history_of, steps

ISSUES = any_facts([IssueResolved, IssueReopened, IssueCancelled, IssueRefunded, IssueRefundReversed])
ORDERS: Facts = {each: SHOP[each] for each in SHOP if each.TYPE not in ("order.shipped.v1", "shipment.changed.v1")}
FACTS: Facts = {**ORDERS, **ISSUES}
CHECKS = ("balances_equal_sums", "delivery_counts_once", "corrections_count")


@pytest.fixture
async def live(database: MakeDatabase) -> AsyncIterator[Live]:
    async with running(create_app, LoyaltySettings, database=await database("loyalty")) as live:
        yield live


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow], max_examples=examples(60))
@given(history=st.lists(steps(ORDERS, ISSUES), min_size=10, max_size=40))
async def test_the_auditor_finds_nothing_in_any_history(live: Live, history: list[Step]) -> None:
    async with history_of(live.service) as played:
        for step in history:
            await played.play(step)
            assert await queries.unbalanced_customers(played.conn) == [], str(played)
        assert await played.violations(CHECKS) == [], str(played)
        assert await played.rows_of_former_accounts(["account_merges"]) == [], str(played)
