"""Boxes with units of several issues on a real Postgres: each unit is counted for the case that its own line names.

Where that issue has no case, the units wait and staff see them; they are never counted for another customer.
"""

from collections.abc import Sequence
from uuid import UUID

import pytest

from libs.common.decisions.ids import derived_id
from libs.common.events.anomalies import AnomalyCleared, AnomalyDetected
from libs.common.events.issues import IssueAccepted, IssueAnomalyDetected
from libs.common.events.values import CountedLine, Reason
from libs.common.events.warehouse import ItemReceived
from libs.common.postgres.pool import Pool
from services.returns.domain.commands import AssignCount, SettleCount
from services.returns.domain.state.return_slips import return_slip
from tests.returns.cases import ISSUE, accepted
from tests.returns.test_kept_counts import OTHER, box, case_of, events, fire, open_counts, pool, take
from tests.returns.test_store import learn, placed

__all__ = ["pool"]

THIRD = UUID(int=78)
OWN = CountedLine(line_id="1", quantity=1, sku="SKU-1")


def of_issue(issue: UUID) -> CountedLine:
    return OWN.model_copy(update={"issue_id": issue})


OF_ORDER = OWN.model_copy(update={"order_id": "O-2"})


def of_second_customer(issue: UUID = OTHER) -> IssueAccepted:
    case = accepted(Reason.CHANGED_MIND, issue_id=issue, order_id="O-2")
    return case.model_copy(update={"customer_id": "C-2"})


async def counted(pool: Pool, *issues: UUID) -> list[dict[str, int]]:
    return [dict((await case_of(pool, issue)).inbound.received) for issue in issues]


BOXES = {
    "the box names the first": box(OWN, of_issue(OTHER)),
    "only the lines name them": box(of_issue(ISSUE), of_issue(OTHER), issue_id=None),
    "the box names the other": box(of_issue(ISSUE), OWN, issue_id=OTHER),
    "the slip names the other": box(of_issue(ISSUE), OWN, issue_id=None, return_slip=return_slip(OTHER)),
    "a line names the order of the other": box(OWN, OF_ORDER),
}


@pytest.mark.parametrize("shared", BOXES.values(), ids=BOXES)
async def test_a_unit_of_an_issue_without_a_case_waits_for_it(pool: Pool, shared: ItemReceived) -> None:
    await take(pool, accepted(Reason.CHANGED_MIND))
    await take(pool, shared)
    await fire(pool)
    assert await counted(pool, ISSUE) == [{"1": 1}]
    assert len(await open_counts(pool)) == 1
    await take(pool, of_second_customer())
    await fire(pool)
    assert await counted(pool, ISSUE, OTHER) == [{"1": 1}, {"1": 1}]
    assert await open_counts(pool) == []


@pytest.mark.parametrize("shared", BOXES.values(), ids=BOXES)
@pytest.mark.parametrize("first", [ISSUE, OTHER])
async def test_a_box_for_two_issues_without_cases_wakes_for_whichever_opens(
    pool: Pool, shared: ItemReceived, first: UUID
) -> None:
    if shared is BOXES["a line names the order of the other"]:
        shared = shared.model_copy(update={"issue_id": None, "lines": (of_issue(ISSUE), of_issue(OTHER))})
    cases = {ISSUE: accepted(Reason.CHANGED_MIND), OTHER: of_second_customer()}
    await take(pool, shared)
    await take(pool, cases.pop(first))
    await fire(pool)
    assert await counted(pool, first) == [{"1": 1}]
    await take(pool, *cases.values())
    await fire(pool)
    assert await counted(pool, ISSUE, OTHER) == [{"1": 1}, {"1": 1}]


@pytest.mark.parametrize("orders", [("O-1", "O-2"), ("O-2", "O-1")])
async def test_a_box_for_two_orders_wakes_for_whichever_has_a_case(pool: Pool, orders: Sequence[str]) -> None:
    lines = [OWN.model_copy(update={"order_id": order}) for order in orders]
    await take(pool, box(*lines, issue_id=None))
    await take(pool, of_second_customer())
    await fire(pool)
    assert await counted(pool, OTHER) == [{"1": 1}]
    await take(pool, accepted(Reason.CHANGED_MIND))
    await fire(pool)
    assert await counted(pool, ISSUE, OTHER) == [{"1": 1}, {"1": 1}]


async def test_units_of_three_issues_in_one_box_reach_their_cases(pool: Pool) -> None:
    await take(pool, accepted(Reason.CHANGED_MIND))
    await take(pool, box(OWN, of_issue(OTHER), of_issue(THIRD), of_issue(OTHER)))
    await take(pool, of_second_customer(), of_second_customer(THIRD))
    await fire(pool)
    assert await counted(pool, ISSUE, OTHER, THIRD) == [{"1": 1}, {"1": 2}, {"1": 1}]


async def test_a_unit_that_waits_is_shown_as_the_warehouse_counted_it(pool: Pool) -> None:
    await take(pool, accepted(Reason.CHANGED_MIND))
    await take(pool, box(OWN, of_issue(OTHER)))
    await fire(pool)
    (found,) = await events(pool, AnomalyDetected, IssueAnomalyDetected)
    assert (found.thing, found.issue_id) == (f"count:{(await open_counts(pool))[0]}", OTHER)
    assert (found.reported_by, found.event_type) == ("/warehouse", "item.received.v1")
    assert {each.field: each.value for each in found.reported}["quantity"] == "1"


