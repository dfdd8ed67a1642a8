"""Merged customers: cases, exposure and history of the former account count for the account that remains."""

from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID

import pytest

from libs.common.events.envelope import Payload
from libs.common.events.storefront import CustomerMerged
from libs.common.events.values import Reason
from services.returns.app import create_app
from services.returns.settings import ReturnsSettings
from services.returns.store.case_queries import find_case, find_customer_exposure
from tests.conftest import MakeDatabase
from tests.returns.cases import ISSUE, TUESDAY, accepted
from tests.returns.test_store import placed
from tests.running import OPS, Live, running

FORMER, REMAINING = "C-1", "C-NEW"
SECOND = UUID(int=2)


@pytest.fixture
async def live(database: MakeDatabase) -> AsyncIterator[Live]:
    async with running(create_app, ReturnsSettings, database=await database("returns")) as live:
        yield live


def merged(former: str = FORMER, remaining: str = REMAINING) -> CustomerMerged:
    return CustomerMerged(customer_id=remaining, merged_customer_id=former, merged_at=TUESDAY)


async def take(live: Live, aggregate: str, *payloads: Payload) -> None:
    for payload in payloads:
        await live.service.execute(live.service.aggregates[aggregate], live.service.event(payload))


async def open_two_cases(live: Live) -> None:
    """One case of each account, both with the replacement on its way out first."""
    other = placed("O-2").model_copy(update={"customer_id": REMAINING})
    await take(live, "order_snapshots", placed(), other)
    later = accepted(Reason.DEFECTIVE, issue_id=SECOND, order_id="O-2").model_copy(update={"customer_id": REMAINING})
    await take(live, "cases", accepted(), later)


async def found(live: Live, customer_id: str = REMAINING) -> tuple[Any, Any]:
    """Return the customer of the first case, and the issues in the exposure of a customer."""
    async with live.service.pool.acquire() as conn:
        case, exposure = await find_case(conn, str(ISSUE)), await find_customer_exposure(conn, customer_id)
    return case and case.customer_id, exposure and set(exposure.outstanding)


async def test_cases_and_exposure_of_both_accounts_are_one_customers(live: Live) -> None:
    await open_two_cases(live)
    await take(live, "customer_merges", merged(), merged())
    assert await found(live) == (REMAINING, {str(ISSUE), str(SECOND)})
    assert await found(live, FORMER) == (REMAINING, None)


async def test_reports_of_both_accounts_are_counted_once_each(live: Live) -> None:
    await open_two_cases(live)
    await take(live, "customer_merges", merged(), merged())
    async with live.service.pool.acquire() as conn:
        exposure = await find_customer_exposure(conn, REMAINING)
    assert exposure
    assert len(exposure.recent_reports) == 2


async def test_a_late_report_of_the_former_account_opens_a_case_of_the_other(live: Live) -> None:
    await take(live, "order_snapshots", placed())
    await take(live, "customer_merges", merged())
    await take(live, "cases", accepted())
    assert await found(live) == (REMAINING, {str(ISSUE)})


async def test_a_case_goes_on_after_the_merge(live: Live) -> None:
    await open_two_cases(live)
    await take(live, "customer_merges", merged())
    answer = await live.client.post(
        f"/v1/cases/{ISSUE}/cancel",
        json={"cause": "withdrawn"},
        headers={**OPS, "Idempotency-Key": "k"},
    )
    assert answer.status_code == 200
    assert await found(live) == (REMAINING, {str(SECOND)})


async def test_a_case_before_its_order_is_moved_as_well(live: Live) -> None:
    await take(live, "cases", accepted())
    await take(live, "customer_merges", merged())
    assert (await found(live))[0] == REMAINING


@pytest.mark.parametrize("order", [("ab", "bc"), ("bc", "ab")])
async def test_a_chain_in_any_order_ends_at_the_last_account(live: Live, order: tuple[str, str]) -> None:
    await take(live, "order_snapshots", placed())
    await take(live, "customer_merges", merged(FORMER, "a"))
    await take(live, "cases", accepted())
    await take(live, "customer_merges", *(merged(*each) for each in order))
    assert await found(live, "c") == ("c", {str(ISSUE)})


async def test_a_circle_of_merges_loses_nothing(live: Live) -> None:
    await open_two_cases(live)
    await take(live, "customer_merges", merged(), merged(REMAINING, FORMER), merged())
    assert await found(live) == (REMAINING, {str(ISSUE), str(SECOND)})


async def test_purchases_of_both_accounts_are_one_history(live: Live) -> None:
    await open_two_cases(live)
    await take(live, "customer_merges", merged())
    query = "SELECT DISTINCT customer_id FROM order_snapshots"
    assert [row["customer_id"] for row in await live.service.pool.fetch(query)] == [REMAINING]
