"""Orders, timelines and photos on a real Postgres."""

import asyncio
from dataclasses import replace
from datetime import timedelta
from uuid import UUID

import asyncpg
import pytest

from libs.common.events import issues
from libs.common.events.issues import IssueAccepted, IssueRejected
from libs.common.postgres.pool import ConflictError, Connection
from services.intake.domain.commands import ProvideDetails
from services.intake.domain.context import CommandRefused
from services.intake.domain.issue_acceptance import IssueRecorded
from services.intake.domain.orders import Report, StoredPhoto
from services.intake.domain.projections.issue_status import IssueStatus
from services.intake.domain.units import Unit
from services.intake.store import issues as issue_store
from tests.intake.database_calls import ORDERS, apply, held, kinds, take
from tests.intake.event_builders import (
    CUSTOMER,
    NOON,
    ORDER,
    by_http,
    by_kafka,
    delivered,
    event,
    http_id,
    placed,
    shipped,
    submission,
)
from tests.intake.test_entitlements import ABOUT


async def test_what_is_known_of_an_order_comes_back_from_the_database(conn: Connection) -> None:
    await take(conn, delivered(quantity=1), shipped())
    await take(conn, placed(), by_kafka(submission(2, issue_id=http_id("w"), description="割れています")))
    context = (await ORDERS.load(conn, [ORDER], []))[ORDER]
    assert (
        context.order.purchase and context.order.purchase.customer_id,
        context.order.movements_of("1").shipped_quantity,
        context.order.awaiting_order[0].submission.description,
    ) == (CUSTOMER, 2, "割れています")


async def test_an_order_holds_no_contact_and_no_address(conn: Connection) -> None:
    await take(conn, placed())
    body = await conn.fetchval("SELECT body::text FROM orders")
    assert not [personal for personal in ("山田", "hanako", "神宮前", "150-0001") if personal in body]


async def test_an_accepted_report_takes_rows_for_its_units(conn: Connection) -> None:
    await take(conn, placed(), delivered(), by_http(submission(2)))
    assert await held(conn) == {("1", 1), ("1", 2)}


async def test_a_unit_taken_in_an_earlier_batch_is_seen(conn: Connection) -> None:
    await take(conn, placed(), delivered(), by_http(submission(2)))
    (facts,) = await take(conn, by_http(submission()))
    assert kinds(facts) == [CommandRefused]


async def test_a_report_does_not_write_its_order_again(conn: Connection) -> None:
    await take(conn, placed(), delivered())
    await take(conn, by_http(submission()))
    assert await conn.fetchval("SELECT version FROM orders") == 1


async def test_a_waiting_report_is_decided_when_its_order_comes(conn: Connection) -> None:
    await take(conn, by_kafka(submission()))
    await take(conn, delivered(), placed())
    assert await held(conn) == {("1", 1)}


async def test_a_waiting_report_sees_the_units_taken_meanwhile(conn: Connection) -> None:
    await take(conn, placed(), delivered(quantity=1), by_kafka(submission(2)), by_http(submission()))
    facts = await take(conn, delivered(quantity=1, at=NOON + timedelta(hours=1)))
    assert [type(fact) for fact in facts[0] if isinstance(fact, IssueRejected)] == [IssueRejected]


async def test_an_id_that_exists_already_is_refused_whatever_its_order(conn: Connection) -> None:
    await take(conn, placed(), delivered(), by_http(submission(), key="k"))
    (facts,) = await take(conn, by_http(submission(order_id="O-2"), key="k"))
    assert [fact.refusal.code for fact in facts if isinstance(fact, CommandRefused)] == ["issue_exists"]


async def test_one_id_for_two_orders_in_one_batch_is_not_taken(conn: Connection) -> None:
    await take(conn, placed(), delivered(), placed(order_id="O-2"), delivered(order_id="O-2"))
    with pytest.raises(ValueError, match="issue_id"):
        await take(conn, by_http(submission(), key="k"), by_http(submission(order_id="O-2"), key="k"))