async def test_the_anomaly_of_a_waiting_unit_ends_when_its_case_takes_it(pool: Pool) -> None:
    await take(pool, accepted(Reason.CHANGED_MIND))
    await take(pool, box(OWN, of_issue(OTHER)))
    await fire(pool)
    await take(pool, of_second_customer())
    await fire(pool)
    found, ended = await events(pool, AnomalyDetected, AnomalyCleared)
    assert (type(found), ended.cause) == (AnomalyDetected, found.cause)


async def test_a_unit_whose_case_takes_it_at_once_is_no_anomaly(pool: Pool) -> None:
    await take(pool, accepted(Reason.CHANGED_MIND), of_second_customer())
    await take(pool, box(OWN, of_issue(OTHER)))
    await fire(pool)
    assert await events(pool, AnomalyDetected, IssueAnomalyDetected) == []


@pytest.mark.parametrize("as_other_item", [True, False])
async def test_staff_can_give_a_waiting_unit_to_another_case(pool: Pool, as_other_item: bool) -> None:
    await take(pool, accepted(Reason.CHANGED_MIND))
    await take(pool, box(OWN, of_issue(OTHER)))
    await fire(pool)
    (waiting,) = await open_counts(pool)
    await take(pool, AssignCount(issue_id=ISSUE, count_id=waiting, as_other_item=as_other_item))
    await fire(pool)
    assert await counted(pool, ISSUE) == [{"1": 2}]
    assert await open_counts(pool) == []


async def test_a_box_for_several_that_staff_assign_keeps_the_units_of_the_others(pool: Pool) -> None:
    shared = box(of_issue(OTHER), of_issue(THIRD), OWN, issue_id=OTHER)
    await take(pool, shared)
    await take(pool, accepted(Reason.CHANGED_MIND))
    (whole,) = await open_counts(pool)
    await take(pool, AssignCount(issue_id=ISSUE, count_id=whole))
    await fire(pool)
    assert await counted(pool, ISSUE) == [{"1": 1}]
    assert len(await open_counts(pool)) == 2


async def test_staff_can_close_a_waiting_unit(pool: Pool) -> None:
    await take(pool, accepted(Reason.CHANGED_MIND))
    await take(pool, box(OWN, of_issue(OTHER)))
    await fire(pool)
    (waiting,) = await open_counts(pool)
    await take(pool, SettleCount(count_id=waiting, staff="hanako", comment="Sent back."))
    await take(pool, of_second_customer())
    await fire(pool)
    assert await counted(pool, OTHER) == [{}]


async def test_a_box_that_a_case_took_is_no_anomaly_when_it_is_reported_again(pool: Pool) -> None:
    shared = box(of_issue(ISSUE), of_issue(OTHER), issue_id=None)
    await take(pool, accepted(Reason.CHANGED_MIND), of_second_customer())
    await take(pool, shared)
    await fire(pool)
    await events(pool)
    await take(pool, shared)
    assert await events(pool, AnomalyDetected) == []


async def test_a_unit_of_an_order_that_nobody_knows_is_counted_for_no_other_one(pool: Pool) -> None:
    await learn(pool, placed())
    await take(pool, accepted(Reason.CHANGED_MIND))
    await take(pool, box(OWN.model_copy(update={"order_id": "O-77"})))
    await fire(pool)
    assert await counted(pool, ISSUE) == [{}]
    assert len(await open_counts(pool)) == 1


async def test_units_that_an_earlier_release_gave_to_the_case_of_the_box_wait_for_their_issue(pool: Pool) -> None:
    await take(pool, accepted(Reason.CHANGED_MIND))
    await take(pool, box(OWN, of_issue(OTHER)))
    await pool.execute("UPDATE kept_counts SET issue_id = $1, is_last_choice = true", str(ISSUE))
    await fire(pool)
    assert await counted(pool, ISSUE) == [{"1": 1}]
    assert len(await open_counts(pool)) == 1


def of_replacement(issue: UUID) -> CountedLine:
    return OWN.model_copy(update={"replacement_id": derived_id("replacement", issue, 1)})


async def returned(pool: Pool, issue: UUID) -> dict[str, int]:
    return dict((await case_of(pool, issue)).outbound.returned)


async def open_with_replacements(pool: Pool) -> None:
    """Open a case each for two customers, each of which has a replacement."""
    await learn(pool, placed("O-2").model_copy(update={"customer_id": "C-2"}))
    other = accepted(Reason.DEFECTIVE, issue_id=OTHER, order_id="O-2").model_copy(update={"customer_id": "C-2"})
    await take(pool, accepted(Reason.DEFECTIVE), other)


async def test_a_unit_of_the_replacement_of_another_customer_is_counted_for_its_case(pool: Pool) -> None:
    await open_with_replacements(pool)
    await take(pool, box(OWN, of_replacement(OTHER)))
    await fire(pool)
    assert await counted(pool, ISSUE, OTHER) == [{"1": 1}, {}]
    assert [await returned(pool, issue) for issue in (ISSUE, OTHER)] == [{}, {"1": 1}]
    assert await open_counts(pool) == []


async def test_a_unit_of_the_replacement_of_the_case_is_counted_as_one(pool: Pool) -> None:
    await open_with_replacements(pool)
    await take(pool, box(OWN, of_replacement(ISSUE)))
    await fire(pool)
    assert (await counted(pool, ISSUE), await returned(pool, ISSUE)) == ([{"1": 1}], {"1": 1})


async def test_a_unit_of_a_replacement_that_nobody_ordered_is_shown_to_staff(pool: Pool) -> None:
    await open_with_replacements(pool)
    await events(pool)
    await take(pool, box(OWN, of_replacement(THIRD)))
    await fire(pool)
    assert await counted(pool, ISSUE, OTHER) == [{"1": 1}, {}]
    (found,) = await events(pool, AnomalyDetected)
    assert found.thing == f"count:{(await open_counts(pool))[0]}"
