"""Events that partners fetch: only their own, in order, with acknowledgement, waiting and retention."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import pytest

from libs.common.postgres import retention
from libs.common.postgres.retention import Sweep
from services.partners.http.feed import MAX_WAITING
from services.partners.store.feed import retention_sweeps
from services.partners.store.feed_reading import oldest_unread
from tests.conftest import MakeDatabase
from tests.partners.service import doors, fetch, give, payload
from tests.running import Live, eventually

ORDERED, CANCELLED = "replacement.ordered.v1", "replacement.cancelled.v1"
ERASED = "customer.erasure_requested.v1"


@pytest.fixture
async def live(database: MakeDatabase) -> AsyncIterator[Live]:
    async with doors(await database("partners")) as running:
        yield running


def ids(answer: Any) -> list[str]:
    return [each["event"]["id"] for each in answer.json()["events"]]


async def test_a_partner_gets_the_events_of_its_role_in_order_with_their_ids(live: Live) -> None:
    await give(live, payload(ORDERED), payload("collection.requested.v1"), payload(CANCELLED), ids=["a", "b", "c"])
    answer = await fetch(live, "acme")
    assert ids(answer) == ["a", "c"]
    assert answer.json()["events"][0]["event"]["data"]["ship_to"]["name"] == "佐出 花子"
    assert ids(await fetch(live, "courier")) == ["b"]


async def test_the_answer_to_a_refused_event_is_for_its_author_only(live: Live) -> None:
    await give(live, payload("event.rejected.v1", source="/acme/line-2"), ids=["r"])
    assert (ids(await fetch(live, "acme")), ids(await fetch(live, "other-warehouse"))) == (["r"], [])


async def test_an_event_comes_again_until_it_is_acknowledged(live: Live) -> None:
    await give(live, *[payload(ORDERED)] * 3, ids=["a", "b", "c"])
    first = await fetch(live, "acme", limit=2)
    assert (ids(first), first.json()["more"]) == (["a", "b"], True)
    assert ids(await fetch(live, "acme", limit=2)) == ["a", "b"]
    rest = await fetch(live, "acme", after=first.json()["next"])
    assert (ids(rest), rest.json()["more"]) == (["c"], False)
    assert ids(await fetch(live, "acme")) == ["c"]


async def test_an_acknowledgement_of_one_partner_is_none_of_another(live: Live) -> None:
    await give(live, payload(ORDERED), ids=["a"])
    await fetch(live, "acme", after=1)
    assert ids(await fetch(live, "other-warehouse")) == ["a"]


async def test_a_position_that_does_not_exist_acknowledges_nothing(live: Live) -> None:
    await give(live, payload(ORDERED), ids=["a"])
    assert (await fetch(live, "acme", after=2)).json()["code"] == "unknown_position"
    assert ids(await fetch(live, "acme")) == ["a"]


async def test_a_waiting_partner_gets_an_event_when_it_comes(live: Live) -> None:
    waiting = asyncio.create_task(fetch(live, "acme", wait=20))
    other = asyncio.create_task(fetch(live, "other-warehouse", wait=20))
    async with asyncio.timeout(10):
        await give(live, payload(ORDERED), ids=["a"])
        assert ids(await waiting) == ids(await other) == ["a"]


async def test_events_of_two_transactions_at_a_time_get_positions_in_commit_order(live: Live) -> None:
    await asyncio.gather(*(give(live, payload(ORDERED), ids=[str(number)]) for number in range(12)))
    found = (await fetch(live, "acme")).json()["events"]
    assert [each["position"] for each in found] == list(range(1, 13))


async def test_a_partner_that_no_longer_fetches_is_seen_in_the_metrics(live: Live) -> None:
    await give(live, payload(ORDERED), payload(CANCELLED))
    async with live.service.pool.acquire() as conn:
        assert await oldest_unread(conn, datetime.now(UTC)) == {}
        await fetch(live, "acme", after=1)
        await conn.execute("UPDATE feed SET added_at = added_at - position * interval '1 hour'")
        (found,) = (await oldest_unread(conn, datetime.now(UTC))).items()
        assert (found[0], 7_200 <= found[1] < 7_300) == (("acme",), True)
        await fetch(live, "acme", after=2)
        assert await oldest_unread(conn, datetime.now(UTC)) == {}


async def sweep(live: Live, which: Sweep) -> None:
    await live.service.pool.execute("UPDATE feed SET added_at = added_at - interval '8 days'")
    await retention.run(live.service.pool, which, datetime.now(UTC))


async def test_a_partner_that_comes_after_retention_hears_of_the_gap(live: Live) -> None:
    await give(live, payload(ORDERED), payload(CANCELLED), payload("collection.requested.v1"))
    personal, _, _ = retention_sweeps(14, 730)
    await sweep(live, personal)
    late = await fetch(live, "acme")
    assert (late.status_code, ids(late), late.json()["next"], late.json()["deleted"]) == (200, [], 2, 2)
    await give(live, payload(ORDERED), ids=["new"])
    rest = await fetch(live, "acme", after=2)
    assert (ids(rest), rest.json()["deleted"]) == (["new"], None)


async def test_events_that_are_still_stored_come_when_later_ones_were_deleted(live: Live) -> None:
    await give(live, payload(ORDERED), payload(ERASED), payload(ORDERED), ids=["a", "stored", "c"])
    personal, _, _ = retention_sweeps(14, 730)
    await sweep(live, personal)
    for query in ({}, {"after": 1}):
        page = await fetch(live, "acme", **query)
        assert (ids(page), page.json()["next"], page.json()["deleted"]) == (["stored"], 2, 3)
    rest = await fetch(live, "acme", after=2)
    assert (ids(rest), rest.json()["next"], rest.json()["deleted"]) == ([], 3, 3)


async def test_other_events_stay_when_personal_ones_are_deleted(live: Live) -> None:
    await give(live, payload("refund.requested.v1"), ids=["money"])
    personal, _, _ = retention_sweeps(14, 730)
    await sweep(live, personal)
    assert ids(await fetch(live, "pay")) == ["money"]


async def test_addresses_are_encrypted_at_rest(database: MakeDatabase) -> None:
    async with doors(
        await database("partners"), personal_data_keys="a-key-for-tests-of-the-encryption-at-rest"
    ) as live:
        await give(live, payload(ORDERED), ids=["a"])
        assert "佐出".encode() not in await live.service.pool.fetchval("SELECT value FROM feed")
        assert (await fetch(live, "acme")).json()["events"][0]["event"]["data"]["ship_to"]["name"] == "佐出 花子"


async def test_calls_of_one_partner_that_wait_are_limited_and_take_no_place_of_another(live: Live) -> None:
    waiting = [asyncio.create_task(fetch(live, "acme", wait=30)) for _ in range(MAX_WAITING)]

    async def all_wait() -> bool:
        return bool(live.app.state.news._waiting["acme"] == MAX_WAITING)

    await eventually(all_wait, "all wait")
    refused = await fetch(live, "acme", wait=30)
    assert (refused.status_code, refused.json()["code"]) == (429, "too_many_waiting")
    assert (await fetch(live, "acme")).status_code == 200
    other = asyncio.create_task(fetch(live, "other-warehouse", wait=30))
    await give(live, payload(ORDERED), ids=["a"])
    assert ids(await other) == ["a"]
    assert {each.status_code for each in await asyncio.gather(*waiting)} == {200}
    assert live.app.state.news._waiting.total() == 0
