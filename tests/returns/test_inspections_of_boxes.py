"""Inspections on a real Postgres that name a box only: a box for several cases is nobody's by guess."""

from uuid import UUID

from libs.common.events.values import Condition, CountedLine, InspectedLine, Reason
from libs.common.events.warehouse import ItemInspected
from libs.common.postgres.pool import Pool
from services.returns.domain.commands import AssignCount, SettleCount
from services.returns.domain.state.count_ids import MAX_GIVEN, is_part_of, kept_id, part_id
from tests.returns.cases import ISSUE, TUESDAY, accepted, line
from tests.returns.test_kept_counts import OTHER, box, case_of, fire, open_counts, pool, take

__all__ = ["pool"]


def look(number: int, line_id: str = "1") -> ItemInspected:
    lines = (InspectedLine(line_id=line_id, quantity=1, condition=Condition.SCRAP),)
    return ItemInspected(lines=lines, inspected_at=TUESDAY, inspection_id=f"look-{number}", receipt_id="gate-1")


async def open_two_cases(pool: Pool, line_of_other: str = "1") -> None:
    """Open a case each for two customers."""
    other = accepted(Reason.CHANGED_MIND, line(line_of_other), issue_id=OTHER, order_id="O-2")
    await take(pool, accepted(Reason.CHANGED_MIND, line("1")), other.model_copy(update={"customer_id": "C-2"}))


async def count_for_both(pool: Pool, line_of_other: str = "1") -> None:
    of_other = CountedLine(line_id=line_of_other, quantity=1, issue_id=OTHER)
    await take(pool, box(CountedLine(line_id="1", quantity=1), of_other))


async def inspected(pool: Pool) -> list[dict[str, int]]:
    return [dict((await case_of(pool, issue)).inbound.inspected) for issue in (ISSUE, OTHER)]


async def test_inspections_of_a_box_for_two_customers_belong_to_staff(pool: Pool) -> None:
    await open_two_cases(pool)
    await count_for_both(pool)
    await fire(pool)
    await take(pool, look(1), look(2))
    await fire(pool)
    assert await inspected(pool) == [{}, {}]
    assert await open_counts(pool) == [kept_id(look(1)), kept_id(look(2))]
    for number, issue in enumerate((ISSUE, OTHER), start=1):
        await take(pool, AssignCount(issue_id=issue, count_id=kept_id(look(number))))
    assert await inspected(pool) == [{"1": 1}, {"1": 1}]


async def test_an_inspection_waits_while_a_part_of_its_box_is_on_the_way_to_its_case(pool: Pool) -> None:
    await open_two_cases(pool)
    await count_for_both(pool)
    await take(pool, look(1))
    await fire(pool)
    assert await inspected(pool) == [{}, {}]


async def test_an_inspection_that_waited_for_a_part_of_its_box_follows_it(pool: Pool) -> None:
    await open_two_cases(pool, "2")
    await count_for_both(pool, "2")
    await take(pool, look(1, "2"))
    await fire(pool)
    assert await inspected(pool) == [{}, {"2": 1}]


async def test_an_inspection_that_waited_for_a_part_of_its_box_is_matched_when_staff_close_the_part(pool: Pool) -> None:
    await take(pool, accepted(Reason.CHANGED_MIND))
    await count_for_both(pool)
    await fire(pool)
    (part,) = await open_counts(pool)
    await take(pool, look(1))
    await fire(pool)
    assert (await case_of(pool)).inbound.inspected == {}
    await take(pool, SettleCount(count_id=part, staff="hanako", comment="Sent back."))
    await fire(pool)
    assert (await case_of(pool)).inbound.inspected == {"1": 1}


async def test_inspections_of_a_box_for_two_customers_are_matched_by_their_lines(pool: Pool) -> None:
    await open_two_cases(pool, "2")
    await count_for_both(pool, "2")
    await fire(pool)
    await take(pool, look(1, "1"), look(2, "2"))
    await fire(pool)
    assert await inspected(pool) == [{"1": 1}, {"2": 1}]


async def test_a_closed_case_keeps_its_share_in_a_box(pool: Pool) -> None:
    await open_two_cases(pool)
    await count_for_both(pool)
    await fire(pool)
    await pool.execute("UPDATE cases SET is_open = false WHERE key = $1", str(ISSUE))
    await take(pool, look(1))
    await fire(pool)
    assert await inspected(pool) == [{}, {}]


def test_a_part_of_a_part_is_a_part_of_the_box() -> None:
    for gate in ("gate-1", "g" * (MAX_GIVEN + 8)):
        part = part_id(part_id(gate, UUID(int=1)), UUID(int=2))
        assert is_part_of(part, gate)


def test_a_receipt_id_that_begins_like_another_one_is_no_part_of_it() -> None:
    assert not is_part_of("gate-10", "gate-1")
    assert not is_part_of("gate-1/2", "gate-1")
    assert not is_part_of("gate-1", part_id("gate-1", ISSUE))
