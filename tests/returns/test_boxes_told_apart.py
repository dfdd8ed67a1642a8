"""Boxes on a real Postgres that resemble each other: none takes the place of another one."""

import pytest

from libs.common.events.anomalies import AnomalyDetected
from libs.common.events.issues import IssueAccepted
from libs.common.events.values import Condition, CountedLine, InspectedLine, Reason
from libs.common.events.warehouse import ItemInspected, ItemReceived
from libs.common.postgres.pool import Pool
from services.returns.domain.state.count_ids import former_kept_id
from services.returns.domain.state.kept_counts import marks_of
from services.returns.domain.state.return_slips import return_slip
from tests.returns.cases import ISSUE, TUESDAY, accepted, line
from tests.returns.test_kept_counts import OTHER, box, case_of, events, fire, open_counts, pool, take

__all__ = ["pool"]


@pytest.mark.parametrize("receipt_id", [None, "gate-1"])
async def test_equal_boxes_of_one_moment_for_two_issues_without_a_case_are_both_kept(
    pool: Pool, receipt_id: str | None
) -> None:
    await take(pool, box(receipt_id=receipt_id), box(issue_id=OTHER, receipt_id=receipt_id))
    await take(pool, accepted(Reason.CHANGED_MIND))
    await take(pool, accepted(Reason.CHANGED_MIND, issue_id=OTHER))
    await fire(pool)
    counted = [(await case_of(pool, issue)).inbound.received for issue in (ISSUE, OTHER)]
    assert counted == [{"1": 1}, {"1": 1}]


async def test_equal_boxes_with_other_papers_are_both_shown(pool: Pool) -> None:
    papers = ({"tracking_number": "4001"}, {"tracking_number": "4002"}, {"order_id": "O-7"}, {"return_slip": "RS-1"})
    await take(pool, *(box(issue_id=None, receipt_id=None, **each) for each in papers))
    assert len({each.cause for each in await events(pool, AnomalyDetected)}) == len(papers)
    assert len(await open_counts(pool)) == len(papers)


async def test_a_receipt_id_used_again_before_the_case_keeps_both_boxes(pool: Pool) -> None:
    await take(pool, box())
    await take(pool, box(CountedLine(line_id="2", quantity=3)))
    assert len(await open_counts(pool)) == 2


async def test_an_article_in_the_box_of_another_issue_is_found_among_the_lines_of_its_own(pool: Pool) -> None:
    await take(pool, accepted(Reason.CHANGED_MIND, line("1")))
    await take(pool, accepted(Reason.CHANGED_MIND, line("2"), issue_id=OTHER))
    await take(pool, box(CountedLine(quantity=1, sku="SKU-2", issue_id=OTHER)))
    await fire(pool)
    assert (await case_of(pool, OTHER)).inbound.received == {"2": 1}


async def test_two_cases_hand_on_their_parts_of_one_receipt(pool: Pool) -> None:
    parts = CountedLine(line_id="9", quantity=1)
    await take(pool, accepted(Reason.CHANGED_MIND))
    await take(pool, accepted(Reason.CHANGED_MIND, issue_id=OTHER))
    await take(pool, box(parts), box(parts, issue_id=OTHER))
    await fire(pool)
    counted = [(await case_of(pool, issue)).inbound.received for issue in (ISSUE, OTHER)]
    assert counted == [{"9": 1}, {"9": 1}]


OF_THE_ARTICLE = CountedLine(line_id="1", quantity=1, sku="SKU-1")
EARLY_BOXES = {
    "by its number": box(OF_THE_ARTICLE),
    "by its slip": box(OF_THE_ARTICLE, issue_id=None, return_slip=return_slip(ISSUE)),
    "by a line": box(OF_THE_ARTICLE.model_copy(update={"issue_id": ISSUE}), issue_id=None),
    "beside an order of another one": box(OF_THE_ARTICLE, order_id="O-2"),
}


def of_another_customer() -> IssueAccepted:
    other = accepted(Reason.CHANGED_MIND, issue_id=OTHER, order_id="O-2")
    return other.model_copy(update={"customer_id": "C-2"})


@pytest.mark.parametrize("early", EARLY_BOXES.values(), ids=EARLY_BOXES)
async def test_a_box_that_names_an_issue_waits_for_it_and_reaches_no_other_customer(
    pool: Pool, early: ItemReceived
) -> None:
    await take(pool, of_another_customer())
    await take(pool, early)
    await fire(pool)
    await take(pool, accepted(Reason.CHANGED_MIND))
    await fire(pool)
    counted = [(await case_of(pool, issue)).inbound.received for issue in (ISSUE, OTHER)]
    assert counted == [{"1": 1}, {}]


async def test_boxes_with_one_receipt_id_and_other_slips_reach_both_issues(pool: Pool) -> None:
    for issue in (ISSUE, OTHER):
        await take(pool, accepted(Reason.CHANGED_MIND, issue_id=issue))
        await take(pool, box(CountedLine(quantity=1, sku="SKU-1"), issue_id=None, return_slip=return_slip(issue)))
    await fire(pool)
    counted = [(await case_of(pool, issue)).inbound.received for issue in (ISSUE, OTHER)]
    assert counted == [{"1": 1}, {"1": 1}]


@pytest.mark.parametrize("paper", ["order_id", "return_slip", "tracking_number"])
async def test_boxes_with_one_receipt_id_and_other_papers_are_both_shown(pool: Pool, paper: str) -> None:
    for value in ("X-8", "X-9", "X-9"):
        await take(pool, box(issue_id=None, **{paper: value}))
    assert len(await open_counts(pool)) == 2


async def test_inspections_with_one_id_of_two_boxes_are_both_kept(pool: Pool) -> None:
    lines = (InspectedLine(line_id="1", quantity=1, condition=Condition.SCRAP),)
    for receipt_id in ("gate-1", "gate-2"):
        looked = {"inspection_id": "look-1", "inspected_at": TUESDAY, "receipt_id": receipt_id}
        await take(pool, ItemInspected(lines=lines, **looked))
    assert len(await open_counts(pool)) == 2


async def test_a_box_that_an_earlier_release_kept_is_not_kept_again(pool: Pool) -> None:
    kept_before = box(issue_id=None, order_id="O-8")
    await take(pool, kept_before)
    await pool.execute("UPDATE kept_counts SET count_id = $1", former_kept_id(kept_before))
    await take(pool, kept_before)
    await take(pool, box(issue_id=None, order_id="O-9"))
    assert len(await open_counts(pool)) == 2
    assert former_kept_id(kept_before) in await open_counts(pool)


async def test_a_box_finds_its_case_by_an_article_with_quotation_marks(pool: Pool) -> None:
    pot = line().model_copy(update={"sku": 'POT "L"'})
    await take(pool, accepted(Reason.CHANGED_MIND, pot))
    await take(pool, box(CountedLine(quantity=1, sku=pot.sku), issue_id=None))
    await fire(pool)
    assert (await case_of(pool)).inbound.received == {"1": 1}


async def test_a_short_article_does_not_load_the_cases_of_others(pool: Pool) -> None:
    for issue, sku in ((ISSUE, "1"), (OTHER, "SKU-1")):
        await take(pool, accepted(Reason.CHANGED_MIND, line().model_copy(update={"sku": sku}), issue_id=issue))
    marks = marks_of(box(CountedLine(quantity=1, sku="1"), issue_id=None))
    bodies = {
        issue: await pool.fetchval("SELECT body FROM cases WHERE key = $1", str(issue)) for issue in (ISSUE, OTHER)
    }
    assert [issue for issue, body in bodies.items() if any(mark in body for mark in marks)] == [ISSUE]
