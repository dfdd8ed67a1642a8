"""Case store on a real Postgres: round trips of cases and addresses, and concurrent writers."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import datetime

import asyncpg
import pytest

from libs.common.decisions.clock import SystemClock
from libs.common.decisions.facts import Facts, TimerFired
from libs.common.decisions.ids import derived_id
from libs.common.events.envelope import Payload
from libs.common.events.storefront import OrderPlaced
from libs.common.events.values import Contact, Money, OrderLine, Reason
from libs.common.messaging.decision_runner import DecisionRunner, Incoming
from libs.common.postgres.pool import ConflictError, Connection, Pool, create_pool
from libs.common.telemetry.tracing import Tracing
from services.returns.domain.context import CaseState
from services.returns.domain.state.case import Case
from services.returns.domain.state.case_status import CLOSED_STATUSES, CaseStatus, case_status
from services.returns.domain.state.exposure import UNKNOWN_CUSTOMER
from services.returns.store.case_queries import CaseFilter, find_case, list_cases
from services.returns.store.cases import Cases, LoadedCase
from services.returns.store.order_snapshots import OrderSnapshots
from tests.conftest import MakeDatabase
from tests.query_plans import plan_of
from tests.returns.cases import HOME, ISSUE, RULES, TUESDAY, accepted, event_of, line, open_scenario

CASES = Cases(RULES)


class _GivenUpError(Exception):
    """Raised to roll a savepoint back."""


class StoppedClock(SystemClock):
    def now(self) -> datetime:
        return TUESDAY


RUNNER = DecisionRunner("returns", StoppedClock(), Tracing("returns", None))


@pytest.fixture
async def pool(database: MakeDatabase) -> AsyncIterator[Pool]:
    pool = await create_pool(await database("returns"), size=4, application_name="test")
    yield pool
    await pool.close()


def placed(order_id: str = "O-1", phone: str | None = "0300000000") -> OrderPlaced:
    price = Money.model_validate({"amount": "1200", "currency": "JPY"})
    return OrderPlaced(
        order_id=order_id,
        customer_id="C-1",
        placed_at=TUESDAY,
        lines=(OrderLine(line_id="1", sku="SKU-1", name="Teapot", quantity=1, unit_price=price),),
        contact=Contact(name="Sato Hana", email="hana@example.jp", phone=phone),
        ship_to=HOME.model_copy(update={"phone": None}),
    )


async def learn(pool: Pool, *orders: OrderPlaced) -> None:
    async with pool.acquire() as conn, conn.transaction():
        await RUNNER.apply(conn, OrderSnapshots(), [Incoming(event_of(order)) for order in orders])


async def take(pool: Pool, *payloads: Payload, subject: str | None = None) -> Sequence[Facts]:
    async with pool.acquire() as conn, conn.transaction():
        return await RUNNER.apply(conn, CASES, [Incoming(event_of(one, subject=subject)) for one in payloads])


def state_of(case: Case) -> CaseState:
    return CaseState(case, UNKNOWN_CUSTOMER)


def with_case(loaded: LoadedCase, case: Case) -> LoadedCase:
    return replace(loaded, state=loaded.state._replace(case=case))


async def load(conn: Connection, key: str = str(ISSUE)) -> LoadedCase:
    return (await CASES.load(conn, [key], []))[key]


async def test_a_case_comes_back_as_it_went_in(pool: Pool) -> None:
    scenario = open_scenario(Reason.DEFECTIVE, line("1", 2), line("2"))
    scenario.ship()
    scenario.deliver()
    scenario.receive()
    async with pool.acquire() as conn:
        await CASES.save(conn, {str(ISSUE): LoadedCase(0, state_of(scenario.known))}, ())
        assert (await load(conn)).state.case == scenario.known


async def test_the_address_is_joined_to_the_case_and_not_kept_in_it(pool: Pool) -> None:
    await learn(pool, placed())
    await take(pool, accepted())
    async with pool.acquire() as conn:
        assert (await load(conn)).state.customer.ship_to == HOME.model_copy(update={"phone": "0300000000"})
        assert HOME.street not in await conn.fetchval("SELECT body::text FROM cases")


async def test_an_address_that_came_first_is_there_for_the_first_event(pool: Pool) -> None:
    await learn(pool, placed())
    await take(pool, accepted())
    async with pool.acquire() as conn:
        topics = [row["topic"] for row in await conn.fetch("SELECT topic FROM outbox_records ORDER BY id, n")]
    assert topics == ["warehouse.orders", "issues"]


async def test_the_last_address_received_is_the_one_that_counts(pool: Pool) -> None:
    await learn(pool, placed(phone="1"), placed(phone="2"))
    await take(pool, accepted())
    async with pool.acquire() as conn:
        ship_to = (await load(conn)).state.customer.ship_to
    assert ship_to
    assert ship_to.phone == "2"


async def test_a_waiting_case_goes_on_by_its_timer_once_the_address_is_there(pool: Pool) -> None:
    await take(pool, accepted())
    await learn(pool, placed())
    async with pool.acquire() as conn:
        held = await load(conn)
        assert held.state.case
        await CASES.save(conn, {str(ISSUE): with_case(held, replace(held.state.case, address_due_at=TUESDAY))}, ())
    await take(pool, TimerFired(name="address", due_at=TUESDAY), subject=str(ISSUE))
    async with pool.acquire() as conn:
        assert await conn.fetchval("SELECT status FROM cases") == "replacement_ordered"


async def test_a_case_that_nobody_else_has_written_is_not_read_again(pool: Pool) -> None:
    await learn(pool, placed())
    await take(pool, accepted())
    async with pool.acquire() as conn:
        first = (await load(conn)).state.case
        assert first is (await load(conn)).state.case
        await conn.execute("UPDATE cases SET body = replace(body, 'Teapot', 'Teacup')")
        changed = (await load(conn)).state.case
    assert first
    assert changed == replace(first, lines=(first.lines[0].model_copy(update={"name": "Teacup"}),))


async def test_what_another_replica_has_written_is_read_again_also_by_who_waited_for_it(pool: Pool) -> None:
    await learn(pool, placed())
    await take(pool, accepted())
    other = Cases(RULES)
    async with pool.acquire() as one, pool.acquire() as two:
        async with one.transaction():
            (held,) = (await other.load(one, [str(ISSUE)], [])).values()
            assert held.state.case
            theirs = replace(held.state.case, choice_request_count=7)
            await other.save(one, {str(ISSUE): with_case(held, theirs)}, ())
            waiting = asyncio.create_task(load(two))
            await until_somebody_waits(one)
        ours = await waiting
    assert (ours.version, ours.state.case) == (held.version + 1, theirs)


async def until_somebody_waits(conn: Connection) -> None:
    async with asyncio.timeout(10):
        while not await conn.fetchval("SELECT count(*) FROM pg_locks WHERE NOT granted"):
            await asyncio.sleep(0.01)


async def test_what_was_rolled_back_is_not_taken_for_what_another_replica_wrote_in_its_place(pool: Pool) -> None:
    await learn(pool, placed())
    await take(pool, accepted())
    async with pool.acquire() as conn:
        held = await load(conn)
        assert held.state.case
        begun = conn.transaction()
        await begun.start()
        await CASES.save(conn, {str(ISSUE): with_case(held, replace(held.state.case, choice_request_count=1))}, ())
        await begun.rollback()
        theirs = replace(held.state.case, choice_request_count=2)
        await Cases(RULES).save(conn, {str(ISSUE): with_case(held, theirs)}, ())
        assert (await load(conn)).state.case == theirs


async def test_what_was_rolled_back_to_a_savepoint_never_was(pool: Pool) -> None:
    """Both rows have one xmin, so that only their versions differ."""
    await take(pool, accepted())
    key = str(ISSUE)
    async with pool.acquire() as conn, conn.transaction():
        held = await load(conn)
        assert held.state.case
        kept = replace(held.state.case, choice_request_count=1)
        await CASES.save(conn, {key: with_case(held, kept)}, ())
        with suppress(_GivenUpError):
            async with conn.transaction():
                undone = replace(
                    with_case(held, replace(held.state.case, choice_request_count=2)), version=held.version + 1
                )
                await CASES.save(conn, {key: undone}, ())
                raise _GivenUpError
        assert (await load(conn)).state.case == kept


async def test_a_case_that_has_ended_is_no_longer_cached(pool: Pool) -> None:
    await learn(pool, placed())
    await take(pool, accepted())
    cases, key = Cases(RULES), str(ISSUE)
    async with pool.acquire() as conn:
        (held,) = (await cases.load(conn, [key], [])).values()
        assert held.state.case
        await cases.save(conn, {key: held}, ())
        assert list(cases.row_cache.rows) == [key]
        ended = replace(with_case(held, replace(held.state.case, cancelled_at=TUESDAY)), version=held.version + 1)
        await cases.save(conn, {key: ended}, ())
    assert not cases.row_cache.rows


async def test_two_openings_of_one_case_at_once_conflict(pool: Pool) -> None:
    case = open_scenario().known
    async with pool.acquire() as first, pool.acquire() as second:
        await CASES.save(first, {str(ISSUE): LoadedCase(0, state_of(case))}, ())
        with pytest.raises(ConflictError, match="another transaction"):
            await CASES.save(second, {str(ISSUE): LoadedCase(0, state_of(case))}, ())


async def test_a_case_that_is_being_decided_on_is_locked(pool: Pool) -> None:
    await take(pool, accepted())
    async with pool.acquire() as first, pool.acquire() as second, first.transaction():
        await load(first)
        with pytest.raises(asyncpg.LockNotAvailableError):
            await second.execute("SELECT 1 FROM cases FOR UPDATE NOWAIT")


async def test_events_of_a_batch_are_decided_one_after_the_other(pool: Pool) -> None:
    await learn(pool, placed())
    outcomes = await take(pool, accepted(), accepted())
    assert [len(facts) > 1 for facts in outcomes] == [True, False]


async def test_the_timers_in_the_database_are_those_of_the_case(pool: Pool) -> None:
    await learn(pool, placed())
    await take(pool, accepted())
    async with pool.acquire() as conn:
        held = await load(conn)
        timers = {row["name"]: row["due_at"] for row in await conn.fetch("SELECT name, due_at FROM timers")}
    assert held.state.case
    assert timers == dict(held.state.case.timers())


async def test_cases_are_listed_by_headline_and_review_a_page_at_a_time(pool: Pool) -> None:
    await learn(pool, placed())
    ids = [derived_id("issue", number) for number in range(5)]
    expensive = line(price="999999")
    reports = [accepted(Reason.DEFECTIVE, *([expensive] if n == 4 else []), issue_id=id) for n, id in enumerate(ids)]
    await take(pool, *reports)
    async with pool.acquire() as conn:
        ordered = CaseFilter(status=CaseStatus.REPLACEMENT_ORDERED, limit=3)
        first = await list_cases(conn, ordered)
        second = await list_cases(conn, replace(ordered, after=str(first[-1].issue_id)))
        reviewed = await list_cases(conn, CaseFilter(in_review=True))
    assert [case.issue_id for case in first + second] == sorted(ids[:4], key=str)
    assert [case.issue_id for case in reviewed] == ids[4:]


async def test_open_cases_are_listed_without_a_look_at_those_that_have_ended(pool: Pool) -> None:
    ended = """
        INSERT INTO cases (key, version, body, status, in_review, order_id, customer_id, is_open)
        SELECT md5(n::text), 1, '{}', CASE WHEN n % 100 = 0 THEN 'collecting' ELSE 'resolved' END, false, n::text,
               n::text, n % 100 = 0
        FROM generate_series(1, 3000) AS n"""
    asked: list[str] = []
    async with pool.acquire() as conn:
        await conn.execute(ended)
        with conn.query_logger(lambda query: asked.append(query.query)):
            for word in set(CaseStatus) - set(CLOSED_STATUSES):
                await list_cases(conn, CaseFilter(status=word, after="~"))
            await asyncio.sleep(0)  # the driver reports a query in the next loop iteration
        assert len(asked) == len(CaseStatus) - len(CLOSED_STATUSES)
        assert [(await plan_of(conn, one)).indexes for one in set(asked)] == [{"cases_open"}]


async def test_a_case_is_listed_where_it_belongs_when_it_goes_on_after_its_end_and_when_it_ends_again(
    pool: Pool,
) -> None:
    case = open_scenario().known
    ended = replace(case, cancelled_at=TUESDAY)
    listed = []
    async with pool.acquire() as conn:
        for version, state in enumerate((ended, case, ended)):
            await CASES.save(conn, {str(ISSUE): LoadedCase(version, state_of(state))}, ())
            found = [await list_cases(conn, CaseFilter(status=case_status(one))) for one in (case, ended)]
            listed.append((*found, await conn.fetchval("SELECT is_open FROM cases")))
    assert listed == [([], [ended], False), ([case], [], True), ([], [ended], False)]


async def test_a_case_that_is_not_there_is_none(pool: Pool) -> None:
    async with pool.acquire() as conn:
        assert await find_case(conn, str(ISSUE)) is None


async def test_many_writers_of_one_case_lose_nothing(pool: Pool) -> None:
    await learn(pool, placed())
    await take(pool, accepted())
    late = TimerFired(name="outbound", due_at=TUESDAY)
    await asyncio.gather(*(take(pool, late, subject=str(ISSUE)) for _ in range(4)))
    async with pool.acquire() as conn:
        assert (await load(conn)).version == 1
