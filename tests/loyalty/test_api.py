"""The routes of loyalty, in the running app on a real Postgres."""

from collections.abc import AsyncIterator, Awaitable, Callable

import asyncpg
import pytest

from libs.common.messaging.decision_runner import Incoming
from services.loyalty.app import create_app
from services.loyalty.settings import LoyaltySettings
from services.loyalty.store.ledger import LedgerStore
from tests.loyalty.histories import CUSTOMER, LEDGER_RULES, RULES, reopened, resolved
from tests.running import OPS, STOREFRONT, Live, running


@pytest.fixture
async def live(database: Callable[[str], Awaitable[str]]) -> AsyncIterator[Live]:
    async with running(create_app, LoyaltySettings, database=await database("loyalty")) as live:
        history = [resolved(), reopened(), resolved(resolution=2)]
        async with live.service.pool.acquire() as conn, conn.transaction():
            await live.service.decisions.apply(conn, LedgerStore(LEDGER_RULES), [Incoming(event) for event in history])
        yield live


async def test_the_balance_shows_pending_and_final_points(live: Live) -> None:
    answer = await live.client.get(f"/v1/customers/{CUSTOMER}/balance", headers=STOREFRONT)
    body = answer.json()
    assert (body["pending"], body["available"], body["final"], body["total"]) == (549, 0, 0, 549)
    assert (body["tier"], body["perks"]) == ("regular", [])


@pytest.mark.parametrize(("language", "title"), [("de-AT", "Basis"), ("fr", "Regular"), ("ja-JP", "レギュラー会員")])
async def test_perks_are_titled_in_the_language_of_the_customer(live: Live, language: str, title: str) -> None:
    url = f"/v1/customers/{CUSTOMER}/perks?language={language}"
    body = (await live.client.get(url, headers=STOREFRONT)).json()
    assert (body["tier"], body["tier_title"], body["perks"]) == ("regular", title, [])
    await live.service.pool.execute(
        "INSERT INTO memberships (customer_id, tier) VALUES ($1, 'silver') "
        "ON CONFLICT (customer_id) DO UPDATE SET tier = excluded.tier",
        CUSTOMER,
    )
    silver = (await live.client.get(url, headers=STOREFRONT)).json()
    assert (silver["tier"], [perk["code"] for perk in silver["perks"]]) == ("silver", ["free_gift_wrap"])


async def test_a_customer_without_points_has_a_balance_of_nothing(live: Live) -> None:
    answer = await live.client.get("/v1/customers/C-nobody/balance", headers=OPS)
    assert (answer.status_code, answer.json()["total"]) == (200, 0)


async def test_the_entries_are_listed_newest_first(live: Live) -> None:
    answer = await live.client.get(f"/v1/customers/{CUSTOMER}/entries", headers=STOREFRONT)
    assert [entry["kind"] for entry in answer.json()["entries"]] == ["grant", "reverse", "grant"]


async def test_a_grant_is_listed_with_the_rule_that_made_it(live: Live) -> None:
    answer = await live.client.get(f"/v1/customers/{CUSTOMER}/entries?limit=1", headers=STOREFRONT)
    entry = answer.json()["entries"][0]
    assert (entry["rule"], entry["rule_version"], entry["points"]) == ("our_product", RULES.version, 549)


async def test_pages_follow_each_other_without_gap_or_overlap(live: Live) -> None:
    numbers: list[int] = []
    url: str | None = f"/v1/customers/{CUSTOMER}/entries?limit=2"
    while url:
        page = (await live.client.get(url, headers=STOREFRONT)).json()
        numbers += [entry["number"] for entry in page["entries"]]
        before = page["next_before"]
        url = f"/v1/customers/{CUSTOMER}/entries?limit=2&before={before}" if before else None
    assert numbers == [3, 2, 1]


@pytest.mark.parametrize("query", ["limit=0", "limit=201", "before=0", "before=x", f"before={2**63}"])
async def test_a_page_that_cannot_be_is_refused_with_the_name_of_the_field(live: Live, query: str) -> None:
    answer = await live.client.get(f"/v1/customers/{CUSTOMER}/entries?{query}", headers=STOREFRONT)
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, query.partition("=")[0])


@pytest.mark.parametrize("route", ["balance", "entries"])
async def test_nobody_reads_without_a_key(live: Live, route: str) -> None:
    answer = await live.client.get(f"/v1/customers/{CUSTOMER}/{route}")
    assert (answer.status_code, answer.headers["content-type"]) == (401, "application/problem+json")


async def test_the_grant_waits_in_the_outbox_with_its_customer_as_key(live: Live) -> None:
    async with live.service.pool.acquire() as conn:
        rows: list[asyncpg.Record] = await conn.fetch("SELECT topic, key FROM outbox_records ORDER BY id, n")
    assert {(row["topic"], row["key"]) for row in rows} == {("loyalty", CUSTOMER)}


async def test_only_the_grant_that_still_stands_has_a_timer(live: Live) -> None:
    async with live.service.pool.acquire() as conn:
        rows: list[asyncpg.Record] = await conn.fetch("SELECT name FROM timers WHERE aggregate = 'ledger'")
    assert [row["name"].rpartition(":")[2] for row in rows] == ["2"]
