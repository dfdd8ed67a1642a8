"""Entitlements of units on a real Postgres: given back, renewed by replacements, taken again."""

from uuid import UUID

from libs.common.events import issues
from libs.common.events.issues import IssueAccepted
from libs.common.events.values import LineQuantity, StaffAction
from libs.common.postgres.pool import Connection
from services.intake.domain.commands import RecordStaffDecision
from services.intake.domain.context import CommandRefused
from services.intake.domain.issue_acceptance import IssueUpdated
from services.intake.domain.orders import Report
from services.intake.domain.units import Unit
from tests.intake.database_calls import ORDERS, apply, held, kinds, take
from tests.intake.event_builders import CUSTOMER, NOON, ORDER, by_http, delivered, event, http_id, placed, submission

ABOUT = {"issue_id": http_id("k"), "order_id": ORDER, "customer_id": CUSTOMER}


async def test_a_cancelled_issue_gives_its_units_back(conn: Connection) -> None:
    await take(conn, placed(), delivered(), by_http(submission(), key="k"), by_http(submission(), key="other"))
    await apply(conn, event(issues.IssueCancelled(**ABOUT, cause="found it", cancelled_at=NOON)))
    assert await held(conn) == {("1", 2)}


async def test_a_cancelled_issue_keeps_units_of_which_a_replacement_has_left(conn: Connection) -> None:
    await take(conn, placed(), delivered(), by_http(submission(quantity=2), key="k"))
    kept = (LineQuantity(line_id="1", quantity=1),)
    await apply(
        conn, event(issues.IssueCancelled(**ABOUT, cause="not_as_reported", cancelled_at=NOON, kept_lines=kept))
    )
    assert await held(conn) == {("1", 1)}


async def test_a_unit_given_back_may_be_reported_again(conn: Connection) -> None:
    await take(conn, placed(), delivered(quantity=1), by_http(submission(), key="k"))
    await apply(conn, event(issues.IssueCancelled(**ABOUT, cause="found it", cancelled_at=NOON)))
    (facts,) = await take(conn, by_http(submission(), key="again"))
    assert IssueAccepted in kinds(facts)


async def test_a_report_closed_and_opened_again_has_its_units_back(conn: Connection) -> None:
    await take(conn, placed(), delivered(), by_http(submission(2), key="k"))
    report = Report(http_id("k"), submission(2), NOON)
    freed = IssueUpdated(report, NOON, "details_missing", releases_units=True)
    async with conn.transaction():
        await ORDERS.save(conn, {}, [freed, IssueUpdated(report, NOON, claimed_units=(Unit("1", 2),))])
    assert await held(conn) == {("1", 2)}


FIRST = http_id("first")
ARRIVED = issues.IssueReplacementDelivered(
    issue_id=FIRST, order_id=ORDER, customer_id=CUSTOMER, replacement_id=UUID(int=1), delivered_at=NOON
)
REOPENED = issues.IssueReopened(
    issue_id=FIRST, order_id=ORDER, customer_id=CUSTOMER, cause="again", resolution=1, reopened_at=NOON
)
CANCELLED = issues.IssueCancelled(
    issue_id=FIRST, order_id=ORDER, customer_id=CUSTOMER, cause="not_as_reported", cancelled_at=NOON
)


async def places(conn: Connection) -> dict[tuple[int, int], bool]:
    """Return whether the replacement has arrived, by unit number and generation."""
    rows = await conn.fetch("SELECT unit_number, generation, replaced_on IS NOT NULL AS there FROM entitlements")
    return {(row["unit_number"], row["generation"]): row["there"] for row in rows}


async def test_what_was_sent_instead_may_be_reported_once_it_is_there(conn: Connection) -> None:
    await take(conn, placed(), delivered(quantity=1), by_http(submission(), key="first"))
    assert kinds((await take(conn, by_http(submission())))[0]) == [CommandRefused]
    for _ in range(2):  # the event arrives twice and counts once
        await apply(conn, event(ARRIVED, id="there"))
    assert IssueAccepted in kinds((await take(conn, by_http(submission())))[0])
    assert kinds((await take(conn, by_http(submission())))[0]) == [CommandRefused]
    assert await places(conn) == {(1, 0): True, (1, 1): False}


