"""Events about an issue without a case: kept, and applied once the case opens, in the order of their times."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta

import pytest

from libs.common.decisions.clock import SystemClock
from libs.common.decisions.facts import Ignored, SetTimer, TimerFired
from libs.common.decisions.ids import derived_id
from libs.common.events.carrier import ParcelDelivered
from libs.common.events.envelope import Payload
from libs.common.events.registry import AnyEvent
from libs.common.events.warehouse import ItemInspected, ItemReceived, ReplacementConfirmed, ReplacementShipped
from libs.common.messaging.decision_runner import DecisionRunner, Incoming
from libs.common.messaging.timer_loop import TimerLoop
from libs.common.postgres.pool import Connection, Pool, create_pool
from libs.common.telemetry.tracing import Tracing
from services.returns.domain.state.early_events import EventKept
from services.returns.domain.state.outbound_leg import OutboundStatus
from services.returns.store.case_queries import find_case
from services.returns.store.cases import Cases
from tests.conftest import MakeDatabase
from tests.returns.cases import HOME, ISSUE, RULES, TUESDAY, CaseScenario, accepted, event_of, refusal_reasons
from tests.running import eventually

REPLACEMENT = {"issue_id": ISSUE, "replacement_id": derived_id("replacement", ISSUE, 1)}
SHIPPED = ReplacementShipped(**REPLACEMENT, shipped_at=TUESDAY + timedelta(hours=2))
DELIVERED = ParcelDelivered(**REPLACEMENT, delivered_at=TUESDAY + timedelta(hours=9))


@pytest.fixture
async def pool(database: MakeDatabase) -> AsyncIterator[Pool]:
    opened = await create_pool(await database("returns"), size=2, application_name="test")
    await place_order(opened)
    yield opened
    await opened.close()


async def is_waiting_for_a_lock(conn: Connection) -> bool:
    query = "SELECT count(*) > 0 FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
    return bool(await conn.fetchval(query))


async def place_order(pool: Pool) -> None:
    """Store the order's address, without which no replacement is ordered."""
    await pool.execute(
        "INSERT INTO order_snapshots (order_id, customer_id, ship_to, placed_at) VALUES ('O-1', 'C-1', $1, $2)",
        HOME.model_dump_json(),
        TUESDAY,
    )


class Returns:
    """The cases of a database, decided event by event."""

    def __init__(self, pool: Pool) -> None:
        self.pool, self.cases = pool, Cases(RULES)
        self.runner = DecisionRunner("returns", SystemClock(), Tracing("returns", None))

    async def apply(self, *events: AnyEvent, trace: str | None = None) -> None:
        async with self.pool.acquire() as conn, conn.transaction():
            await self.runner.apply(conn, self.cases, [Incoming(event, trace) for event in events])

    async def fire_timers(self) -> None:
        await TimerLoop(self.runner, self.pool, self.cases, lambda: None).fire_due()  # type: ignore[arg-type]

    async def outbound_status(self) -> OutboundStatus:
        async with self.pool.acquire() as conn:
            case = await find_case(conn, str(ISSUE))
        assert case
        return case.outbound.status


def at(payload: Payload, hours: int) -> AnyEvent:
    return event_of(payload, TUESDAY + timedelta(hours=hours), id=f"{payload.TYPE} {hours}")


async def test_answers_that_came_before_the_case_are_applied_once_it_opens(pool: Pool) -> None:
    returns = Returns(pool)
    await returns.apply(at(DELIVERED, 9))
    await returns.apply(at(SHIPPED, 2))
    await returns.apply(event_of(accepted()))
    assert await returns.outbound_status() is OutboundStatus.ORDERED
    await returns.fire_timers()
    assert await returns.outbound_status() is OutboundStatus.DELIVERED


