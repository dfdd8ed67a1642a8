"""Outcomes of promises: when the thing was done, by whom, and when nothing was owed any more."""

from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import asyncpg

from libs.common.events import issues as ev
from libs.common.events.envelope import Payload
from libs.common.events.storefront import OrderCancelled, OrderChanged, OrderDelivered, OrderShipped, ShipmentChanged
from libs.common.events.values import LineQuantity
from services import delivery_notify
from services.delivery_notify.domain.promise_outcomes import PromiseOutcome
from tests.conftest import MakeDatabase, as_owner
from tests.delivery_notify.conversation_driver import (
    MONDAY,
    NEXT_FRIDAY,
    ORDER,
    REPLACEMENT,
    ConversationDriver,
    issue,
    line,
    placed,
)
from tests.delivery_notify.service import notifying, take
from tests.running import Live

MIGRATIONS = Path(delivery_notify.__file__).parent / "migrations"
OUTCOMES = "WITH lines AS" + (MIGRATIONS / "0008_promise_outcomes.sql").read_text("utf-8").partition("WITH lines AS")[2]
REMOVED_LINES = (MIGRATIONS / "0009_removed_lines.sql").read_text("utf-8")
TUESDAY = MONDAY + timedelta(days=1)


def outcomes(driver: ConversationDriver) -> dict[tuple[str, str], PromiseOutcome]:
    """The newest outcome of each subject."""
    return {(each.subject, each.subject_id): each for each in driver.facts if isinstance(each, PromiseOutcome)}


def order(**more: Any) -> ConversationDriver:
    driver = ConversationDriver()
    driver.handle(placed(line(warehouse="osaka", product_group="cups", promised_delivery_date=NEXT_FRIDAY, **more)))
    return driver


def parcel(units: int = 1, at: datetime = MONDAY, **more: object) -> OrderShipped:
    lines = (LineQuantity(line_id="1", quantity=units),)
    return OrderShipped.model_validate({"order_id": ORDER, "lines": lines, "shipped_at": at, **more})


def test_a_new_promise_is_open_under_the_names_of_its_order() -> None:
    found = outcomes(order())
    assert {key: (row.done_at, row.ended_at) for key, row in found.items()} == {
        ("line", "1"): (None, None),
        ("delivery", "1"): (None, None),
    }
    assert (found["line", "1"].warehouse, found["line", "1"].product_group) == ("osaka", "cups")


def test_a_line_without_a_date_has_no_outcome() -> None:
    driver = ConversationDriver()
    driver.handle(placed(line(promise=None, preorder=True)))
    assert outcomes(driver) == {}


def test_the_ship_date_is_done_when_the_last_unit_leaves() -> None:
    driver = order(quantity=2)
    driver.handle(parcel(at=MONDAY, shipment_id="S-1"))
    assert outcomes(driver)["line", "1"].done_at is None
    driver.handle(parcel(at=TUESDAY, shipment_id="S-2", carrier="Yamato"))
    row = outcomes(driver)["line", "1"]
    assert (row.done_at, row.carrier) == (TUESDAY, "Yamato")


def test_the_delivery_date_is_done_at_the_delivery() -> None:
    driver = order()
    driver.handle(parcel())
    assert outcomes(driver)["delivery", "1"].done_at is None
    lines = (LineQuantity(line_id="1", quantity=1),)
    driver.handle(OrderDelivered(order_id=ORDER, lines=lines, delivered_at=TUESDAY))
    assert outcomes(driver)["delivery", "1"].done_at == TUESDAY


def test_units_taken_out_of_a_shipment_are_owed_again() -> None:
    driver = order()
    driver.handle(parcel(shipment_id="S-1"))
    driver.handle(ShipmentChanged(order_id=ORDER, shipment_id="S-1", called_off=True, changed_at=TUESDAY))
    assert outcomes(driver)["line", "1"].done_at is None


def test_a_cancelled_line_ends_at_that_time_and_is_not_done() -> None:
    driver = order()
    driver.now = TUESDAY
    driver.handle(OrderCancelled(order_id=ORDER, line_ids=("1",), cancelled_at=TUESDAY, cause="customer"))
    row = outcomes(driver)["line", "1"]
    assert (row.done_at, row.ended_at) == (None, TUESDAY)


def removal(line_id: str, **more: Any) -> OrderChanged:
    removed = line(line_id, warehouse="osaka", promised_delivery_date=NEXT_FRIDAY, quantity=0, **more)
    return OrderChanged(order_id=ORDER, customer_id="C-1", lines=(removed,), changed_at=TUESDAY)


