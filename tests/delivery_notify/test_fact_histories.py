"""Random histories of conversations on a real Postgres, with every fact that delivery_notify reads."""

from collections.abc import AsyncIterator
from datetime import datetime

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from libs.common.events.customers import CustomerConsentChanged
from libs.common.events.envelope import Payload
from libs.common.postgres.pool import Connection
from services.delivery_notify.domain.decide import SUBSCRIBES, deadlines
from services.delivery_notify.domain.event_buffer import EventBufferFullError
from services.delivery_notify.store.conversation_table import ConversationTable
from tests.conftest import MakeDatabase
from tests.delivery_notify.service import notifying
from tests.drawn_facts import CUSTOMERS, DELIVERED_ORDER, ONE_ORDER, SHOP, Facts, any_facts
from tests.examples import examples
from tests.running import Live
from tests.service_histories import Step, history_of, steps

ORDERS: Facts = {each: SHOP[each] for each in SHOP if each.TYPE != "order.refunded.v1"}
OF_ONE: Facts = {each: ONE_ORDER[each] for each in ONE_ORDER if each in ORDERS}
READ: tuple[type[Payload], ...] = (*SUBSCRIBES, CustomerConsentChanged)
EVENTS = any_facts(each for each in READ if each not in ORDERS)
FACTS: Facts = {**ORDERS, **EVENTS}
CHECKS = ("delivery_counts_once", "corrections_count")

_TIMERS = "SELECT key, name, due_at FROM timers WHERE aggregate = 'conversations'"


@pytest.fixture
async def live(database: MakeDatabase) -> AsyncIterator[Live]:
    async with notifying(await database("delivery_notify")) as live:
        yield live


async def unmet_deadlines(conn: Connection) -> list[tuple[str, str, datetime]]:
    """Return what differs between the deadlines of the conversations and the timers in the database."""
    loaded = await ConversationTable().load(conn, list(CUSTOMERS))
    expected: set[tuple[str, str, datetime]] = {
        (key, name, due_at) for key, each in loaded.items() for name, due_at in deadlines(each.conversation).items()
    }
    rows = await conn.fetch(_TIMERS)
    timers = {(row["key"], row["name"], row["due_at"]) for row in rows if row["key"] in CUSTOMERS}
    return sorted(expected ^ timers)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow], max_examples=examples(60))
@given(beginning=DELIVERED_ORDER, history=st.lists(steps(ORDERS, OF_ONE, EVENTS), min_size=10, max_size=40))
async def test_the_auditor_finds_nothing_in_any_history(live: Live, beginning: list[Step], history: list[Step]) -> None:
    async with history_of(live.service, EventBufferFullError) as played:
        for step in (*beginning, *history):
            await played.play(step)
            assert await unmet_deadlines(played.conn) == [], str(played)
        assert await played.violations(CHECKS) == [], str(played)
        # Statements of consent are evidence: they stay, and copies of them count for the account that remains.
        assert await played.rows_of_former_accounts(["consents"]) == [], str(played)
