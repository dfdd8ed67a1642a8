"""Random histories of one order that its shop corrects: late, repeated, and in any order of arrival."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from libs.common.events.storefront import OrderChanged, OrderDelivered, OrderPlaced
from services.intake.app import create_app
from services.intake.settings import IntakeSettings
from tests.conftest import MakeDatabase
from tests.drawn_facts import ONE_ORDER, Facts
from tests.examples import examples
from tests.intake.test_fact_histories import rates_that_differ
from tests.running import Live, running
from tests.service_histories import Step, history_of, steps

CHANGES: Facts = {OrderChanged: ONE_ORDER[OrderChanged]}
ORDERS: Facts = {OrderPlaced: ONE_ORDER[OrderPlaced], OrderDelivered: ONE_ORDER[OrderDelivered]}


@pytest.fixture
async def live(database: MakeDatabase, evidence_dir: Path) -> AsyncIterator[Live]:
    url = await database("intake")
    async with running(create_app, IntakeSettings, database=url, evidence_dir=evidence_dir) as live:
        yield live


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow], max_examples=examples(200))
@given(history=st.lists(steps(CHANGES, CHANGES, ORDERS), min_size=4, max_size=16))
async def test_the_newest_statement_about_each_line_counts(live: Live, history: list[Step]) -> None:
    async with history_of(live.service) as played:
        for step in history:
            await played.play(step)
        assert await played.violations(["corrections_count", "delivery_counts_once"]) == [], str(played)
        assert await rates_that_differ(played.conn) == [], str(played)