def test_a_line_that_was_removed_ends_at_that_time_though_another_line_was_shipped() -> None:
    driver = ConversationDriver()
    driver.handle(placed(line("1"), line("2")))
    driver.handle(parcel())
    driver.now = TUESDAY
    driver.handle(removal("2"))
    row = outcomes(driver)["line", "2"]
    assert (row.done_at, row.ended_at) == (None, TUESDAY)


def test_a_line_that_is_removed_after_its_shipment_was_done_by_it() -> None:
    driver = order()
    driver.handle(parcel())
    driver.now = TUESDAY
    driver.handle(removal("1"))
    row = outcomes(driver)["line", "1"]
    assert (row.done_at, row.ended_at) == (MONDAY, None)


def test_a_replacement_has_the_names_of_its_line_and_is_done_when_it_ships() -> None:
    driver = order()
    driver.handle(issue(ev.IssueAccepted))
    driver.handle(issue(ev.IssueReplacementOrdered))
    before = outcomes(driver)["replacement", str(REPLACEMENT)]
    driver.handle(issue(ev.IssueReplacementShipped, shipped_at=TUESDAY, carrier="Sagawa"))
    after = outcomes(driver)["replacement", str(REPLACEMENT)]
    assert (before.warehouse, before.product_group, before.done_at) == ("osaka", "cups", None)
    assert (after.done_at, after.carrier) == (TUESDAY, "Sagawa")


def test_a_replacement_that_another_one_replaces_ends() -> None:
    driver = order()
    driver.handle(issue(ev.IssueAccepted))
    driver.handle(issue(ev.IssueReplacementOrdered))
    other = issue(ev.IssueReplacementOrdered, replacement_id=issue(ev.IssueAccepted).issue_id, ordered_at=TUESDAY)
    driver.now = TUESDAY
    driver.handle(other)
    assert outcomes(driver)["replacement", str(REPLACEMENT)].ended_at == TUESDAY


async def test_the_migration_works_out_the_outcomes_of_orders_that_are_known_already(database: MakeDatabase) -> None:
    url = await database("delivery_notify")
    lines = [line(each, warehouse="osaka", promised_delivery_date=NEXT_FRIDAY, quantity=2) for each in "1234"]
    async with notifying(url) as live:
        now = live.service.clock.now()
        await take(live, placed(*lines), *_moves(now), removal("4"))
        await take(live, issue(ev.IssueAccepted), issue(ev.IssueReplacementOrdered))
        await take(live, issue(ev.IssueReplacementShipped, shipped_at=now))
        decided = await _stored(live)
        await _execute(url, "DELETE FROM promise_outcomes", OUTCOMES, REMOVED_LINES)
        assert await _stored(live) == decided


async def test_the_migration_ends_a_removed_line_that_had_the_shipment_of_another_line(database: MakeDatabase) -> None:
    url = await database("delivery_notify")
    async with notifying(url) as live:
        await take(live, placed(line("1"), line("2")), parcel(), removal("2"))
        wrong = f"UPDATE promise_outcomes SET done_at = '{MONDAY}', ended_at = NULL WHERE subject_id = '2'"
        await _execute(url, wrong, REMOVED_LINES)
        rows = await live.service.pool.fetch("SELECT * FROM promise_outcomes ORDER BY subject_id")
    assert [(row["done_at"], row["ended_at"]) for row in rows] == [(MONDAY, None), (None, TUESDAY)]


async def _execute(url: str, *statements: str) -> None:
    conn = await asyncpg.connect(as_owner(url))
    for each in statements:
        await conn.execute(each)
    await conn.close()


def _moves(now: datetime) -> list[Payload]:
    """Line 1 is delivered in two parcels, line 2 is half shipped, line 3 is cancelled, nothing of line 4 moves."""
    first, second = (LineQuantity(line_id="1", quantity=1), LineQuantity(line_id="2", quantity=1))
    return [
        OrderShipped(order_id=ORDER, shipment_id="S-1", lines=(first, second), shipped_at=MONDAY),
        OrderShipped(order_id=ORDER, shipment_id="S-2", lines=(first,), shipped_at=TUESDAY),
        OrderDelivered(order_id=ORDER, shipment_id="D-1", lines=(first, first), delivered_at=TUESDAY),
        OrderCancelled(order_id=ORDER, line_ids=("3",), cancelled_at=now, cause="customer"),
    ]


async def _stored(live: Live) -> list[tuple[Any, ...]]:
    """Outcomes as far as old rows can have them: who ships, whether it is over, and when the lines were done."""
    rows = await live.service.pool.fetch("SELECT * FROM promise_outcomes ORDER BY subject, subject_id")
    return [
        (
            row["subject"],
            row["subject_id"],
            None if row["subject"] == "replacement" else row["warehouse"],
            bool(row["done_at"]) if row["subject"] == "replacement" else row["done_at"],
            bool(row["ended_at"]),
        )
        for row in rows
    ]
