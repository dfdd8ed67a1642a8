"""Kept counts on a real Postgres: nothing that the warehouse counted is dropped."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import Any
from uuid import UUID

import pytest

from libs.common.decisions.facts import Facts, TimerFired, refusal_of
from libs.common.events.anomalies import (
    AnomalyCleared,
    AnomalyDetected,
    CountStaffDecided,
    CountStaffDecisionApplied,
    anomaly_cause,
)
from libs.common.events.envelope import Payload
from libs.common.events.registry import decode
from libs.common.events.values import Condition, CountedLine, InspectedLine, Reason
from libs.common.events.warehouse import ItemInspected, ItemReceived
from libs.common.messaging.decision_runner import Incoming
from libs.common.postgres.pool import Pool, create_pool
from services.returns.domain.commands import AssignCount, SettleCount
from services.returns.domain.state.case import Case
from services.returns.domain.state.count_ids import kept_id
from services.returns.domain.state.return_slips import return_slip
from services.returns.domain.state.review_causes import ReviewCause
from services.returns.store.case_queries import find_case
from services.returns.store.kept_counts import list_kept_counts
from tests.conftest import MakeDatabase
from tests.returns.cases import ISSUE, TUESDAY, accepted, event_of, line
from tests.returns.test_store import CASES, RUNNER, learn, placed

OTHER = UUID(int=77)
OF_REPORT, OF_BOX = (f"00-{digit * 32}-{digit * 16}-01" for digit in "12")


@pytest.fixture
async def pool(database: MakeDatabase) -> AsyncIterator[Pool]:
    pool = await create_pool(await database("returns"), size=4, application_name="test")
    await learn(pool, placed())
    yield pool
    await pool.close()


async def take(pool: Pool, *payloads: Payload, subject: str | None = None, trace: str | None = None) -> Sequence[Facts]:
    async with pool.acquire() as conn, conn.transaction():
        events = [event_of(each, subject=subject, id=str(number)) for number, each in enumerate(payloads)]
        return await RUNNER.apply(conn, CASES, [Incoming(event, trace) for event in events])


async def fire(pool: Pool) -> None:
    """Fire the timers by which kept counts reach their cases, until there is none."""
    for _ in range(20):
        async with pool.acquire() as conn:
            rows = await conn.fetch("DELETE FROM timers WHERE aggregate = 'cases' AND name LIKE 'count:%' RETURNING *")
        if not rows:
            return
        for row in rows:
            await take(pool, TimerFired(name=row["name"], due_at=row["due_at"]), subject=row["key"])
    raise AssertionError("kept counts are handed on without an end")


async def case_of(pool: Pool, issue_id: UUID = ISSUE) -> Case:
    async with pool.acquire() as conn:
        found = await find_case(conn, str(issue_id))
    assert found
    return found


async def open_counts(pool: Pool) -> list[str]:
    async with pool.acquire() as conn:
        return [each["count_id"] for each in await list_kept_counts(conn, "", 10)]


def box(
    *lines: CountedLine, issue_id: UUID | None = ISSUE, receipt_id: str | None = "gate-1", **papers: str
) -> ItemReceived:
    counted = lines or (CountedLine(line_id="1", quantity=1),)
    return ItemReceived(issue_id=issue_id, lines=counted, received_at=TUESDAY, receipt_id=receipt_id, **papers)


UNREADABLE = box(CountedLine(quantity=1, sku="UNREADABLE", serials=("SN-1",)), issue_id=None, tracking_number="4123")
OF_ARTICLE = box(CountedLine(quantity=1, sku="SKU-1"), issue_id=None)


async def test_a_count_before_its_case_waits_for_it_and_counts_once(pool: Pool) -> None:
    await take(pool, box())
    await take(pool, box())
    assert await open_counts(pool) == [kept_id(box())]
    await take(pool, accepted(Reason.CHANGED_MIND))
    await fire(pool)
    assert (await case_of(pool)).inbound.received == {"1": 1}
    assert await open_counts(pool) == []


async def test_an_inspection_before_its_case_waits_as_well(pool: Pool) -> None:
    lines = (InspectedLine(line_id="1", quantity=1, condition=Condition.SCRAP),)
    await take(pool, ItemInspected(issue_id=ISSUE, lines=lines, inspected_at=TUESDAY, inspection_id="look-1"))
    await take(pool, accepted(Reason.CHANGED_MIND))
    await fire(pool)
    assert (await case_of(pool)).inbound.inspected == {"1": 1}


async def test_a_box_without_papers_finds_its_case_by_the_slip(pool: Pool) -> None:
    await take(pool, accepted(Reason.CHANGED_MIND))
    await take(pool, box(CountedLine(quantity=1), issue_id=None, return_slip=return_slip(ISSUE)))
    await fire(pool)
    assert (await case_of(pool)).inbound.received == {"1": 1}


async def test_a_box_without_papers_finds_its_case_by_order_or_article(pool: Pool) -> None:
    await take(pool, accepted(Reason.CHANGED_MIND, line(quantity=2)))
    await take(pool, box(issue_id=None, order_id="O-1"))
    await take(pool, box(CountedLine(quantity=1, sku="SKU-1"), issue_id=None, receipt_id="gate-2"))
    await fire(pool)
    assert (await case_of(pool)).inbound.received == {"1": 2}


async def test_a_box_that_fits_nothing_is_listed_until_staff_assign_it(pool: Pool) -> None:
    await take(pool, accepted(Reason.CHANGED_MIND))
    await take(pool, UNREADABLE)
    await fire(pool)
    assert await open_counts(pool) == [kept_id(UNREADABLE)]
    await take(pool, AssignCount(issue_id=ISSUE, count_id=kept_id(UNREADABLE), as_other_item=True))
    assert await open_counts(pool) == []
    assert (await case_of(pool)).in_review(ReviewCause.UNEXPECTED_ITEM)


async def test_two_returns_in_one_box_reach_both_cases(pool: Pool) -> None:
    await take(pool, accepted(Reason.CHANGED_MIND, line("1")))
    await take(pool, accepted(Reason.CHANGED_MIND, line("2"), issue_id=OTHER))
    await take(pool, box(CountedLine(line_id="1", quantity=1), CountedLine(line_id="2", quantity=1)))
    await fire(pool)
    assert (await case_of(pool)).inbound.received == {"1": 1}
    assert (await case_of(pool, OTHER)).inbound.received == {"2": 1}
    assert not (await case_of(pool)).reviews


async def test_a_box_that_only_its_lines_give_to_two_cases_reaches_both(pool: Pool) -> None:
    await take(pool, accepted(Reason.CHANGED_MIND))
    await take(pool, accepted(Reason.CHANGED_MIND, issue_id=OTHER))
    units = [CountedLine(line_id="1", quantity=1, issue_id=issue) for issue in (OTHER, ISSUE)]
    await take(pool, box(*units, issue_id=None))
    await fire(pool)
    assert (await case_of(pool)).inbound.received == {"1": 1}
    assert (await case_of(pool, OTHER)).inbound.received == {"1": 1}


async def test_a_box_that_names_the_order_before_the_report_waits_for_its_case(pool: Pool) -> None:
    await take(pool, box(issue_id=None, order_id="O-1"))
    assert len(await open_counts(pool)) == 1
    await take(pool, accepted(Reason.CHANGED_MIND))
    await fire(pool)
    assert (await case_of(pool)).inbound.received == {"1": 1}
    assert await open_counts(pool) == []


async def test_a_box_that_names_another_order_waits_on_when_a_case_opens(pool: Pool) -> None:
    other = box(issue_id=None, order_id="O-2")
    await take(pool, other)
    await take(pool, accepted(Reason.CHANGED_MIND))
    await fire(pool)
    assert await open_counts(pool) == [kept_id(other)]


LOOK = (InspectedLine(line_id="1", quantity=1, condition=Condition.SCRAP),)
OF_UNKNOWN_BOX = ItemInspected(lines=LOOK, inspected_at=TUESDAY, inspection_id="look-1", receipt_id="gate-1")


async def test_an_inspection_without_papers_follows_the_count_of_its_box(pool: Pool) -> None:
    await take(pool, accepted(Reason.CHANGED_MIND))
    await take(pool, box(issue_id=None, order_id="O-1"))
    await fire(pool)
    await take(pool, OF_UNKNOWN_BOX)
    await fire(pool)
    assert (await case_of(pool)).inbound.inspected == {"1": 1}


async def test_an_inspection_without_papers_waits_for_the_count_of_its_box(pool: Pool) -> None:
    await take(pool, OF_UNKNOWN_BOX)
    await take(pool, UNREADABLE)
    await take(pool, accepted(Reason.CHANGED_MIND))
    assert len(await open_counts(pool)) == 2
    await take(pool, AssignCount(issue_id=ISSUE, count_id=kept_id(UNREADABLE), as_other_item=True))
    await fire(pool)
    assert (await case_of(pool)).inbound.inspected == {"1": 1}


async def test_what_belongs_to_no_other_case_is_shown_to_the_staff_of_this_one(pool: Pool) -> None:
    await take(pool, accepted(Reason.CHANGED_MIND, line("1")))
    await take(pool, box(CountedLine(line_id="1", quantity=1), CountedLine(line_id="9", quantity=1)))
    await fire(pool)
    case = await case_of(pool)
    assert case.inbound.received == {"1": 1, "9": 1}
    assert case.in_review(ReviewCause.UNEXPECTED_ITEM)
    assert await open_counts(pool) == []


async def trace_of_count(pool: Pool) -> str | None:
    found: str | None = await pool.fetchval("SELECT trace FROM timers WHERE name LIKE 'count:%'")
    return found


@pytest.mark.parametrize("of_box", [None, OF_BOX])
async def test_a_box_without_papers_is_counted_with_the_trace_of_the_report(pool: Pool, of_box: str | None) -> None:
    await take(pool, accepted(Reason.CHANGED_MIND), trace=OF_REPORT)
    await take(pool, box(issue_id=None, order_id="O-1"), trace=of_box)
    assert await trace_of_count(pool) == OF_REPORT


async def test_a_count_before_its_case_is_counted_with_the_trace_of_the_report(pool: Pool) -> None:
    await take(pool, box(), trace=OF_BOX)
    await take(pool, accepted(Reason.CHANGED_MIND), trace=OF_REPORT)
    assert await trace_of_count(pool) == OF_REPORT


async def test_a_box_for_a_case_that_waits_for_nothing_keeps_its_own_trace(pool: Pool) -> None:
    await take(pool, accepted(Reason.CHANGED_MIND))
    await pool.execute("DELETE FROM timers")
    await take(pool, box(issue_id=None, order_id="O-1"), trace=OF_BOX)
    assert await trace_of_count(pool) == OF_BOX


BOX = anomaly_cause("returns", "count_without_case", f"count:{kept_id(UNREADABLE)}")


async def events(pool: Pool, *types: type[Payload]) -> list[Any]:
    """Return the published events of these types, in order, and forget them."""
    async with pool.acquire() as conn:
        rows = await conn.fetch("SELECT value FROM outbox_records ORDER BY id, n")
        await conn.execute("DELETE FROM outbox")
    found = [decode(row["value"]).data for row in rows]
    return [each for each in found if isinstance(each, types)]


def decided(issue_id: UUID | None = None, **changes: Any) -> CountStaffDecided:
    fields = {"decision_id": UUID(int=5), "staff": "hanako", "comment": "By its colour.", "decided_at": TUESDAY}
    return CountStaffDecided(
        **{"cause": BOX, "count_id": kept_id(UNREADABLE), "issue_id": issue_id, **fields, **changes}
    )


async def test_a_box_without_a_case_is_reported_with_what_the_warehouse_counted(pool: Pool) -> None:
    await take(pool, UNREADABLE)
    (found,) = await events(pool, AnomalyDetected)
    assert (found.cause, found.thing, found.reported_by, found.event_type) == (
        BOX, f"count:{kept_id(UNREADABLE)}", "/test", "item.received.v1",
    )  # fmt: skip
    fields = {each.field: each.value for each in found.reported}
    assert (fields["sku"], fields["serials"], fields["tracking_number"]) == ("UNREADABLE", "SN-1", "4123")


async def test_the_anomaly_of_a_box_ends_when_its_case_takes_it(pool: Pool) -> None:
    await take(pool, box())
    await take(pool, accepted(Reason.CHANGED_MIND))
    await fire(pool)
    found = await events(pool, AnomalyDetected, AnomalyCleared)
    cause = anomaly_cause("returns", "count_without_case", f"count:{kept_id(box())}")
    assert [(type(each), each.cause) for each in found] == [(AnomalyDetected, cause), (AnomalyCleared, cause)]


@pytest.mark.parametrize(
    ("case", "decision", "code"),
    [
        (ISSUE, decided(ISSUE), "count_does_not_fit"),
        (ISSUE, decided(ISSUE, as_other_item=True), None),
        (ISSUE, decided(OTHER), "unknown_case"),
        (ISSUE, decided(), None),
        (ISSUE, decided(ISSUE, count_id="gate-9"), "unknown_count"),
    ],
)
async def test_the_desk_is_answered(pool: Pool, case: UUID, decision: CountStaffDecided, code: str | None) -> None:
    await take(pool, accepted(Reason.CHANGED_MIND, issue_id=case))
    await take(pool, UNREADABLE)
    await take(pool, decision)
    (answer,) = await events(pool, CountStaffDecisionApplied)
    assert (answer.decision_id, answer.applied, answer.code) == (decision.decision_id, code is None, code)
    assert await open_counts(pool) == ([] if code is None else [kept_id(UNREADABLE)])


async def test_a_settled_box_is_taken_by_no_case(pool: Pool) -> None:
    await take(pool, box())
    await take(pool, SettleCount(count_id=kept_id(box()), staff="hanako", comment="Sent back."))
    await take(pool, accepted(Reason.CHANGED_MIND))
    await fire(pool)
    facts = await take(pool, AssignCount(issue_id=ISSUE, count_id=kept_id(box())))
    assert refusal_of(facts[0]) == "count_settled"
    assert (await case_of(pool)).inbound.received == {}


async def test_a_box_is_counted_by_one_case_only_and_again_by_it_is_no_fault(pool: Pool) -> None:
    await take(pool, accepted(Reason.CHANGED_MIND))
    await take(pool, accepted(Reason.CHANGED_MIND, issue_id=OTHER))
    await take(pool, OF_ARTICLE)
    assert await open_counts(pool) == [kept_id(OF_ARTICLE)], "two cases fit"
    refusals = [
        refusal_of((await take(pool, AssignCount(issue_id=issue, count_id=kept_id(OF_ARTICLE))))[0])
        for issue in (OTHER, OTHER, ISSUE)
    ]
    assert refusals == [None, None, "count_taken"]
    assert ((await case_of(pool)).inbound.received, (await case_of(pool, OTHER)).inbound.received) == ({}, {"1": 1})


async def test_two_cases_that_are_given_one_box_at_the_same_moment_count_it_once(pool: Pool) -> None:
    await take(pool, accepted(Reason.CHANGED_MIND))
    await take(pool, accepted(Reason.CHANGED_MIND, issue_id=OTHER))
    await take(pool, OF_ARTICLE)
    await asyncio.gather(
        *(take(pool, AssignCount(issue_id=issue, count_id=kept_id(OF_ARTICLE))) for issue in (ISSUE, OTHER))
    )
    counted = [(await case_of(pool, issue)).inbound.received for issue in (ISSUE, OTHER)]
    assert sorted(counted, key=len) == [{}, {"1": 1}]
