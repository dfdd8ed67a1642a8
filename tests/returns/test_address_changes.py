"""A corrected address reaches open replacements and collections, newest by the shop's time, in any order."""

from collections.abc import AsyncIterator
from datetime import datetime, timedelta

import pytest

from libs.common.events.carrier import CollectionRequested
from libs.common.events.issues import IssueResolved
from libs.common.events.storefront import OrderChanged
from libs.common.events.values import Condition, ContactChange
from libs.common.events.warehouse import ReplacementOrdered, ReplacementReaddressed, ReplacementShipped
from libs.common.postgres.pool import Pool, create_pool
from services.returns.domain.state.review_causes import ReviewCause
from tests.conftest import MakeDatabase
from tests.returns.cases import HOME, ISSUE, TUESDAY, accepted, open_scenario
from tests.returns.test_order_ledgers import fire_order_timers, storefront, take
from tests.returns.test_store import placed

NEW_HOME = HOME.model_copy(update={"street": "9-9-9"})


def test_the_warehouse_hears_of_the_new_address_of_a_replacement() -> None:
    scenario = open_scenario()
    scenario.move(1)
    sent = scenario.last(ReplacementReaddressed)
    assert (sent.replacement_id, sent.ship_to.street) == (scenario.replacement_id, "9-9-9")


def test_the_same_correction_is_sent_once() -> None:
    scenario = open_scenario()
    scenario.move(1)
    scenario.move(1)
    assert len(scenario.all(ReplacementReaddressed)) == 1


def test_a_parcel_that_has_left_is_a_decision_of_staff() -> None:
    scenario = open_scenario()
    scenario.ship()
    scenario.move(1)
    assert [review.cause for review in scenario.known.reviews] == [ReviewCause.ADDRESS_CHANGED]
    assert scenario.all(ReplacementReaddressed) == []


def test_a_parcel_that_left_before_the_warehouse_could_know_is_one_as_well() -> None:
    scenario = open_scenario()
    left_at = scenario.now
    scenario.later(minutes=10).move(1)
    shipped = ReplacementShipped(issue_id=ISSUE, replacement_id=scenario.replacement_id, shipped_at=left_at)
    scenario.later(minutes=10).apply(shipped)
    assert scenario.known.in_review(ReviewCause.ADDRESS_CHANGED)


def test_a_parcel_that_leaves_after_the_correction_needs_nobody() -> None:
    scenario = open_scenario()
    scenario.move(1)
    scenario.later(hours=3).ship()
    assert not scenario.known.in_review(ReviewCause.ADDRESS_CHANGED)


def test_staff_send_another_replacement_to_the_new_address() -> None:
    scenario = open_scenario()
    scenario.ship()
    scenario.move(1)
    assert "replacement.ordered.v1" in scenario.decide_review(ReviewCause.ADDRESS_CHANGED)
    assert scenario.last(ReplacementOrdered).ship_to.street == "9-9-9"


def test_a_case_is_not_resolved_while_its_parcel_goes_to_a_former_address() -> None:
    scenario = open_scenario()
    scenario.ship()
    scenario.move(1)
    scenario.deliver()
    scenario.collect()
    scenario.receive()
    scenario.inspect(Condition.SCRAP)
    assert scenario.all(IssueResolved) == []


def test_a_collection_under_way_is_requested_at_the_new_door() -> None:
    scenario = open_scenario()
    scenario.ship()
    scenario.deliver()
    scenario.move(1)
    asked = scenario.all(CollectionRequested)
    assert [(each.attempt, each.collect_from.street) for each in asked] == [(1, "1-2-3"), (2, "9-9-9")]


@pytest.fixture
async def pool(database: MakeDatabase) -> AsyncIterator[Pool]:
    pool = await create_pool(await database("returns"), size=4, application_name="test")
    yield pool
    await pool.close()


def correction(street: str = "9-9-9", at: datetime = TUESDAY + timedelta(hours=1), phone: str = "") -> OrderChanged:
    contact = ContactChange(phone=phone) if phone else None
    ship_to = None if phone else HOME.model_copy(update={"street": street, "phone": None})
    return OrderChanged(order_id="O-1", customer_id="C-1", changed_at=at, ship_to=ship_to, contact=contact)


async def new_streets(pool: Pool) -> list[str]:
    """Return the streets that the warehouse hears of after the changes so far."""
    facts = await fire_order_timers(pool)
    return [fact.ship_to.street for fact in facts if isinstance(fact, ReplacementReaddressed)]


async def test_a_correction_on_the_topic_of_orders_reaches_the_warehouse(pool: Pool) -> None:
    await storefront(pool, placed())
    await take(pool, accepted())
    await storefront(pool, correction())
    assert await new_streets(pool) == ["9-9-9"]


async def test_a_corrected_telephone_number_reaches_the_warehouse(pool: Pool) -> None:
    await storefront(pool, placed())
    await take(pool, accepted())
    await storefront(pool, correction(phone="0311112222"))
    facts = await fire_order_timers(pool)
    assert [fact.ship_to.phone for fact in facts if isinstance(fact, ReplacementReaddressed)] == ["0311112222"]


async def test_of_two_corrections_the_later_one_of_the_shop_counts(pool: Pool) -> None:
    await storefront(pool, placed())
    await take(pool, accepted())
    older = correction("1-1-1", TUESDAY + timedelta(minutes=30))
    await storefront(pool, correction(), older, correction(), placed())
    assert await new_streets(pool) == ["9-9-9"]


async def test_an_order_sent_again_with_another_address_is_a_correction(pool: Pool) -> None:
    await storefront(pool, placed())
    await take(pool, accepted())
    again = {"ship_to": NEW_HOME.model_copy(update={"phone": None}), "updated_at": TUESDAY + timedelta(hours=1)}
    await storefront(pool, placed().model_copy(update=again))
    assert await new_streets(pool) == ["9-9-9"]


async def test_a_case_after_the_correction_orders_to_the_new_address(pool: Pool) -> None:
    await storefront(pool, placed(), correction())
    (facts,) = await take(pool, accepted())
    assert [fact.ship_to.street for fact in facts if isinstance(fact, ReplacementOrdered)] == ["9-9-9"]
    assert await new_streets(pool) == []