async def test_a_unit_that_somebody_took_without_the_lock_is_a_conflict(conn: Connection) -> None:
    await take(conn, placed(), delivered(), by_http(submission()))
    unseen = IssueRecorded(Report(http_id("other"), submission(), NOON), (Unit("1", 1),))
    with pytest.raises(ConflictError, match="entitlements"):
        await ORDERS.save(conn, {}, [unseen])


async def test_many_batches_at_once_give_the_last_unit_to_one_report(conn: Connection, database_url: str) -> None:
    await take(conn, placed(), delivered(quantity=1))
    others = [await asyncpg.connect(database_url) for _ in range(8)]
    outcomes = await asyncio.gather(*(take(other, by_http(submission()), by_http(submission())) for other in others))
    for other in others:
        await other.close()
    accepted = [fact for batch in outcomes for facts in batch for fact in facts if isinstance(fact, IssueAccepted)]
    assert (len(accepted), await held(conn)) == (1, {("1", 1)})


async def story(conn: Connection, key: str = "k") -> dict[str, object]:
    issue = await issue_store.read_issue(conn, http_id(key))
    assert issue is not None
    return issue


async def test_an_issue_is_read_with_its_story_in_the_order_of_its_facts(conn: Connection) -> None:
    (*_, facts) = await take(conn, placed(), delivered(), by_http(submission(), key="k"))
    events = [fact for fact in facts if isinstance(fact, issues.IssueEvent)]
    await apply(conn, *[event(fact, id=id) for fact, id in zip(events, ("z", "y"), strict=True)])
    await apply(conn, event(issues.IssueCancelled(**ABOUT, cause="found it", cancelled_at=NOON), id="x"))
    issue = await story(conn)
    timeline = issue["timeline"]
    assert isinstance(timeline, list)
    assert ([fact["type"] for fact in timeline], issue["status"]) == (
        ["issue.reported.v1", "issue.accepted.v1", "issue.cancelled.v1"],
        IssueStatus.CANCELLED,
    )


async def test_the_same_fact_twice_is_stored_once(conn: Connection) -> None:
    again = event(issues.IssueCancelled(**ABOUT, cause="found it", cancelled_at=NOON))
    await apply(conn, again, again)
    await apply(conn, again)
    assert await conn.fetchval("SELECT count(*) FROM timeline") == 1


async def test_a_rejected_report_is_readable_as_such(conn: Connection) -> None:
    await take(conn, placed(), delivered(), by_kafka(submission(3, issue_id=http_id("k"))))
    assert (await story(conn))["status"] == IssueStatus.REJECTED


async def test_nobody_reads_an_issue_that_is_not_there(conn: Connection) -> None:
    assert await issue_store.read_issue(conn, UUID(int=0)) is None


PHOTO = StoredPhoto("a" * 64, "image/jpeg", 100, 4, 3)


async def add(conn: Connection, *photos: StoredPhoto, most: int = 2) -> list[str]:
    """Add photos and return the codes of refusals."""
    given = ProvideDetails(issue_id=http_id("k"), order_id=ORDER, photos=photos, max_photos=most)
    (facts,) = await take(conn, event(given))
    return [fact.refusal.code for fact in facts if isinstance(fact, CommandRefused)]


async def test_the_same_photo_twice_is_one_row(conn: Connection) -> None:
    await take(conn, placed(), delivered(), by_http(submission(), key="k"))
    await add(conn, PHOTO, PHOTO)
    await add(conn, PHOTO)
    assert len(await conn.fetch("SELECT 1 FROM evidence")) == 1


async def test_two_uploads_at_once_do_not_exceed_the_most(conn: Connection, database_url: str) -> None:
    await take(conn, placed(), delivered(), by_http(submission(), key="k"))
    others = [await asyncpg.connect(database_url) for _ in range(4)]
    photos = [replace(PHOTO, sha256=letter * 64) for letter in "abcd"]
    added = await asyncio.gather(*(add(other, photo) for other, photo in zip(others, photos, strict=True)))
    for other in others:
        await other.close()
    assert sorted(added) == [[], [], ["too_many_photos"], ["too_many_photos"]]