async def test_only_as_many_pieces_are_renewed_as_have_arrived(conn: Connection) -> None:
    await take(conn, placed(), delivered(quantity=2), by_http(submission(2), key="first"))
    some = ARRIVED.model_copy(update={"lines": (LineQuantity(line_id="1", quantity=1),)})
    await apply(conn, event(some))
    assert await places(conn) == {(1, 0): True, (2, 0): False}


async def test_an_issue_that_goes_on_has_its_piece_again(conn: Connection) -> None:
    await take(conn, placed(), delivered(quantity=1), by_http(submission(), key="first"))
    await apply(conn, event(ARRIVED), event(REOPENED))
    assert await places(conn) == {(1, 0): False}


def reopening() -> RecordStaffDecision:
    return RecordStaffDecision(
        issue_id=FIRST,
        order_id=ORDER,
        decision_id=UUID(int=7),
        action=StaffAction.REOPEN,
        staff="sato",
        comment="broken again",
        expected_version=0,
    )


async def answer(conn: Connection, *, applied: bool) -> None:
    await apply(
        conn,
        event(
            issues.IssueStaffDecisionApplied(
                issue_id=FIRST,
                order_id=ORDER,
                customer_id=CUSTOMER,
                decision_id=UUID(int=7),
                action=StaffAction.REOPEN,
                staff="sato",
                comment="broken again",
                applied=applied,
                processed_at=NOON,
            )
        ),
    )


async def test_a_replacement_cannot_be_reported_once_staff_decided_to_send_another(conn: Connection) -> None:
    """Invariant 2: returns sends again for the issue; a report on its replacement would get a remedy for one unit."""
    await take(conn, placed(), delivered(quantity=1), by_http(submission(), key="first"))
    await apply(conn, event(ARRIVED))
    facts = await take(conn, event(reopening()), by_http(submission()))
    assert kinds(facts[1]) == [CommandRefused]
    assert kinds((await take(conn, by_http(submission())))[0]) == [CommandRefused]
    await answer(conn, applied=True)
    assert await places(conn) == {(1, 0): False}
    await apply(conn, event(REOPENED), event(ARRIVED.model_copy(update={"replacement_id": UUID(int=2)})))
    assert IssueAccepted in kinds((await take(conn, by_http(submission())))[0])


async def test_a_replacement_can_be_reported_again_when_returns_refused_to_send_another(conn: Connection) -> None:
    await take(conn, placed(), delivered(quantity=1), by_http(submission(), key="first"))
    await apply(conn, event(ARRIVED))
    await take(conn, event(reopening()))
    await answer(conn, applied=False)
    assert IssueAccepted in kinds((await take(conn, by_http(submission())))[0])


async def test_a_replacement_that_arrives_after_the_decision_cannot_be_reported_either(conn: Connection) -> None:
    await take(conn, placed(), delivered(quantity=1), by_http(submission(), key="first"))
    await take(conn, event(reopening()))
    await apply(conn, event(ARRIVED))
    assert kinds((await take(conn, by_http(submission())))[0]) == [CommandRefused]


async def test_an_issue_that_goes_on_takes_nothing_from_a_later_one(conn: Connection) -> None:
    await take(conn, placed(), delivered(quantity=1), by_http(submission(), key="first"))
    await apply(conn, event(ARRIVED))
    await take(conn, by_http(submission()))
    await apply(conn, event(REOPENED))
    assert await places(conn) == {(1, 0): True, (1, 1): False}


async def test_an_issue_that_ends_after_its_replacement_came_leaves_that_one_to_be_reported(conn: Connection) -> None:
    await take(conn, placed(), delivered(quantity=1), by_http(submission(), key="first"))
    await apply(conn, event(ARRIVED))
    await apply(conn, event(CANCELLED))
    await take(conn, by_http(submission()))
    assert await places(conn) == {(1, 0): True, (1, 1): False}