async def test_an_answer_before_its_case_is_applied_with_the_trace_of_the_report(pool: Pool) -> None:
    of_report, of_answer = (f"00-{digit * 32}-{digit * 16}-01" for digit in "12")
    returns = Returns(pool)
    await returns.apply(at(SHIPPED, 2), trace=of_answer)
    await returns.apply(event_of(accepted()), trace=of_report)
    assert await pool.fetchval("SELECT trace FROM timers WHERE name LIKE 'early:%'") == of_report


async def test_a_kept_event_is_applied_once(pool: Pool) -> None:
    returns = Returns(pool)
    await returns.apply(at(SHIPPED, 2))
    await returns.apply(event_of(accepted()))
    await returns.fire_timers()
    left = "SELECT count(*) FROM early_events WHERE applied_at IS NULL"
    assert await pool.fetchval(left) == 0
    assert await pool.fetchval("SELECT count(*) FROM timers WHERE name LIKE 'early:%'") == 0


async def test_an_event_kept_while_its_case_opens_reaches_it(pool: Pool) -> None:
    """Two transactions, of which neither sees the other's row when it loads."""
    returns = Returns(pool)
    async with pool.acquire() as conn:
        async with conn.transaction():
            await returns.runner.apply(conn, returns.cases, [Incoming(at(SHIPPED, 2))])
            opening = asyncio.create_task(returns.apply(event_of(accepted())))
            await eventually(lambda: is_waiting_for_a_lock(conn), "the case waits for the event")
        await opening
    await returns.fire_timers()
    assert await returns.outbound_status() is OutboundStatus.SHIPPED


def test_an_event_waits_with_a_case_that_waits_for_its_address() -> None:
    scenario = CaseScenario(ship_to=None)
    scenario.apply(accepted())
    facts = scenario.apply(TimerFired(name="early:shipped", due_at=TUESDAY))
    (postponed,) = [fact for fact in facts if isinstance(fact, SetTimer) and fact.name == "early:shipped"]
    assert scenario.known.address_due_at
    assert postponed.due_at > scenario.known.address_due_at
    assert refusal_reasons(facts) == []


async def test_an_event_about_a_known_case_is_not_kept(pool: Pool) -> None:
    returns = Returns(pool)
    await returns.apply(event_of(accepted()))
    await returns.apply(at(ReplacementConfirmed(**REPLACEMENT, ship_date=TUESDAY.date()), 1))
    assert await pool.fetchval("SELECT count(*) FROM early_events") == 0


def test_an_answer_to_an_order_is_kept_while_the_case_waits_for_its_address() -> None:
    scenario = CaseScenario(ship_to=None)
    scenario.apply(accepted())
    facts = scenario.apply(SHIPPED)
    assert [type(fact) for fact in facts] == [EventKept, Ignored]
    assert scenario.known.outbound.status is OutboundStatus.NONE


async def test_a_count_before_the_case_is_taken_after_the_events_before_the_case(pool: Pool) -> None:
    """The item came back after the replacement had shipped, in whatever order the topics are read."""
    returns = Returns(pool)
    counted = {"issue_id": ISSUE, "lines": ({"line_id": "1", "quantity": 1, "condition": "scrap"},)}
    await returns.apply(
        at(ItemInspected.model_validate({**counted, "inspected_at": TUESDAY + timedelta(hours=30)}), 30)
    )
    received = {**counted, "lines": ({"line_id": "1", "quantity": 1},), "received_at": TUESDAY + timedelta(hours=29)}
    await returns.apply(at(ItemReceived.model_validate(received), 29))
    await returns.apply(at(DELIVERED, 9), at(SHIPPED, 2))
    await returns.apply(event_of(accepted()))
    due = await pool.fetch("SELECT name FROM timers WHERE name ~ '^(early|count):' ORDER BY due_at")
    assert [row["name"].partition(":")[0] for row in due] == ["early", "early", "count", "count"]
    await returns.fire_timers()
    assert await pool.fetchval("SELECT status FROM cases") == "resolved"
    assert await pool.fetchval("SELECT body::json -> 'inbound' ->> 'collection_id' FROM cases") is not None
