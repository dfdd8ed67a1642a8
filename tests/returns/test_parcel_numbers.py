"""Events that name a replacement of one case and the parcel of another, on a real Postgres: an anomaly, no effect."""

from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest

from libs.common.decisions.facts import Anomaly
from libs.common.events.carrier import ParcelDelivered, ParcelException, ParcelScanned
from libs.common.events.envelope import Payload
from libs.common.events.issues import IssueAnomalyDetected
from libs.common.events.registry import decode
from libs.common.events.values import RawStatus
from libs.common.events.warehouse import ReplacementShipmentChanged, ReplacementShipped
from libs.common.messaging.decision_runner import Incoming
from libs.common.postgres.pool import Pool, create_pool
from services.returns.domain.state.case import Case
from services.returns.domain.state.outbound_leg import OutboundStatus
from services.returns.store.case_queries import find_case
from services.returns.store.parcel_numbers import RETENTION_DAYS, parcel_number_sweep
from tests.conftest import MakeDatabase
from tests.returns.cases import ISSUE, TUESDAY, accepted, event_of
from tests.returns.test_store import CASES, RUNNER, learn, placed

OTHER = UUID(int=77)
NUMBER = "4123-5678-9012"


@pytest.fixture
async def pool(database: MakeDatabase) -> AsyncIterator[Pool]:
    pool = await create_pool(await database("returns"), size=4, application_name="test")
    await learn(pool, placed(), placed("O-2"))
    await take(pool, accepted(), accepted(issue_id=OTHER, order_id="O-2").model_copy(update={"customer_id": "C-2"}))
    yield pool
    await pool.close()


async def take(pool: Pool, *payloads: Payload) -> list[str]:
    """Decide on these events in one batch; returns the reasons of anomalies."""
    async with pool.acquire() as conn, conn.transaction():
        outcomes = await RUNNER.apply(conn, CASES, [Incoming(event_of(each)) for each in payloads])
    return [fact.reason for facts in outcomes for fact in facts if isinstance(fact, Anomaly)]


async def case_of(pool: Pool, issue_id: UUID) -> Case:
    async with pool.acquire() as conn:
        found = await find_case(conn, str(issue_id))
    assert found
    return found


async def ids(pool: Pool, issue_id: UUID) -> dict[str, Any]:
    return {"issue_id": issue_id, "replacement_id": (await case_of(pool, issue_id)).outbound.replacement_id}


async def shipped(pool: Pool, issue_id: UUID, number: str | None = NUMBER) -> ReplacementShipped:
    return ReplacementShipped(**await ids(pool, issue_id), shipped_at=TUESDAY, tracking_number=number)


OF_A_PARCEL: list[tuple[type[Payload], dict[str, Any]]] = [
    (ParcelDelivered, {"delivered_at": TUESDAY}),
    (ParcelException, {"code": "lost", "occurred_at": TUESDAY}),
    (ParcelScanned, {"raw": RawStatus(source="easypost", code="delivered"), "scanned_at": TUESDAY}),
    (ReplacementShipmentChanged, {"changed_at": TUESDAY}),
]


@pytest.mark.parametrize(("kind", "fields"), OF_A_PARCEL, ids=lambda each: getattr(each, "TYPE", ""))
async def test_what_happens_to_the_parcel_of_another_case_changes_nothing(
    pool: Pool, kind: type[Payload], fields: dict[str, Any]
) -> None:
    await take(pool, await shipped(pool, ISSUE, "1111"), await shipped(pool, OTHER))
    before = await case_of(pool, ISSUE)
    named = {**await ids(pool, ISSUE), "tracking_number": "4123 5678 9012"}
    assert await take(pool, kind.model_validate({**named, **fields})) == ["foreign_tracking_number"]
    assert await case_of(pool, ISSUE) == before


async def test_a_shipment_in_the_parcel_of_another_customer_is_none(pool: Pool) -> None:
    await take(pool, await shipped(pool, OTHER))
    assert await take(pool, await shipped(pool, ISSUE)) == ["foreign_tracking_number"]
    assert (await case_of(pool, ISSUE)).outbound.status is OutboundStatus.ORDERED


async def test_the_parcel_of_another_case_is_known_within_one_batch(pool: Pool) -> None:
    assert await take(pool, await shipped(pool, OTHER), await shipped(pool, ISSUE)) == ["foreign_tracking_number"]


async def test_the_case_goes_on_with_its_own_number(pool: Pool) -> None:
    await take(pool, await shipped(pool, OTHER))
    await take(pool, await shipped(pool, ISSUE))
    assert await take(pool, await shipped(pool, ISSUE, "1111")) == []
    assert (await case_of(pool, ISSUE)).outbound.status is OutboundStatus.SHIPPED


async def test_two_cases_of_one_customer_may_ship_in_one_parcel(pool: Pool) -> None:
    third = UUID(int=78)
    await take(pool, accepted(issue_id=third))
    assert await take(pool, await shipped(pool, ISSUE), await shipped(pool, third)) == []
    delivered = [ParcelDelivered(**await ids(pool, each), delivered_at=TUESDAY, tracking_number=NUMBER)
                 for each in (ISSUE, third)]  # fmt: skip
    assert await take(pool, *delivered) == []
    statuses = {(await case_of(pool, each)).outbound.status for each in (ISSUE, third)}
    assert statuses == {OutboundStatus.DELIVERED}


async def test_a_number_that_nobody_else_has_is_a_new_number_of_the_parcel(pool: Pool) -> None:
    await take(pool, await shipped(pool, ISSUE, "1111"))
    delivered = ParcelDelivered(**await ids(pool, ISSUE), delivered_at=TUESDAY, tracking_number="2222")
    assert await take(pool, delivered) == []
    assert (await case_of(pool, ISSUE)).outbound.status is OutboundStatus.DELIVERED


async def test_a_number_may_be_used_again_after_its_retention(pool: Pool) -> None:
    await take(pool, await shipped(pool, OTHER))
    before = TUESDAY + timedelta(days=RETENTION_DAYS + 1) - timedelta(days=RETENTION_DAYS)
    await pool.execute(parcel_number_sweep().statement, before, 10)
    assert await take(pool, await shipped(pool, ISSUE)) == []


async def test_staff_see_which_number_it_is(pool: Pool) -> None:
    await take(pool, await shipped(pool, OTHER))
    await take(pool, await shipped(pool, ISSUE))
    rows = await pool.fetch("SELECT value FROM outbox_records")
    found = [data for row in rows if isinstance(data := decode(row["value"]).data, IssueAnomalyDetected)]
    assert [(each.issue_id, each.anomaly, each.cause_id) for each in found] == [
        (ISSUE, "foreign_tracking_number", "tracking:412356789012")
    ]
